"""One Gaussian as a prior over sequences, against scipy and numerical optimisation in float64."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, stats

from mcvae_jax.models.prior import OneGaussian, fit_one_gaussian, standard_normal
from mcvae_jax.nn import mixture


def test_zeros_make_it_the_standard_normal():
    z = 3 * np.random.default_rng(0).normal(size=(2, 5, 4))
    found = OneGaussian(4).log_density(standard_normal(4), jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(found, stats.norm.logpdf(z).sum(axis=-1), rtol=1e-5)


def test_parameters_are_a_mean_and_a_log_variance():
    rng = np.random.default_rng(1)
    mu, sigma, z = rng.normal(size=3), np.exp(rng.normal(size=3)), rng.normal(size=(2, 4, 3))
    params = {"mu": jnp.asarray(mu, jnp.float32), "log_var": jnp.asarray(2 * np.log(sigma), jnp.float32)}
    expected = stats.norm(mu, sigma).logpdf(z).sum(axis=-1)
    prior, z = OneGaussian(3), jnp.asarray(z, jnp.float32)
    np.testing.assert_allclose(prior.log_density(params, z), expected, rtol=1e-5)
    # step by step it is the same density, before the first bar too
    state = None
    for t in range(4):
        state, step = prior.next_step(params, state, z[:, t - 1])
        np.testing.assert_allclose(mixture.log_density(step.mixture, z[:, t]), expected[:, t], rtol=1e-5)
        assert np.all(np.isneginf(step.log_stop))


def test_a_prior_is_static_under_jit():
    assert OneGaussian(3) == OneGaussian(3) and hash(OneGaussian(3)) == hash(OneGaussian(3))
    density = jax.jit(lambda prior, params, z: prior.log_density(params, z), static_argnums=0)
    assert density(OneGaussian(2), standard_normal(2), jnp.zeros((1, 3, 2))).shape == (1, 3)


def test_the_fit_is_the_maximum_of_the_expected_log_density():
    rng = np.random.default_rng(2)
    mu, log_var = rng.normal(size=(30, 2)) * [0.3, 4.0] + [0.0, 1.0], rng.normal(size=(30, 2)) - [0.0, 6.0]
    weight = rng.integers(0, 5, 30)

    def cost(x):
        """-E_q[log N(z; mean, variance)] a bar, from the first two moments of q."""
        mean, log_variance = np.split(x, 2)
        squares = np.exp(log_var) + (mu - mean) ** 2
        return weight @ np.sum(0.5 * (squares * np.exp(-log_variance) + log_variance), axis=1) / weight.sum()

    best = optimize.minimize(cost, np.zeros(4), method="BFGS", options={"gtol": 1e-8})
    fitted = fit_one_gaussian(mu.astype(np.float32), log_var.astype(np.float32), weight)
    np.testing.assert_allclose(np.concatenate([fitted["mu"], fitted["log_var"]]), best.x, rtol=1e-3, atol=1e-4)
    assert fitted["mu"].dtype == jnp.float32
