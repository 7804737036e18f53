"""Diagonal Gaussians against scipy and numerical integrals in float64; the bound of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from mcvae_jax.evaluation.bars import importance_weighted
from mcvae_jax.nn.gaussian import entropy, kl_to_standard, log_density


@pytest.mark.parametrize("mu, log_var", [(0.0, 0.0), (1.5, -2.0), (-3.0, 1.0), (0.2, -9.0), (12.0, 2.0)])
def test_against_scipy(mu, log_var):
    sigma = np.exp(log_var / 2)
    q = stats.norm(mu, sigma)
    x = np.array([mu, mu + sigma, mu - 5 * sigma])
    expected = q.logpdf(x)
    mine = [float(log_density(jnp.array([v]), jnp.array([mu]), jnp.array([log_var]))) for v in x]
    np.testing.assert_allclose(mine, expected, rtol=1e-4)
    np.testing.assert_allclose(float(entropy(jnp.array([log_var]))), q.entropy(), rtol=1e-5, atol=1e-6)
    kl, _ = integrate.quad(
        lambda v: q.pdf(v) * (q.logpdf(v) - stats.norm.logpdf(v)), mu - 12 * sigma, mu + 12 * sigma, epsabs=1e-12
    )
    np.testing.assert_allclose(float(kl_to_standard(jnp.array(mu), jnp.array(log_var))), kl, rtol=1e-5, atol=1e-6)


def test_kl_near_the_prior_loses_no_digits():
    # 4.13 as printed cancels catastrophically here; log_var - expm1 keeps the leading term log_var^2 / 4
    assert float(kl_to_standard(jnp.array(0.0), jnp.array(1e-3))) == pytest.approx(1e-6 / 4, rel=0.05)


class LinearGaussian:
    """z ~ N(0, I), x = W z + b + s e, with orthogonal columns in W, so the exact posterior is diagonal."""

    def __init__(self, seed=0, inputs=6, latent=3, noise=0.7):
        rng = np.random.default_rng(seed)
        columns, _ = np.linalg.qr(rng.normal(size=(inputs, latent)))
        self.w, self.b, self.noise = columns * np.array([2.0, 1.0, 0.3]), rng.normal(size=inputs), noise
        self.x = (self.w @ rng.normal(size=(latent, 400))).T + self.b + noise * rng.normal(size=(400, inputs))
        covariance = self.w @ self.w.T + noise**2 * np.eye(inputs)
        self.exact = stats.multivariate_normal(self.b, covariance).logpdf(self.x)
        precision = 1 + np.sum(self.w**2, axis=0) / noise**2
        self.mu = (self.x - self.b) @ self.w / noise**2 / precision
        self.log_var = np.broadcast_to(-np.log(precision), self.mu.shape)

    def log_x(self, z):
        mean = jnp.asarray(z @ self.w.T + self.b, jnp.float32)
        return log_density(jnp.asarray(self.x, jnp.float32), mean, jnp.full(mean.shape, 2 * np.log(self.noise)))

    def log_weights(self, mu, log_var, samples, seed=1):
        mu, log_var = jnp.asarray(mu, jnp.float32), jnp.asarray(log_var, jnp.float32)
        rows = []
        for k in range(samples):
            z = mu + jnp.exp(log_var / 2) * jax.random.normal(jax.random.key(seed * 1000 + k), mu.shape)
            prior = log_density(z, jnp.zeros_like(z), jnp.zeros_like(z))
            rows.append(self.log_x(np.asarray(z)) + prior - log_density(z, mu, log_var))
        return np.stack(rows)

    def elbo(self, mu, log_var, samples=64):
        """With the closed-form KL, as in training."""
        kl = jnp.sum(kl_to_standard(jnp.asarray(mu, jnp.float32), jnp.asarray(log_var, jnp.float32)), axis=-1)
        draws = np.random.default_rng(2).normal(size=(samples, *mu.shape))
        log_x = np.mean([self.log_x(mu + np.exp(log_var / 2) * eps) for eps in draws], axis=0)
        return log_x - np.asarray(kl)


def test_the_bound_meets_the_exact_likelihood_at_the_true_posterior():
    model = LinearGaussian()
    log_weights = model.log_weights(model.mu, model.log_var, 2)
    np.testing.assert_allclose(log_weights, np.stack([model.exact] * 2), rtol=1e-4, atol=1e-3)
    # the closed-form KL leaves only the noise of 64 draws of log p(x | z)
    assert np.mean(model.elbo(model.mu, model.log_var)) == pytest.approx(np.mean(model.exact), abs=0.05)


@pytest.mark.parametrize("shift, widen", [(0.3, 0.0), (0.0, 1.0), (0.0, -1.0), (-0.5, 0.5)])
def test_the_bound_stays_below_and_importance_weights_close_the_gap(shift, widen):
    model = LinearGaussian()
    mu, log_var = model.mu + shift, model.log_var + widen
    elbo = np.mean(model.elbo(mu, log_var))
    bounds = [np.mean(importance_weighted(model.log_weights(mu, log_var, k))) for k in (1, 8, 64)]
    exact = np.mean(model.exact)
    assert elbo < exact - 0.05
    assert bounds[0] < bounds[1] < bounds[2] < exact + 0.02
    assert exact - bounds[2] < 0.25 * (exact - elbo)
