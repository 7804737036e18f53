"""Masks of dropout, drawn from a key."""

import jax
import jax.numpy as jnp

Array = jax.Array


def kept(key: Array, share: float, shape: tuple[int, ...], scale: bool = True) -> Array | None:
    """float32 of `shape`: 0 where something is dropped, which is in a share of cases; None where the share is 0.

    scale: what is kept is multiplied so that the mean of the mask is 1.
    """
    if not share:
        return None
    mask = jax.random.bernoulli(key, 1 - share, shape).astype(jnp.float32)
    return mask / (1 - share) if scale else mask
