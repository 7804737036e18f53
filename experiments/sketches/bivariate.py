"""Mixtures of two-dimensional Gaussians with correlation (Graves 2013, arXiv:1308.0850; Ha and Eck 2017).

Given its first coordinate, the second one of such a Gaussian is a Gaussian, too. So density and draws are those of
`mcvae_jax.nn.mixture`, with that conditional in the second place.

Letters: K components; `...` are leading axes of any number.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mcvae_jax.nn import mixture
from mcvae_jax.nn.mixture import Mixture

Array = jax.Array

LARGEST_RHO = 0.98  # else a Gaussian that is a line has any density


class Correlated(NamedTuple):
    """Parameters of mixtures over points of the plane."""

    along: Mixture  # log_pi (..., K); mu, log_sigma (..., K, 2): means and scales of each coordinate by itself
    rho: Array  # (..., K), between -1 and 1


def bounded_rho(raw: Array) -> Array:
    """A network's output as a correlation."""
    return LARGEST_RHO * jnp.tanh(raw)


def log_density(correlated: Correlated, point: Array) -> Array:
    """log sum_k pi_k N(point; mu_k, Sigma_k) in nats: (...), for point (..., 2)."""
    return mixture.log_density(given_first(correlated, point[..., 0]), point)


def given_first(correlated: Correlated, x: Array) -> Mixture:
    """Diagonal mixtures that have the same density at points whose first coordinate is x (...)."""
    (log_pi, mu, log_sigma), rho = correlated
    standard = (x[..., None] - mu[..., 0]) * jnp.exp(-log_sigma[..., 0])
    mu_y = mu[..., 1] + rho * jnp.exp(log_sigma[..., 1]) * standard
    log_sigma_y = log_sigma[..., 1] + 0.5 * jnp.log1p(-(rho**2))
    mu, log_sigma = (
        jnp.stack(jnp.broadcast_arrays(of_x[..., 0], of_y), axis=-1)
        for of_x, of_y in ((mu, mu_y), (log_sigma, log_sigma_y))
    )
    return Mixture(log_pi, mu, log_sigma)


def sample(correlated: Correlated, key: Array, tau: float | Array = 1.0) -> Array:
    """A draw from one mixture: (2,).

    Args:
      key: of this draw alone; for several mixtures use vmap with a key each.
      tau: the temperature: divides the component logits and multiplies the variances, so that
        correlations stay; 0 takes the mean of the heaviest component.
    """
    (log_pi, mu, log_sigma), rho = correlated
    noise, k = mixture.sample(Mixture(log_pi, jnp.zeros_like(mu), jnp.zeros_like(log_sigma)), key, tau, tau)
    of_y = rho[k] * noise[0] + jnp.sqrt(1 - rho[k] ** 2) * noise[1]
    return mu[k] + jnp.exp(log_sigma[k]) * jnp.stack([noise[0], of_y])
