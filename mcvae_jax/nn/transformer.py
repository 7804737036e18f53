"""Layers of a transformer: causal, along whole sequences and one place at a time with a cache, or seeing both ways.

A layer is that of GPT-2 (Radford et al. 2019): norm, attention, sum; norm, two dense layers, sum. How far back another
place lies it knows by rotary positions (Su et al. 2021), and causal attention reaches R places back, itself counted.

Letters: B sequences, N places, H units, L layers, K heads, D width of a head, R reach.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.nn.attention import Cache, attend, attend_all, attend_next, fresh_cache, rotated
from mcvae_jax.nn.layers import Dense

Array = jax.Array

WIDER = 4  # times H is what lies between the two dense layers

Memory = tuple[Cache, ...]  # of each layer
Parts = tuple[Array, Array, Array]  # queries, keys and values, (B, N, K, D) each


class Block(nn.Module):
    """One layer: what it adds to x, (B, N, H)."""

    units: int
    heads: int
    dtype: Any

    def setup(self) -> None:
        self.norms = [nn.LayerNorm() for _ in range(2)]
        self.sought = Dense(3 * self.units, self.dtype)
        self.found = Dense(self.units, self.dtype)
        self.wide = Dense(WIDER * self.units, self.dtype)
        self.narrow = Dense(self.units, self.dtype)

    def split(self, x: Array, place: Array) -> tuple[Array, Array, Array]:
        """Queries, keys and values, (B, N, K, D), of places (B, N) or (N,)."""
        parts = self.sought(self.norms[0](x)).reshape(*x.shape[:2], 3, self.heads, -1)
        q, k, v = (parts[:, :, n] for n in range(3))
        return rotated(q, place), rotated(k, place), v

    def joined(self, x: Array, attended: Array, mask: Array | None) -> Array:
        """x with what attention found, (B, N, K, D), and what the dense layers make of it; mask (B, N, H) of both."""
        kept = jnp.ones(()) if mask is None else mask
        x = x + kept * self.found(attended.reshape(x.shape))
        return x + kept * self.narrow(nn.gelu(self.wide(self.norms[1](x))))


def along(blocks: Sequence[Block], x: Array, reach: int, hidden: Array | None = None) -> Array:
    """One layer after the other over x (B, N, H); hidden are masks of what each adds, (B, L, N, H)."""
    return _through(blocks, x, lambda block, parts: attend(*parts, reach, block.dtype), hidden)


def both_ways(blocks: Sequence[Block], x: Array, known: Array, hidden: Array | None = None) -> Array:
    """The same with attention to all places that are known, (B, N) bool, before and after each."""
    return _through(blocks, x, lambda block, parts: attend_all(*parts, known, block.dtype), hidden)


def _through(
    blocks: Sequence[Block], x: Array, attention: Callable[[Block, Parts], Array], hidden: Array | None
) -> Array:
    place = jnp.arange(x.shape[1])
    for n, block in enumerate(blocks):
        x = block.joined(x, attention(block, block.split(x, place)), None if hidden is None else hidden[:, n])
    return x


def fresh_memory(blocks: Sequence[Block], sequences: int, reach: int) -> Memory:
    """That of sequences with nothing read."""
    return tuple(fresh_cache(sequences, reach, b.heads, b.units // b.heads, b.dtype) for b in blocks)


def step(blocks: Sequence[Block], memory: Memory, x: Array, place: Array) -> tuple[Memory, Array]:
    """The same as `along` for one more place, x (B, 1, H), with `place` (B,) read before it."""
    caches = []
    for block, cache in zip(blocks, memory, strict=True):
        cache, attended = attend_next(cache, *block.split(x, place[:, None]), place)
        x = block.joined(x, attended, None)
        caches.append(cache)
    return tuple(caches), x


def check_heads(units: int, heads: int) -> None:
    """UserError where config.model.heads cannot share the units."""
    if units % (2 * heads):
        raise UserError(
            f"config.model.units is {units} and heads is {heads}; units must be a multiple of twice"
            " the heads, since the width of a head is turned in pairs"
        )
