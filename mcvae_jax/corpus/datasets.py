"""The table of data sets that a corpus can be made of by name, beside files and folders."""

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from mcvae_jax.music.score import Score, Skip


class DataSet(NamedTuple):
    """A row; functions are written 'module:function'."""

    name: str  # config.corpus.source
    description: str  # what it holds
    licence: str
    scores: str  # () -> names and scores, sorted by name or in the order of the collection
    fingerprint: str = ""  # () -> a text that changes when the scores may be others; '' where they never change

    def read(self) -> Iterator[tuple[str, Score | Skip]]:
        """The names of its pieces, and their scores or why there are none; UserError where it cannot be had."""
        return _load(self.scores)()

    def state(self) -> str:
        """Changes when `read` may give other scores than before; '' where it never does, or is not known."""
        return _load(self.fingerprint)() if self.fingerprint else ""


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


_BUILTIN = "mcvae_jax.corpus.builtin"
DATA_SETS = {
    row.name: row
    for row in (
        DataSet(
            "builtin",
            "3,068 fiddle tunes of Ryan's Mammoth Collection and O'Neill's Music of Ireland, which music21 carries",
            "tunes in the public domain; see corpus/builtin.py for what music21 says of the transcriptions",
            f"{_BUILTIN}:fiddle_tunes",
            f"{_BUILTIN}:fingerprint",
        ),
        DataSet(
            "tunes",
            "our own 23 melodies",
            "public domain, written out under this project's licence",
            f"{_BUILTIN}:own_tunes",
        ),
    )
}
