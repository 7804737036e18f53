"""Diagonal Gaussians, in nats, from their mean and log variance; the last axis holds the dimensions (Z)."""

import math

from mcvae_jax.nn.arrays import SameArray, numpy_of

LOG_2PI = math.log(2 * math.pi)


def kl_to_standard(mu: SameArray, log_var: SameArray) -> SameArray:
    """KL(N(mu, exp(log_var)) || N(0, 1)) of each dimension, in nats (thesis 4.13, with log sigma^2 for log mu^2).

    `expm1` keeps it accurate, and not below zero by more than a rounding, where the two agree.
    """
    return 0.5 * (mu * mu + (numpy_of(mu, log_var).expm1(log_var) - log_var))


def log_densities(x: SameArray, mu: SameArray, log_var: SameArray) -> SameArray:
    """log N(x; mu, exp(log_var)) of each dimension, in nats."""
    return -0.5 * ((x - mu) ** 2 * numpy_of(x, mu, log_var).exp(-log_var) + log_var + LOG_2PI)


def log_density(x: SameArray, mu: SameArray, log_var: SameArray) -> SameArray:
    """The same summed over the last axis."""
    return numpy_of(x, mu, log_var).sum(log_densities(x, mu, log_var), axis=-1)


def entropy(log_var: SameArray) -> SameArray:
    """The differential entropy, summed over the last axis, in nats."""
    return 0.5 * numpy_of(log_var).sum(log_var + 1 + LOG_2PI, axis=-1)
