"""Attention by rotary positions: to what came before, along whole sequences or token by token with a cache; or to all.

Each query looks at itself and at the reach - 1 places before it (`attend`), or both ways (`attend_all`). Queries and
keys are turned by angles in proportion to their places, so that what one looks for in another depends on how far back
it lies, and not on where both are (Su et al. 2021, arXiv:2104.09864).

Letters: B sequences, N tokens, K heads, D width of a head, R reach.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

LONGEST_TURN = 10_000.0  # places that the slowest pair takes for about a radian


class Cache(NamedTuple):
    """The last R keys and values; place p stands in slot p % R."""

    keys: Array  # (B, R, K, D), rotated
    values: Array  # (B, R, K, D)


def rotated(x: Array, place: Array) -> Array:
    """x (B, N, K, D) with pairs (d, d + D / 2) turned by place * 10000^(-2 d / D), of places (B, N) or (N,)."""
    half = x.shape[-1] // 2
    speed = LONGEST_TURN ** (-jnp.arange(half) / half)
    angle = place[..., None, None] * speed
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def attend(q: Array, k: Array, v: Array, reach: int, dtype: jnp.dtype) -> Array:
    """What each place takes from those within its reach, (B, N, K, D) float32, of rotated q and k and of v.

    Memory grows with N * R, not with N * N: sequences longer than R are cut into blocks of R, each of which sees itself
    and the one before it.
    """
    sequences, count = q.shape[:2]
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    if count <= reach:
        return jax.nn.dot_product_attention(q, k, v, is_causal=True).astype(jnp.float32)
    blocks = -(-count // reach)
    q, k, v = (
        jnp.pad(x, ((0, 0), (0, blocks * reach - count), (0, 0), (0, 0))).reshape(
            sequences, blocks, reach, *x.shape[2:]
        )
        for x in (q, k, v)
    )
    k, v = (jnp.concatenate([jnp.pad(x[:, :-1], ((0, 0), (1, 0)) + ((0, 0),) * 3), x], axis=2) for x in (k, v))
    here, there = jnp.arange(reach)[:, None], jnp.arange(2 * reach)  # there - reach is the place within the own block
    seen = (there > here) & (there <= here + reach)
    seen = seen & ((jnp.arange(blocks) > 0)[:, None, None] | (there >= reach))  # nothing lies before the first
    mask = jnp.tile(seen, (sequences, 1, 1))[:, None]
    q, k, v = (x.reshape(-1, *x.shape[2:]) for x in (q, k, v))
    found = jax.nn.dot_product_attention(q, k, v, mask=mask)
    return found.reshape(sequences, blocks * reach, *found.shape[2:])[:, :count].astype(jnp.float32)


def fresh_cache(sequences: int, reach: int, heads: int, width: int, dtype: jnp.dtype) -> Cache:
    """That of sequences with nothing read."""
    zeros = jnp.zeros((sequences, reach, heads, width), dtype)
    return Cache(zeros, zeros)


def attend_next(cache: Cache, q: Array, k: Array, v: Array, place: Array) -> tuple[Cache, Array]:
    """The same as `attend` for one more token, (B, 1, K, D), with `place` (B,) read before it."""
    reach, dtype = cache.keys.shape[1], cache.keys.dtype
    rows, slot = jnp.arange(len(place)), place % reach
    keys, values = (old.at[rows, slot].set(new[:, 0].astype(dtype)) for old, new in zip(cache, (k, v), strict=True))
    known = jnp.minimum(place + 1, reach)
    found = jax.nn.dot_product_attention(q.astype(dtype), keys, values, key_value_seq_lengths=known)
    return Cache(keys, values), found.astype(jnp.float32)


def attend_all(q: Array, k: Array, v: Array, known: Array, dtype: jnp.dtype) -> Array:
    """What each place takes from all that are known, (B, N) bool, before and after it: (B, N, K, D) float32."""
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    return jax.nn.dot_product_attention(q, k, v, mask=known[:, None, None]).astype(jnp.float32)
