"""Mixtures of Gaussians with correlation: scipy's density in float64, the integral, and the moments of draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from experiments.sketches.bivariate import LARGEST_RHO, Correlated, bounded_rho, log_density, sample
from mcvae_jax.nn.mixture import Mixture

pytestmark = pytest.mark.more


def some_mixture(components, seed=0):
    """float64 numpy arrays, without leading axes."""
    rng = np.random.default_rng(seed)
    along = Mixture(
        special.log_softmax(rng.normal(size=components)),
        rng.normal(size=(components, 2)),
        0.5 * rng.normal(size=(components, 2)),
    )
    return Correlated(along, rng.uniform(-0.95, 0.95, components))


def covariance(log_sigma, rho):
    a, b = np.exp(log_sigma)
    return np.array([[a * a, rho * a * b], [rho * a * b, b * b]])


def oracle(m, point):
    """By scipy, of one mixture at one point."""
    parts = [
        log_pi + stats.multivariate_normal(mu, covariance(log_sigma, rho)).logpdf(point)
        for log_pi, mu, log_sigma, rho in zip(*m.along, m.rho, strict=True)
    ]
    return special.logsumexp(parts)


@pytest.fixture
def float64():
    """For the time of a test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize("components", [1, 4, 20])
def test_the_density_against_scipy_in_float64(components, float64):
    m = some_mixture(components)
    points = 2 * np.random.default_rng(1).normal(size=(30, 2))
    found = log_density(jax.tree.map(lambda a: jnp.broadcast_to(a, (30, *a.shape)), m), jnp.asarray(points))
    assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, [oracle(m, point) for point in points], rtol=1e-10)


def test_the_density_integrates_to_one():
    x, step = np.linspace(-15, 15, 601, retstep=True)
    grid = jnp.asarray(np.stack(np.meshgrid(x, x), axis=-1), jnp.float32)
    mass = np.exp(np.asarray(log_density(jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), some_mixture(3)), grid)))
    assert mass.astype(np.float64).sum() * step**2 == pytest.approx(1, abs=1e-4)


def test_far_points_and_the_largest_correlation_stay_finite():
    m = Correlated(Mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.full((1, 2), -4.0)), bounded_rho(jnp.full(1, 1e4)))
    value, slope = jax.value_and_grad(lambda p: log_density(m, p))(jnp.array([300.0, -300.0]))
    assert float(m.rho[0]) == pytest.approx(LARGEST_RHO) and np.isfinite([value, *slope]).all()


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_draws_have_the_moments_and_the_correlation_of_each_component(tau):
    one = some_mixture(1, seed=5)
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = np.asarray(jax.vmap(lambda key: sample(jax.tree.map(jnp.asarray, one), key, tau))(keys), np.float64)
    wanted = tau * covariance(one.along.log_sigma[0], one.rho[0])  # variances times tau, and so the covariance
    np.testing.assert_allclose(draws.mean(axis=0), one.along.mu[0], atol=4 * np.sqrt(wanted.max() / len(draws)))
    np.testing.assert_allclose(np.cov(draws.T), wanted, rtol=0.05)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(one.rho[0], abs=0.01)


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_the_temperature_divides_the_logits_of_the_components(tau):
    log_pi = jnp.log(jnp.array([0.7, 0.2, 0.1]))
    m = Correlated(Mixture(log_pi, 100.0 * jnp.arange(3)[:, None] * jnp.ones(2), jnp.zeros((3, 2))), jnp.zeros(3))
    draws = jax.vmap(lambda key: sample(m, key, tau))(jax.random.split(jax.random.key(0), 20_000))
    counts = np.bincount(np.round(np.asarray(draws[:, 0]) / 100).astype(int), minlength=3)
    np.testing.assert_allclose(counts / counts.sum(), special.softmax(np.asarray(log_pi) / tau), atol=0.012)


def test_at_temperature_zero_it_is_the_mean_of_the_heaviest():
    m = some_mixture(5)
    found = sample(jax.tree.map(jnp.asarray, m), jax.random.key(0), 0.0)
    np.testing.assert_allclose(found, m.along.mu[np.argmax(m.along.log_pi)], rtol=1e-6)
