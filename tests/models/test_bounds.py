"""The whole-song bound against models whose likelihood is known exactly, and on the VAE against a loop."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from mcvae_jax.evaluation.bars import importance_weighted
from mcvae_jax.models import bar_codec, mdrnn, mixture_prior, sequences
from mcvae_jax.models.bounds import Posteriors, bounds, draw_latents, summarise, whole_song_bounds
from mcvae_jax.models.prior import OneGaussian, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.nn.padding import Rows, per_song
from tests.known_songs import LENGTHS, AutoregressivePrior, KnownDraws, LinearGaussian, a_codec, some_songs
from tests.random_params import random_params
from tests.vae_layouts import apply

STANDARD = LatentPrior(OneGaussian(3), standard_normal(3))


def bound_of(model, posteriors, draws, name="true", seed=0):
    """The bound on log p(song) in nats, (S,)."""
    found = bounds(model.drawn(posteriors, seed), model.priors(), draws)
    return -found["reconstruction_nats"] - found["rate_nats"][name]


def test_the_bound_is_the_likelihood_where_bars_are_independent_and_q_is_the_posterior():
    model, draws = LinearGaussian.make(rho=0.0), 16
    gap = bound_of(model, model.posteriors(), draws) - model.exact()
    # log p(x|z) + log p(z) - log q(z|x) has no noise here; what is left is log q(z|x) + H[q], whose variance is 1/2
    # for each dimension, bar and draw
    error = np.sqrt(0.5 * 3 * LENGTHS / draws)
    assert np.all(np.abs(gap) < 4 * error)
    assert abs(gap.sum()) < 4 * np.sqrt(np.sum(error**2)) < 0.02 * abs(model.exact().sum())


def test_the_bound_is_below_the_likelihood_where_q_ignores_that_bars_depend_on_each_other():
    model, draws = LinearGaussian.make(rho=0.9), 16
    gap = bound_of(model, model.posteriors(), draws) - model.exact()
    assert np.all(gap[LENGTHS > 3] < -1)
    assert gap.sum() < -0.2 * LENGTHS.sum()  # many nats, where the noise of 16 draws is about 3


def test_the_prior_that_knows_how_bars_follow_each_other_wins_where_q_is_certain():
    model = LinearGaussian.make(rho=0.9, scales=(40.0, 30.0, 20.0))
    gain = bound_of(model, model.posteriors(), 1) - bound_of(model, model.posteriors(), 1, "N(0, I)")
    # the mutual information of neighbours, -log(1 - rho^2) / 2 a dimension; the draw of z is noisy, hence 20 %
    expected = -0.5 * math.log(1 - 0.9**2) * 3 * (LENGTHS - 1)
    assert gain.sum() == pytest.approx(expected.sum(), rel=0.2)


@pytest.mark.parametrize("shift, widen", [(0.3, 0.0), (0.0, 1.0), (0.0, -1.0)])
def test_a_worse_posterior_only_loosens_the_bound(shift, widen):
    model = LinearGaussian.make(rho=0.0)
    gap = bound_of(model, model.posteriors(shift, widen), 16) - model.exact()
    assert -2 * LENGTHS.sum() < gap.sum() < -0.1 * LENGTHS.sum()


@pytest.mark.more
def test_importance_weights_on_whole_short_songs_close_the_gap_from_below():
    lengths = np.full(40, 4)
    model = LinearGaussian.make(rho=0.8, lengths=lengths, scales=(1.0, 0.5))
    posteriors, prior, exact = model.posteriors(), model.priors()["true"], model.exact()

    def log_weight(draw):
        z = draw_latents(posteriors, 1, draw)
        log_q = stats.norm(posteriors.mu, np.exp(posteriors.log_var / 2)).logpdf(z).sum(axis=1)
        return per_song(model.log_x(z) + prior.log_densities(z, lengths) - log_q, lengths)

    log_weights = np.stack([log_weight(draw) for draw in range(512)])
    gaps = [float(np.mean(exact - importance_weighted(log_weights[:k]))) for k in (1, 8, 64, 512)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3] > -0.02 and gaps[0] > 0.5
    assert gaps[3] < 0.05 * gaps[0]
    # with K = 1 and -log q(z) in place of H[q] it is the bound itself; see above for the variance of their difference
    one = float(np.mean(exact - bound_of(model, posteriors, 512, seed=1)))
    error = np.sqrt(0.5 * 2 * 4 / 40 / 512)
    assert one == pytest.approx(float(np.mean(exact - log_weights.mean(axis=0))), abs=4 * error)


def test_sequences_of_any_length_are_scored_as_they_are_one_by_one(monkeypatch):
    monkeypatch.setattr(sequences, "SEQUENCE_CHUNK", 64)
    lengths = np.array([1, 32, 33, 5, 64, 2, 129])
    z = np.random.default_rng(0).normal(size=(lengths.sum(), 3)).astype(np.float32)
    found = LatentPrior(AutoregressivePrior(3), jnp.float32(0.7)).log_densities(z, lengths)
    for song, told in zip(*(np.split(a, np.cumsum(lengths)[:-1]) for a in (z, found)), strict=True):
        expected = stats.norm(0.7 * song[:-1], math.sqrt(1 - 0.7**2)).logpdf(song[1:]).sum(axis=1)
        np.testing.assert_allclose(told, [stats.norm.logpdf(song[0]).sum(), *expected], rtol=1e-5)


def test_the_bound_of_a_vae_against_a_loop(monkeypatch):
    monkeypatch.setattr(bar_codec, "SCORE_CHUNK", Rows(5, 5))
    codec = a_codec()
    songs = some_songs([4, 4, 4])
    songs[1][3] = songs[0][0]  # a bar that occurs twice
    net = mdrnn.MDRNN(latent=3, units=6, layers=1, components=2)
    of_net = random_params(functools.partial(mixture_prior.init, net))
    of_net["params"]["standard_scale"] = np.array([0.5, 1.0, 2.0], np.float32)
    density = jax.jit(mixture_prior.MixturePrior(net).log_density)
    priors = {"mdrnn": LatentPrior(mixture_prior.MixturePrior(net), of_net), "N(0, I)": STANDARD}
    found = whole_song_bounds(codec, priors, songs, draws=2, seed=5)
    for s, song in enumerate(songs):
        mu, log_var = (np.asarray(a, np.float64) for a in apply(codec.vae, "encode", codec.params, song))
        sigma = np.exp(log_var / 2)
        reconstruction = rate = standard = 0.0
        for draw in range(2):
            folded = jax.random.fold_in(jax.random.fold_in(jax.random.key(5), s), draw)
            eps = np.stack([jax.random.normal(jax.random.fold_in(folded, t), (3,)) for t in range(len(song))])
            z = (mu + sigma * eps).astype(np.float32)
            log_p = special.log_softmax(np.asarray(apply(codec.vae, "decode", codec.params, z, song)), axis=-1)
            reconstruction -= sum(log_p[t, i, song[t, i]] for t in range(len(song)) for i in range(16)) / 2
            rate -= float(np.asarray(density(of_net, z[None])).sum()) / 2
            standard -= stats.norm.logpdf(z).sum() / 2
        entropy = stats.norm(mu, sigma).entropy().sum()
        kl = np.sum(0.5 * (mu**2 + sigma**2 - log_var - 1))
        assert found["bars"][s] == len(song)
        assert found["reconstruction_nats"][s] == pytest.approx(reconstruction, rel=1e-4)
        assert found["entropy_nats"][s] == pytest.approx(entropy, rel=1e-4, abs=1e-4)
        assert found["kl_nats"][s] == pytest.approx(kl, rel=1e-4)
        assert found["rate_nats"]["mdrnn"][s] == pytest.approx(rate - entropy, rel=1e-4)
        assert found["rate_nats"]["N(0, I)"][s] == pytest.approx(standard - entropy, rel=1e-4)
    alone = whole_song_bounds(codec, {}, songs, draws=2, seed=5)
    np.testing.assert_array_equal(alone["reconstruction_nats"], found["reconstruction_nats"])
    assert alone["rate_nats"] == {}


def test_a_song_s_figures_do_not_depend_on_the_songs_after_it():
    codec, songs = a_codec(), some_songs([20, 3, 40, 2])
    many, few = (whole_song_bounds(codec, {"N(0, I)": STANDARD}, some) for some in (songs, songs[:2]))
    for name in ("reconstruction_nats", "entropy_nats", "kl_nats"):
        np.testing.assert_allclose(few[name], many[name][:2], rtol=1e-6)
    np.testing.assert_allclose(few["rate_nats"]["N(0, I)"], many["rate_nats"]["N(0, I)"][:2], rtol=1e-6)


def test_every_seed_song_draw_and_bar_has_noise_of_its_own():
    lengths = np.array([2, 3])
    posteriors = Posteriors(np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32), lengths)
    drawn = np.concatenate([draw_latents(posteriors, seed, draw) for seed in (0, 1) for draw in (0, 1)])
    assert len(np.unique(drawn)) == drawn.size


def test_the_summary_weighs_songs_by_their_bars_and_is_in_bits():
    found = {
        "bars": np.array([10.0, 30.0]),
        "reconstruction_nats": np.array([10.0, 90.0]),
        "kl_nats": np.array([100.0, 1100.0]),
        "entropy_nats": np.array([-20.0, -20.0]),
        "rate_nats": {"one": np.array([110.0, 1000.0])},
    }
    told = summarise(found, steps=12)
    assert told["songs"] == 2 and told["bars"] == 40
    assert (told["reconstruction_nats"], told["kl_nats"], told["entropy_nats"]) == (2.5, 30.0, -1.0)
    one = told["priors"]["one"]
    assert one["rate_nats"] == pytest.approx(1110 / 40)
    assert one["bits_per_bar"] == pytest.approx((100 + 1110) / 40 / math.log(2))
    assert one["bits_per_token"] == pytest.approx(one["bits_per_bar"] / 12)


def test_long_work_says_where_it_is(monkeypatch):
    monkeypatch.setattr(bar_codec, "SCORE_CHUNK", Rows(4, 4))
    monkeypatch.setattr(bar_codec, "SECONDS_BETWEEN_LINES", 0.0)
    lines = []
    whole_song_bounds(a_codec(), {}, some_songs([6]), say=lines.append)
    assert [line for line in lines if "decoding" in line] == ["decoding: 4 of 6 bars", "decoding: 6 of 6 bars"]
    assert any("encoded 6 of 6 distinct bars" in line for line in lines)


@pytest.mark.parametrize("lengths, draws", [([], 1), ([2, 0], 1), ([2], 0)])
def test_nothing_to_score_is_refused(lengths, draws):
    n = sum(lengths)
    posteriors = Posteriors(np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32), np.array(lengths, np.int64))
    with pytest.raises(ValueError, match="at least one"):
        bounds(KnownDraws(posteriors, lambda z: np.zeros(len(z))), {}, draws)
