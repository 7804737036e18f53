"""Humdrum **kern -> Score."""

from mcvae_jax.music.measures import Piece
from mcvae_jax.music.notation import read_piece, text_of
from mcvae_jax.music.score import Score, Skip
from mcvae_jax.music.streams import stream_to_piece


def read_humdrum(data: bytes) -> list[Score | Skip]:
    """The one score of a file: all notes of chords kept, repeats played, ties merged (measures.lay_out)."""
    return [read_piece(_kern_to_piece, data)]


def _kern_to_piece(data: bytes) -> Piece:
    """A Humdrum **kern score."""
    from music21.humdrum.spineParser import HumdrumDataCollection

    collection = HumdrumDataCollection(text_of(data).splitlines())
    collection.parse()
    return stream_to_piece(collection.stream)
