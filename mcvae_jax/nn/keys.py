"""A key for each example, song and bar, so that what one is given does not depend on the others or on the layout."""

import enum
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError


class Purpose(enum.IntEnum):
    """What a song's random numbers are for, so that no two draws of a song share a key."""

    GIVEN = 0
    LATENTS = 1
    TOKENS = 2


def example_keys(key: jax.Array, index: jax.Array) -> jax.Array:
    """Keys (B,), one for each example, from the key of the step and the indices (B,) of the examples."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)


def song_keys(seed: int, numbers: Sequence[int]) -> jax.Array:
    """A key for each song number, (S,); UserError for a number that is not from 0 to 2^32 - 1."""
    if min(numbers) < 0 or max(numbers) >= 1 << 32:
        raise UserError(f"songs have numbers from 0 to 2^32 - 1, not {min(numbers)} to {max(numbers)}; change first")
    return _fold(jax.random.key(seed), np.asarray(numbers, np.uint32))


def for_purpose(keys: jax.Array, purpose: Purpose) -> jax.Array:
    """The keys (S,) of songs for one purpose."""
    return _fold_purpose(keys, int(purpose))


def bar_keys(keys: jax.Array, lengths: Sequence[int]) -> jax.Array:
    """The keys of the bars of all songs, one song after the other, from the songs' keys (S,) and lengths in bars."""
    bars = np.concatenate([np.arange(length, dtype=np.uint32) for length in lengths])
    return _fold_each(keys, np.repeat(np.arange(len(lengths)), lengths), bars)


@functools.partial(jax.jit, static_argnums=(1, 2))
def normal(key: jax.Array, bars: int, latent: int) -> jax.Array:
    """Standard normal (bars, latent) of a song; a bar's depends on the key and its number alone."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(bars))
    return jax.vmap(lambda k: jax.random.normal(k, (latent,)))(keys)


@jax.jit
def _fold_purpose(keys: jax.Array, purpose: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, purpose)


@jax.jit
def _fold(key: jax.Array, numbers: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)


@jax.jit
def _fold_each(keys: jax.Array, song: jax.Array, bar: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in)(keys[song], bar)
