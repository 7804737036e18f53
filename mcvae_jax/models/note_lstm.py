"""An LSTM over the notes of whole songs (thesis 1.1.5, 1.1.6), a model of models/notes.py.

Letters: B songs, N bars, T steps of a bar, H units, L layers, V outcomes (130).
"""

from typing import Any

import jax

from mcvae_jax.models.notes import DROPOUT, PHRASE, Dropout, NoteModel, NoteNetwork
from mcvae_jax.music.tokens import BAR
from mcvae_jax.nn.layers import Dense, LSTMLayer, States, check_sizes, fresh_states, operand_dtype, through

Array = jax.Array

FIELDS = {"model": {"units": int, "layers": int, "matmul_dtype": str}} | DROPOUT  # the sections that are its own


class NoteLSTM(NoteNetwork):
    """The network; its memory is (h, c) of each layer, each (B, H)."""

    def setup(self) -> None:
        first = (self.outcomes + 1, self.steps, PHRASE)
        self.lstm = [LSTMLayer(self.units, (self.units,) if n else first, self.dtype) for n in range(self.layers)]
        self.heads = Dense(self.outcomes + 1, self.dtype)

    @property
    def masks(self) -> int:
        """One for the outputs of each layer."""
        return self.layers

    def along(self, inputs: tuple[Array, Array, Array], hidden: Array | None) -> Array:
        """See `NoteNetwork`."""
        memory = fresh_states(self.lstm, inputs[0].shape[0])
        return self._through(memory, inputs, hidden)[1].swapaxes(0, 1)

    def fresh(self, songs: int) -> States:
        """See `NoteNetwork`."""
        return fresh_states(self.lstm, songs)

    def step(self, memory: States, inputs: tuple[Array, Array, Array], place: Array) -> tuple[States, Array]:
        """See `NoteNetwork`."""
        memory, outputs = self._through(memory, inputs)
        return memory, outputs[0]

    def _through(
        self, memory: States, inputs: tuple[Array, Array, Array], hidden: Array | None = None
    ) -> tuple[States, Array]:
        """The memory after some tokens, and the outputs after each, (tokens, B, V + 1)."""
        memory, found = through(self.lstm, memory, tuple(each.T for each in inputs), hidden)
        return memory, self.heads(found)


def make_notes(config: Any, steps: int = BAR) -> NoteModel:
    """The model of configs/note_lstm.py; UserError for a size, a share or a number format that cannot be."""
    fields = dict(config["model"])
    dtype = operand_dtype(fields.pop("matmul_dtype"))
    check_sizes(fields, ("units", "layers"))
    return NoteModel(NoteLSTM(**fields, steps=steps, dtype=dtype), Dropout(**config["dropout"]))
