"""Priors side by side: the rate along the song against scipy, the table and the picture."""

import numpy as np
import pytest
from scipy import stats

from mcvae_jax.evaluation import priors as scoring
from mcvae_jax.models.bounds import Posteriors, bounds, draw_latents, summarise
from mcvae_jax.models.prior import OneGaussian, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from tests.known_songs import KnownDraws

LENGTHS = np.array([3, 5, 2])
PRIORS = {"N(0, I)": LatentPrior(OneGaussian(2), standard_normal(2))}


@pytest.fixture
def songs():
    rng = np.random.default_rng(0)
    posteriors = Posteriors(*(rng.normal(size=(10, 2)).astype(np.float32) for _ in range(2)), LENGTHS)
    return KnownDraws(posteriors, lambda z: np.full(len(z), -1.5), seed=4)


def test_the_rate_by_bar_is_a_mean_over_the_songs_that_have_such_a_bar(songs, monkeypatch):
    posteriors = songs.posteriors
    z = draw_latents(posteriors, 4, 0)
    entropy = stats.norm(posteriors.mu, np.exp(posteriors.log_var / 2)).entropy().sum(axis=1)
    rates = np.split(-stats.norm.logpdf(z).sum(axis=1) - entropy, np.cumsum(LENGTHS)[:-1])
    expected = [np.mean([song[t] for song in rates if len(song) > t]) for t in range(5)]
    (found,) = scoring.rate_by_bar(songs, PRIORS).values()
    np.testing.assert_allclose(found, expected[:2], rtol=1e-5)  # all three songs have two bars
    monkeypatch.setattr(scoring, "SONGS_FOR_A_MEAN", 2)
    (found,) = scoring.rate_by_bar(songs, PRIORS).values()
    np.testing.assert_allclose(found, expected[:3], rtol=1e-5)


@pytest.mark.usefixtures("rendered")
def test_the_table_and_the_picture(songs, tmp_path):
    scores = summarise(bounds(songs, PRIORS), 16) | {"draws": 1}
    scores["rate_by_bar"] = scoring.rate_by_bar(songs, PRIORS)
    head, _, row = scoring.summary(scores)
    assert "3 held-out songs (10 bars), 1 draws: reconstruction 1.50 nats per bar" in head
    rate = scores["priors"]["N(0, I)"]["rate_nats"]
    assert row.split()[-3:] == [f"{x:.{n}f}" for x, n in zip(
        (rate, (1.5 + rate) / np.log(2), (1.5 + rate) / np.log(2) / 16), (2, 2, 3), strict=True)]  # fmt: skip
    scoring.draw_priors(scores, tmp_path / "x.png", ["N(0, I)"])
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
