"""A key for each example, song and bar, so that what one is given does not depend on the others or on the layout."""

import enum
import functools
from collections.abc import Callable, Sequence
from hashlib import blake2b

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.nn.arrays import AnyArray


class Purpose(enum.IntEnum):
    """What a song's random numbers are for, so that no two draws of a song share a key."""

    GIVEN = 0
    LATENTS = 1
    TOKENS = 2
    LENGTH = 3
    ANOTHER = 4  # a whole song


def example_keys(key: jax.Array, index: AnyArray) -> jax.Array:
    """Keys (B,), one for each example, from the key of the step and the indices (B,) of the examples."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)


def song_keys(seed: int, numbers: Sequence[int], music: Sequence[np.ndarray] = ()) -> jax.Array:
    """A key for each song number, (S,): fold_in(key(seed), number), and the music that the song starts from.

    Without the music, song n would repeat its bars at the same places after whatever seed.

    Args:
      music: uint8 (n, T) for each song, whose hash is folded in where it has any bars; () is none for all.

    Raises:
      UserError: a number is not from 0 to 2^32 - 1.
    """
    if min(numbers) < 0 or max(numbers) >= 1 << 32:
        raise UserError(f"songs have numbers from 0 to 2^32 - 1, not {min(numbers)} to {max(numbers)}; change first")
    keys = _fold(jax.random.key(seed), np.asarray(numbers, np.uint32))
    if not any(len(bars) for bars in music):
        return keys
    hashes = np.array([_music_hash(bars) for bars in music], np.uint32)
    return _fold_music(keys, hashes, np.array([len(bars) > 0 for bars in music]))


def for_purpose(keys: jax.Array, purpose: Purpose) -> jax.Array:
    """The keys (S,) of songs for one purpose."""
    return _fold_purpose(keys, int(purpose))


def another(keys: jax.Array, n: int) -> jax.Array:
    """The keys (S,) of the n-th other draw of songs; the songs' own where n is 0."""
    return _fold_purpose(for_purpose(keys, Purpose.ANOTHER), n) if n else keys


def rows_of(keys: jax.Array) -> Callable[[np.ndarray], jax.Array]:
    """A function that takes some of the keys (S,), int (R,) -> (R,): an index into the keys themselves is slow."""
    data, kind = np.asarray(jax.random.key_data(keys)), jax.random.key_impl(keys)
    return lambda rows: jax.random.wrap_key_data(jnp.asarray(data[rows]), impl=kind)


def bar_keys(keys: jax.Array, lengths: Sequence[int]) -> jax.Array:
    """The keys of the bars of all songs, one song after the other, from the songs' keys (S,) and lengths in bars."""
    song = np.repeat(np.arange(len(lengths)), lengths)
    first = np.cumsum(lengths) - lengths
    return _fold_each(keys, song, (np.arange(len(song)) - first[song]).astype(np.uint32))


def _music_hash(bars: np.ndarray) -> int:
    """32 bits of the tokens of some bars, uint8 (n, T), and of their shape."""
    digest = blake2b(np.ascontiguousarray(bars).data, digest_size=4, person=str(bars.shape).encode()[:16])
    return int.from_bytes(digest.digest(), "little")


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
def _fold_music(keys: jax.Array, hashes: jax.Array, has_music: jax.Array) -> jax.Array:
    folded = jax.vmap(jax.random.fold_in)(keys, hashes)
    return jax.vmap(jax.numpy.where)(has_music, folded, keys)


@jax.jit
def _fold_each(keys: jax.Array, song: jax.Array, bar: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in)(keys[song], bar)
