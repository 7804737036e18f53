"""The random numbers of songs: fold_in(key(seed), song number), then what they are for, then the bar."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError

GIVEN, LATENTS, TOKENS = range(3)  # what the numbers are for, so that no two draws of a song share a key


def song_keys(seed: int, numbers: Sequence[int], purpose: int) -> jax.Array:
    """A key for each song number, (S,); UserError for a number that is not from 0 to 2^32 - 1."""
    if min(numbers) < 0 or max(numbers) >= 1 << 32:
        raise UserError(f"songs have numbers from 0 to 2^32 - 1, not {min(numbers)} to {max(numbers)}; change first")
    return _fold(jax.random.key(seed), np.asarray(numbers, np.uint32), purpose)


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
def _fold(key: jax.Array, numbers: jax.Array, purpose: jax.Array) -> jax.Array:
    return jax.vmap(lambda n: jax.random.fold_in(jax.random.fold_in(key, n), purpose))(numbers)


@jax.jit
def _fold_each(keys: jax.Array, song: jax.Array, bar: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in)(keys[song], bar)
