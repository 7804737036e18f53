"""Diagonal Gaussians, in nats, from their mean and log variance; the last axis holds the dimensions (Z)."""

import math

import jax
import jax.numpy as jnp

from mcvae_jax.nn.arrays import AnyArray

Array = jax.Array

LOG_2PI = math.log(2 * math.pi)


def kl_to_standard(mu: AnyArray, log_var: AnyArray) -> Array:
    """KL(N(mu, exp(log_var)) || N(0, 1)) of each dimension, in nats (thesis 4.13, with log sigma^2 for log mu^2).

    `expm1` keeps it accurate, and not below zero by more than a rounding, where the two agree.
    """
    return 0.5 * (jnp.multiply(mu, mu) + (jnp.expm1(log_var) - log_var))


def log_density(x: AnyArray, mu: AnyArray, log_var: AnyArray) -> Array:
    """log N(x; mu, exp(log_var)), summed over the last axis, in nats."""
    return -0.5 * jnp.sum((x - mu) ** 2 * jnp.exp(-log_var) + log_var + LOG_2PI, axis=-1)


def entropy(log_var: AnyArray) -> Array:
    """The differential entropy, summed over the last axis, in nats."""
    return 0.5 * jnp.sum(log_var + 1 + LOG_2PI, axis=-1)
