"""A transformer over the notes of whole songs, a model of models/notes.py: it can look at what it copies.

Tokens are read with the step of the bar and the bar of the phrase, as the note LSTM reads them, by the layers of
nn/transformer.py. Attention reaches `memory` bars back, each layer from what the layer below has gathered there; songs
of up to so many bars are seen whole.

Letters: B songs, N tokens, H units, V outcomes.
"""

import math
from typing import Any

import flax.linen as nn
import jax

from mcvae_jax.models.notes import DROPOUT, PHRASE, Dropout, NoteModel, NoteNetwork
from mcvae_jax.music.tokens import BAR
from mcvae_jax.nn import transformer
from mcvae_jax.nn.layers import Dense, check_sizes, operand_dtype
from mcvae_jax.nn.lstm import token_rows
from mcvae_jax.nn.transformer import Block, Memory, check_heads

Array = jax.Array

FIELDS = {
    "model": {"units": int, "layers": int, "heads": int, "memory": int, "matmul_dtype": str}
} | DROPOUT  # the sections that are its own


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
        return self.said(self.norm(transformer.along(self.blocks, self._embedded(inputs), self.reach, hidden)))

    def fresh(self, songs: int) -> Memory:
        """See `NoteNetwork`."""
        return transformer.fresh_memory(self.blocks, songs, self.reach)

    def step(self, memory: Memory, inputs: tuple[Array, Array, Array], place: Array) -> tuple[Memory, Array]:
        """See `NoteNetwork`."""
        memory, x = transformer.step(self.blocks, memory, self._embedded(inputs), place)
        return memory, self.said(self.norm(x))[:, 0]

    def _embedded(self, inputs: tuple[Array, Array, Array]) -> Array:
        of_token, of_step, of_bar = (token_rows(*pair, self.dtype) for pair in zip(self.tables, inputs, strict=True))
        return of_token + of_step + of_bar


def make_notes(config: Any, steps: int = BAR) -> NoteModel:
    """The model of configs/note_transformer.py; UserError for a size, a share or a format that cannot be."""
    fields = dict(config["model"])
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("units", "layers", "heads", "memory"))
    check_heads(fields["units"], fields["heads"])
    return NoteModel(NoteTransformer(**fields, steps=steps, dtype=dtype), Dropout(**config["dropout"]))
