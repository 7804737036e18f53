"""Mixtures of Gaussians over latent vectors: one implementation for the loss and the sampler.

A mixture is either over whole vectors, with one weight a component (thesis 3.2.1; Bishop 1994), or a mixture for each
dimension by itself, with a weight for each component and dimension (Ha and Schmidhuber 2018, arXiv:1803.10122, in their
code): the density is then the product of those of the dimensions. Which of both it is, the axes of `log_pi` say.

Letters: K components, Z dimensions; `...` are leading axes of any number.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mcvae_jax.nn import gaussian

Array = jax.Array


class Mixture(NamedTuple):
    """Parameters of mixtures; `log_sigma` is the log of standard deviations, never of variances."""

    log_pi: Array  # (..., K) or (..., K, Z); its exp sums to 1 over K; -inf where a component does not exist
    mu: Array  # (..., K, Z)
    log_sigma: Array  # (..., K, Z)

    @property
    def per_dimension(self) -> bool:
        """Whether each dimension has a mixture of its own."""
        return self.log_pi.ndim == self.mu.ndim


def component_log_densities(mixture: Mixture, z: Array) -> Array:
    """log pi_k + log N(z; mu_k, sigma_k) in nats, for z (..., Z): (..., K), or of each dimension (..., K, Z)."""
    if mixture.per_dimension:
        # no sum over an axis of one: jaxlib 0.12.0 miscompiles it in large batches (docs/results.md, "Versions")
        return mixture.log_pi + gaussian.log_densities(z[..., None, :], mixture.mu, 2 * mixture.log_sigma)
    return mixture.log_pi + gaussian.log_density(z[..., None, :], mixture.mu, 2 * mixture.log_sigma)


def over_components(mixture: Mixture, log_densities: Array) -> Array:
    """log p in nats, (...), from `component_log_densities`; by log-sum-exp, so far tails stay finite."""
    if mixture.per_dimension:
        return jnp.sum(jax.nn.logsumexp(log_densities, axis=-2), axis=-1)
    return jax.nn.logsumexp(log_densities, axis=-1)


def log_density(mixture: Mixture, z: Array) -> Array:
    """log sum_k pi_k N(z; mu_k, sigma_k) in nats: (...), for z (..., Z); per dimension, the sum over all of them."""
    return over_components(mixture, component_log_densities(mixture, z))


def responsibilities(mixture: Mixture, log_densities: Array) -> Array:
    """The posterior shares of the components, (..., K), from `component_log_densities`; a mean over dimensions."""
    if mixture.per_dimension:
        return jnp.mean(jax.nn.softmax(log_densities, axis=-2), axis=-1)
    return jax.nn.softmax(log_densities, axis=-1)


def weight_entropy(mixture: Mixture) -> Array:
    """The entropy of the component weights in nats: (...), from 0 to log K; per dimension, the mean of theirs."""
    exists = mixture.log_pi > -jnp.inf
    terms = jnp.where(exists, jnp.exp(mixture.log_pi) * jnp.where(exists, mixture.log_pi, 0.0), 0.0)
    return -jnp.mean(jnp.sum(terms, axis=-2), axis=-1) if mixture.per_dimension else -jnp.sum(terms, axis=-1)


def sample(
    mixture: Mixture, key: Array, tau_pi: float | Array = 1.0, tau_sigma: float | Array = 1.0
) -> tuple[Array, Array]:
    """A draw from one mixture (K; K, Z): (Z,), and which component it comes from, int (), or (Z,) per dimension.

    Args:
      key: of this draw alone; for several mixtures use vmap with a key each.
      tau_pi: divides the component logits; 0 takes the component of the largest weight.
      tau_sigma: standard deviations are multiplied by sqrt(tau_sigma); 0 takes the component's mean. (Code bases of
        this field disagree: some multiply by tau_sigma, the published code of the thesis took scales for variances.)
        World Models' temperature is both of these at the same value.
    """
    key_pi, key_z = jax.random.split(key)
    tau_pi, tau_sigma = jnp.asarray(tau_pi, jnp.float32), jnp.asarray(tau_sigma, jnp.float32)
    logits = mixture.log_pi - jnp.max(mixture.log_pi, axis=0)  # so that no tau_pi, however small, takes all to -inf
    drawn = jax.random.categorical(key_pi, logits / jnp.where(tau_pi > 0, tau_pi, 1.0), axis=0)
    k = jnp.where(tau_pi > 0, drawn, jnp.argmax(mixture.log_pi, axis=0))
    mu, log_sigma = (_of_component(x, k) for x in (mixture.mu, mixture.log_sigma))
    sigma = jnp.exp(log_sigma) * jnp.sqrt(tau_sigma)
    return mu + sigma * jax.random.normal(key_z, sigma.shape), k


def _of_component(x: Array, k: Array) -> Array:
    """Row k of x (K, Z), (Z,); with k (Z,) that of each column."""
    return jnp.take_along_axis(x, k[None], axis=0)[0] if k.ndim else x[k]


def moments(mixture: Mixture) -> tuple[Array, Array]:
    """Mean and variance of each dimension: (..., Z) each, in closed form."""
    pi = jnp.exp(mixture.log_pi if mixture.per_dimension else mixture.log_pi[..., None])
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
