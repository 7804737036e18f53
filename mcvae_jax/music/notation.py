"""What the readers of notation share: text, ticks, names of keys, and one answer to whatever goes wrong."""

import codecs
from collections.abc import Callable
from typing import TypeVar

from mcvae_jax.music.measures import TICKS_PER_QUARTER, Piece, piece_to_score
from mcvae_jax.music.score import Reason, Score, Skip, lacks_memory
from mcvae_jax.text import brief

Source = TypeVar("Source")


def read_piece(reader: Callable[[Source], Piece], source: Source) -> Score | Skip:
    """Whatever goes wrong inside music21 on a damaged source is that source's failure, not ours.

    Raises MemoryError, which is about the process and not about one piece.
    """
    try:
        return piece_to_score(reader(source))
    except Exception as error:
        if lacks_memory(error):
            raise MemoryError from error
        if isinstance(error, Skip):
            return error
        return Skip(Reason.DAMAGED, brief(f"{type(error).__name__}: {error}"))


def text_of(data: bytes) -> str:
    """UTF-8 where it is valid, else Latin-1, in which most older ABC is written; UTF-16 where it is marked as such."""
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def to_ticks(quarters: float) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def key_name(sharps: int, mode: str | None) -> str:
    """Modes are named after the major or minor key with the same signature, whichever has their third."""
    fifths = sharps + (4 if mode in ("minor", "aeolian", "dorian", "phrygian", "locrian") else 1)  # from F
    return "FCGDAEB"[fifths % 7] + {-1: "b", 0: "", 1: "#"}[fifths // 7] + ("m" if fifths > sharps + 1 else "")
