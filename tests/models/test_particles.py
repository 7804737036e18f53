"""The particle filter against models whose likelihood is known exactly, and against plain importance weights."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mcvae_jax.evaluation.bars import importance_weighted
from mcvae_jax.models import mdrnn, mixture_prior
from mcvae_jax.models.bounds import SongDraws, bounds, draw_latents, whole_song_bounds
from mcvae_jax.models.particles import _systematic, particle_bounds
from mcvae_jax.models.prior import OneGaussian, Step, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.mixture import Mixture
from mcvae_jax.nn.padding import per_song
from tests.known_songs import AutoregressivePrior, LinearGaussian, a_codec, some_songs
from tests.random_params import random_params

pytestmark = pytest.mark.more


@dataclasses.dataclass(frozen=True)
class SteppingPrior(AutoregressivePrior):
    """AutoregressivePrior, which can also be asked bar by bar; its state is the last bar."""

    def next_step(self, rho: Any, state: Any, z: jax.Array) -> tuple[Any, Step]:
        variance = 1.0 if state is None else 1 - rho**2
        mu = jnp.zeros_like(z) if state is None else rho * z
        log_sigma = jnp.broadcast_to(0.5 * jnp.log(variance), mu.shape)
        mixture = Mixture(jnp.zeros((len(z), 1)), mu[:, None], log_sigma[:, None])
        return z, Step(mixture, jnp.full(len(z), -jnp.inf), jnp.zeros((len(z), 0, self.latent)))


def gap_to_exact(model, particles, seed=0):
    """Nats a song that the bound lies above the exact likelihood, (S,)."""
    prior = {"true": LatentPrior(SteppingPrior(model.w.shape[1]), jnp.float32(model.rho))}
    return particle_bounds(model.drawn(model.posteriors(), seed), prior, particles, seed)["true"] + model.exact()


def test_more_particles_come_nearer_to_the_likelihood_from_above():
    model = LinearGaussian.make(rho=0.8, lengths=np.full(30, 12), scales=(1.0, 0.5))
    gaps = [float(gap_to_exact(model, k).mean()) for k in (1, 4, 32, 256)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3] > -0.1 and gaps[0] > 1
    assert gaps[3] < 0.1 * gaps[0]


def test_the_mean_of_the_estimate_is_the_likelihood_itself():
    """It is without bias in p, not in log p: a wrong weight or a wrong way of resampling would show."""
    model = LinearGaussian.make(rho=0.9, lengths=np.full(1, 3), scales=(0.6,))
    ratios = np.exp([-gap_to_exact(model, 4, seed)[0] for seed in range(200)])
    assert ratios.mean() == pytest.approx(1, abs=4 * ratios.std() / 200**0.5)
    assert ratios.std() < 2


def test_one_particle_is_one_draw():
    model = LinearGaussian.make(rho=0.8)
    posteriors = model.posteriors()
    prior, drawn = {"true": LatentPrior(SteppingPrior(3), jnp.float32(0.8))}, model.drawn(posteriors, seed=2)
    found = particle_bounds(drawn, prior, 1, seed=2)["true"]
    one = bounds(drawn, prior, 1)
    z = draw_latents(posteriors, 2, 0)
    log_q = stats.norm(posteriors.mu, np.exp(posteriors.log_var / 2)).logpdf(z).sum(axis=1)
    # the bound has the entropy in closed form where the particle has -log q of its draw
    expected = one["reconstruction_nats"] + one["rate_nats"]["true"] + one["entropy_nats"]
    np.testing.assert_allclose(found, expected + per_song(log_q, model.lengths), rtol=1e-4)


def test_without_memory_it_is_importance_weighting_of_every_bar():
    model = LinearGaussian.make(rho=0.0)
    posteriors = model.posteriors(shift=0.3)
    prior = {"N(0, I)": LatentPrior(OneGaussian(3), standard_normal(3))}
    found = particle_bounds(model.drawn(posteriors, seed=1), prior, 8, seed=1)["N(0, I)"]
    zs = [draw_latents(posteriors, 1, k) for k in range(8)]
    q = stats.norm(posteriors.mu, np.exp(posteriors.log_var / 2))
    log_w = [model.log_x(z) + stats.norm.logpdf(z).sum(axis=1) - q.logpdf(z).sum(axis=1) for z in zs]
    np.testing.assert_allclose(found, -per_song(importance_weighted(np.stack(log_w)), model.lengths), rtol=1e-4)


def test_systematic_resampling_takes_each_as_often_as_its_share_says():
    share = jnp.array([0.5, 0.0, 0.3, 0.2])
    drawn = np.stack([_systematic(jax.random.key(n), share) for n in range(300)])
    counts = np.stack([np.bincount(row, minlength=4) for row in drawn])
    assert (counts[:, 0] == 2).all() and (counts[:, 1] == 0).all()
    np.testing.assert_allclose(counts.mean(axis=0), 4 * share, atol=0.12)


@pytest.mark.slow
def test_an_mdrnn_with_recall_on_songs_of_a_vae():
    codec, songs = a_codec(), some_songs([4, 2, 20])
    net = mdrnn.MDRNN(latent=3, units=6, layers=1, components=2, recall=2, memory=5)
    params = random_params(lambda key: mixture_prior.init(net, key))
    priors = {"MDRNN": LatentPrior(mixture_prior.MixturePrior(net), params)}
    drawn = SongDraws(codec, songs, 5)
    one = particle_bounds(drawn, priors, 1, 5)["MDRNN"]
    found = whole_song_bounds(codec, priors, songs, 1, 5)
    mu, log_var, lengths = posteriors = drawn.posteriors
    log_q = np.asarray(gaussian.log_density(draw_latents(posteriors, 5, 0), mu, log_var))
    expected = found["reconstruction_nats"] + found["rate_nats"]["MDRNN"] + found["entropy_nats"]
    np.testing.assert_allclose(one, expected + per_song(log_q, lengths), rtol=1e-3)
    alone = particle_bounds(SongDraws(codec, songs[:2], 5), priors, 4, 5)["MDRNN"]
    together = particle_bounds(drawn, priors, 4, 5)["MDRNN"]
    np.testing.assert_allclose(alone, together[:2], rtol=1e-4)
