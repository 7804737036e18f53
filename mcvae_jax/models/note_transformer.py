"""A transformer over the notes of whole songs, a model of models/notes.py: it can look at what it copies.

Tokens are read with the step of the bar and the bar of the phrase, as the note LSTM reads them; how far back another
token lies it knows by rotary positions (Su et al. 2021). Layers are those of GPT-2 (Radford et al. 2019): norm,
attention, sum; norm, two dense layers, sum. Attention reaches `memory` bars back, each layer from what the layer below
has gathered there; songs of up to so many bars are seen whole.

Letters: B songs, N tokens, H units, L layers, K heads, D width of a head, V outcomes.
"""

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.errors import UserError
from mcvae_jax.models.notes import DROPOUT, PHRASE, Dropout, NoteModel, NoteNetwork
from mcvae_jax.music.tokens import BAR
from mcvae_jax.nn.attention import Cache, attend, attend_next, fresh_cache, rotated
from mcvae_jax.nn.layers import Dense, check_sizes, operand_dtype
from mcvae_jax.nn.lstm import token_rows

Array = jax.Array

FIELDS = {
    "model": {"units": int, "layers": int, "heads": int, "memory": int, "matmul_dtype": str}
} | DROPOUT  # the sections that are its own
WIDER = 4  # times H is what lies between the two dense layers

Memory = tuple[Cache, ...]  # of each layer


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


class NoteTransformer(NoteNetwork):
    """The network; its memory is a cache of each layer."""

    units: int = 128
    layers: int = 5
    heads: int = 2
    memory: int = 32  # bars

    def setup(self) -> None:
        init = nn.initializers.normal(1 / math.sqrt(3))  # so that the sum of the three has a deviation of 1
        widths = (self.outcomes + 1, self.steps, PHRASE)
        self.tables = [self.param(f"table{n}", init, (width, self.units)) for n, width in enumerate(widths)]
        self.blocks = [Block(self.units, self.heads, self.dtype) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.said = Dense(self.outcomes + 1, self.dtype)

    @property
    def masks(self) -> int:
        """One for what each layer adds, in both of its sums."""
        return self.layers

    @property
    def reach(self) -> int:
        """Tokens that attention sees: those of `memory` bars, and the one after them, or START before them."""
        return self.memory * self.steps + 1

    def along(self, inputs: tuple[Array, Array, Array], hidden: Array | None) -> Array:
        """See `NoteNetwork`."""
        x = self._embedded(inputs)
        place = jnp.arange(x.shape[1])
        for n, block in enumerate(self.blocks):
            attended = attend(*block.split(x, place), self.reach, self.dtype)
            x = block.joined(x, attended, None if hidden is None else hidden[:, n])
        return self.said(self.norm(x))

    def fresh(self, songs: int) -> Memory:
        """See `NoteNetwork`."""
        width = self.units // self.heads
        return tuple(fresh_cache(songs, self.reach, self.heads, width, self.dtype) for _ in range(self.layers))

    def step(self, memory: Memory, inputs: tuple[Array, Array, Array], place: Array) -> tuple[Memory, Array]:
        """See `NoteNetwork`."""
        x, caches = self._embedded(inputs), []
        for block, cache in zip(self.blocks, memory, strict=True):
            cache, attended = attend_next(cache, *block.split(x, place[:, None]), place)
            x = block.joined(x, attended, None)
            caches.append(cache)
        return tuple(caches), self.said(self.norm(x))[:, 0]

    def _embedded(self, inputs: tuple[Array, Array, Array]) -> Array:
        of_token, of_step, of_bar = (token_rows(*pair, self.dtype) for pair in zip(self.tables, inputs, strict=True))
        return of_token + of_step + of_bar


def make_notes(config: Any, steps: int = BAR) -> NoteModel:
    """The model of configs/note_transformer.py; UserError for a size, a share or a format that cannot be."""
    fields = dict(config["model"])
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("units", "layers", "heads", "memory"))
    check_heads(fields)
    return NoteModel(NoteTransformer(**fields, steps=steps, dtype=dtype), Dropout(**config["dropout"]))


def check_heads(fields: Mapping[str, Any]) -> None:
    """UserError where the units of config.model cannot be shared among its heads."""
    if fields["units"] % (2 * fields["heads"]):
        raise UserError(
            f"config.model.units is {fields['units']} and heads is {fields['heads']}; units must be a multiple of twice"
            " the heads, since the width of a head is turned in pairs"
        )
