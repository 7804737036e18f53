"""Finite scalar quantisation (Mentzer et al. 2024, arXiv:2309.15505): vectors of few dimensions as codes.

Each dimension is squashed to its number of levels and rounded, and gradients pass the rounding unchanged. A code is the
number of a combination of levels, the first dimension counting fastest; there is no table to be learnt, and none of
whose rows could fall into disuse.

Letters: d dimensions, V codes, the product of the levels.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.nn.arrays import AnyArray

Array = jax.Array
Levels = tuple[int, ...]  # of each dimension, 2 or more

MARGIN = 1e-3  # share of the range that tanh reaches only at infinity, so that no value lies on the edge of rounding


def quantised(z: Array, levels: Levels) -> Array:
    """z (..., d) rounded to levels, each from -1 to 1 (0.75 or less at the upper end of an even number).

    Its gradient is that of the squashed z, as if it were not rounded.
    """
    half = (np.array(levels) - 1) * (1 - MARGIN) / 2
    offset = np.where(np.array(levels) % 2, 0.0, 0.5)  # levels of an even number lie on -L/2 to L/2 - 1
    squashed = jnp.tanh(z + np.tan(offset / half)) * half - offset
    rounded = squashed + jax.lax.stop_gradient(jnp.round(squashed) - squashed)
    return rounded / (np.array(levels) // 2)


def codes_of(values: Array, levels: Levels) -> Array:
    """The codes, int32 (...) below V, of quantised values (..., d)."""
    half = np.array(levels) // 2
    digits = jnp.round(values * half).astype(jnp.int32) + half
    return jnp.sum(digits * _steps(levels), axis=-1)


def values_of(codes: AnyArray, levels: Levels) -> Array:
    """The quantised values (..., d) of codes (...)."""
    digits = jnp.asarray(codes)[..., None] // _steps(levels) % np.array(levels)
    return digits / (np.array(levels) // 2) - 1


def count(levels: Levels) -> int:
    """V."""
    return math.prod(levels)


def _steps(levels: Levels) -> np.ndarray:
    """By how much a code grows with one level of each dimension, (d,)."""
    return np.cumprod((1, *levels[:-1]))
