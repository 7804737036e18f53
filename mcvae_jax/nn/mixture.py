"""Mixtures of diagonal Gaussians over whole latent vectors: one implementation for the loss and the sampler.

One weight a component, not one a component and dimension (thesis 3.2.1; Bishop 1994).
Letters: K components, Z dimensions; `...` are leading axes of any number.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mcvae_jax.nn import gaussian

Array = jax.Array


class Mixture(NamedTuple):
    """Parameters of mixtures; `log_sigma` is the log of standard deviations, never of variances."""

    log_pi: Array  # (..., K), normalised: its exp sums to 1; -inf where a component does not exist
    mu: Array  # (..., K, Z)
    log_sigma: Array  # (..., K, Z)


def component_log_densities(mixture: Mixture, z: Array) -> Array:
    """log pi_k + log N(z; mu_k, sigma_k) in nats: (..., K), for z (..., Z)."""
    return mixture.log_pi + gaussian.log_density(z[..., None, :], mixture.mu, 2 * mixture.log_sigma)


def log_density(mixture: Mixture, z: Array) -> Array:
    """log sum_k pi_k N(z; mu_k, sigma_k) in nats: (...), for z (..., Z); by log-sum-exp, so far tails stay finite."""
    return jax.nn.logsumexp(component_log_densities(mixture, z), axis=-1)


def weight_entropy(mixture: Mixture) -> Array:
    """The entropy of the component weights in nats: (...), from 0 to log K."""
    exists = mixture.log_pi > -jnp.inf
    return -jnp.sum(jnp.where(exists, jnp.exp(mixture.log_pi) * jnp.where(exists, mixture.log_pi, 0.0), 0.0), axis=-1)


def sample(
    mixture: Mixture, key: Array, tau_pi: float | Array = 1.0, tau_sigma: float | Array = 1.0
) -> tuple[Array, Array]:
    """A draw from one mixture (K; K, Z): (Z,), and which component it comes from, int ().

    Args:
      key: of this draw alone; for several mixtures use vmap with a key each.
      tau_pi: divides the component logits; 0 takes the component of the largest weight.
      tau_sigma: standard deviations are multiplied by sqrt(tau_sigma); 0 takes the component's mean. (Code bases of
        this field disagree: some multiply by tau_sigma, the published code of the thesis took scales for variances.)
    """
    key_pi, key_z = jax.random.split(key)
    tau_pi, tau_sigma = jnp.asarray(tau_pi, jnp.float32), jnp.asarray(tau_sigma, jnp.float32)
    logits = mixture.log_pi - jnp.max(mixture.log_pi)  # so that no tau_pi, however small, takes all to -inf
    drawn = jax.random.categorical(key_pi, logits / jnp.where(tau_pi > 0, tau_pi, 1.0))
    k = jnp.where(tau_pi > 0, drawn, jnp.argmax(mixture.log_pi))
    sigma = jnp.exp(mixture.log_sigma[k]) * jnp.sqrt(tau_sigma)
    return mixture.mu[k] + sigma * jax.random.normal(key_z, sigma.shape), k


def moments(mixture: Mixture) -> tuple[Array, Array]:
    """Mean and variance of each dimension: (..., Z) each, in closed form."""
    pi = jnp.exp(mixture.log_pi)[..., None]
    mean = jnp.sum(pi * mixture.mu, axis=-2)
    second = jnp.sum(pi * (jnp.exp(2 * mixture.log_sigma) + mixture.mu**2), axis=-2)
    return mean, second - mean**2


def bounded_log_sigma(raw: Array, floor: float) -> Array:
    """log(floor + softplus(raw)): a network's output as the log of a standard deviation above `floor`.

    raw = 0 gives about 0.69; far below 0 it tends to the floor and far above 0 to raw itself, both without overflow.
    """
    return jnp.log(floor + jax.nn.softplus(raw))


def from_standardised(mixture: Mixture, mean: Array, scale: Array) -> Mixture:
    """The mixture of z where `mixture` is that of (z - mean) / scale; mean, scale (Z,).

    Its log density is that of the standardised vector minus the sum of log scale.
    """
    return mixture._replace(mu=mean + scale * mixture.mu, log_sigma=mixture.log_sigma + jnp.log(scale))
