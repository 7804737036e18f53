"""The process against Gaussian data, whose best denoiser, likelihood and conditionals are known in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mcvae_jax.models.diffusion import process
from mcvae_jax.models.diffusion.process import Path
from tests.draws import keys_of

pytestmark = pytest.mark.more

N, Z = 3, 2  # places and dimensions
COVARIANCE = np.cov(np.random.default_rng(0).normal(size=(6, 9)) * 0.8) + 0.1 * np.eye(6)


def best_denoiser(levels):
    """E[v | x_t] for x_0 ~ N(0, COVARIANCE): a s (I - C) (a^2 C + s^2 I)^-1 x_t."""
    values, vectors = np.linalg.eigh(COVARIANCE)

    def denoise(x, level):
        a, s = (scale[:, None] for scale in process.scales(level, levels))
        turned = x.reshape(len(x), -1) @ vectors
        turned = a * s * (1 - values) / (a**2 * values + s**2) * turned
        return (turned @ vectors.T).reshape(x.shape)

    return denoise


@functools.cache
def data(count=4000):
    x = np.random.default_rng(1).multivariate_normal(np.zeros(N * Z), COVARIANCE, count)
    return x.reshape(count, N, Z).astype(np.float32), -multivariate_normal.logpdf(x, np.zeros(N * Z), COVARIANCE)


@functools.partial(jax.jit, static_argnums=(2, 3))
def bound(x, keys, drawn, levels):
    return process.bound_nats(best_denoiser(levels), x, keys, drawn, levels)


def exact_bound(levels):
    """E of the bound over the data, by the expected errors of the best denoiser of each level, float64."""
    values = np.linalg.eigvalsh(COVARIANCE)
    snr = np.exp(np.linspace(process.MOST, process.LEAST, levels))
    left = values / (1 + snr[:, None] * values)  # what x_t leaves unknown of x_0
    between = np.sum((snr[:-1] - snr[1:])[:, None] * left[1:]) / 2
    first = np.sum(snr[0] * left[0] + np.log(2 * np.pi / snr[0])) / 2
    share = snr[-1] / (1 + snr[-1])
    return first + between + np.sum(share * values - share - np.log1p(-share)) / 2


def test_with_many_levels_the_bound_is_the_likelihood_and_with_few_it_lies_above():
    x, nats = data()
    entropy = multivariate_normal(np.zeros(N * Z), COVARIANCE).entropy()
    found = {levels: exact_bound(levels) - entropy for levels in (20, 200, 2000, 20_000)}
    assert 0 < found[20_000] < 0.01 and found[20_000] < found[2000] / 9 < found[200] / 80 < found[20] / 600
    for levels, drawn in ((20, 19), (20_000, 64)):  # all levels once, and a few of many
        of_data = np.asarray(bound(x, keys_of(len(x)), drawn, levels)).sum(axis=1) - nats
        error = of_data.std() / np.sqrt(len(x))
        expected = exact_bound(levels) - entropy
        assert abs(of_data.mean() - expected) < 4 * error < 0.5, levels


def test_few_levels_estimate_what_all_levels_say():
    """Of one sequence: the mean over many draws of two levels is the sum over all levels."""
    x = np.repeat(data()[0][:1], 4000, axis=0)
    every, few = (np.asarray(bound(x, keys_of(4000, seed), drawn, 50)) for seed, drawn in ((2, 49), (3, 2)))
    assert every.shape == (4000, N)
    error = np.sqrt((every.var(axis=0) + few.var(axis=0)) / 4000)
    assert (np.abs(every.mean(axis=0) - few.mean(axis=0)) < 4 * error).all() and (error < 0.15).all()


@pytest.mark.parametrize("drawn", [1, 7, 49])
def test_every_level_is_equally_likely(drawn):
    chosen = np.asarray(jax.vmap(lambda key: process.draw_levels(key, drawn, 50))(keys_of(20_000)))
    assert chosen.min() == 2 and chosen.max() == 50
    shares = np.bincount(chosen.ravel(), minlength=51)[2:] / chosen.size
    np.testing.assert_allclose(shares, 1 / 49, atol=4 * np.sqrt(1 / 49 / chosen.size))
    if drawn == 49:
        each_once = (np.sort(chosen, axis=1) == np.arange(2, 51)).mean()
        assert each_once > 0.9999, "but for float32 at the edges of the parts"


@functools.partial(jax.jit, static_argnums=3)
def sample(given, is_given, keys, path, spread=1.0):
    return process.sample(best_denoiser(400), given, is_given, keys, path, spread, 400)


def drawn(path, count=4000, given=None, known=(False,) * N, spread=1.0):
    given = jnp.zeros((count, N, Z)) if given is None else jnp.broadcast_to(jnp.asarray(given), (count, N, Z))
    x = sample(given, jnp.broadcast_to(jnp.asarray(known), (count, N)), keys_of(count, 5), path, spread)
    return np.asarray(x, np.float64).reshape(count, -1)


@pytest.mark.parametrize("path", [Path(100), Path(200, eta=0.0), Path(80, eta=0.5)])
def test_the_sampler_draws_with_the_covariance_of_the_data(path):
    """Ancestral, DDIM, and between; a standard deviation of a covariance of 4,000 draws is 2 % of a variance."""
    x = drawn(path)
    assert np.abs(x.mean(axis=0)).max() < 4 * np.sqrt(COVARIANCE.max() / len(x))
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=0.07 * COVARIANCE.diagonal().max())


def test_less_spread_draws_nearer_to_the_mean():
    variance = [drawn(Path(50), 1000, spread=spread).var(axis=0).sum() for spread in (0.0, 0.5, 1.0)]
    assert variance[0] < 0.1 * variance[2] and variance[0] < variance[1] < 0.9 * variance[2]


def test_given_places_stand_and_with_repeats_the_others_fit_them():
    """Against the conditional of the Gaussian: one repeat is far from its mean, many are near."""
    given, known = np.random.default_rng(7).normal(size=(N, Z)).astype(np.float32) * 1.5, (True, False, True)
    seen = np.repeat(known, Z)
    weights = COVARIANCE[~seen][:, seen] @ np.linalg.inv(COVARIANCE[seen][:, seen])
    mean = weights @ given.ravel()[seen]
    left = COVARIANCE[~seen][:, ~seen] - weights @ COVARIANCE[seen][:, ~seen]
    off = {}
    for repeats in (1, 20):
        x = drawn(Path(30, repeats), 1000, given, known)
        assert np.array_equal(x[:, seen].astype(np.float32), np.broadcast_to(given.ravel()[seen], (1000, 4)))
        off[repeats] = np.abs(x[:, ~seen].mean(axis=0) - mean).max(), np.abs(np.cov(x[:, ~seen].T) - left).max()
    scale = np.sqrt(left.diagonal().max())
    assert off[20][0] < 0.15 * scale and off[20][1] < 0.25 * scale**2, off
    assert off[1][0] > 2 * off[20][0], off


def test_a_sequence_depends_on_its_own_key_and_on_nothing_else():
    given, known = jnp.zeros((8, N, Z)), jnp.zeros((8, N), bool)
    keys = keys_of(8)
    whole = sample(given, known, keys, Path(10))
    turned = sample(given, known, keys[::-1], Path(10))
    np.testing.assert_array_equal(whole, turned[::-1])
    assert len({row.tobytes() for row in np.asarray(whole)}) == 8
