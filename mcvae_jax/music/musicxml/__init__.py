"""MusicXML, plain or packed (.mxl) -> Score.

archive.py unpacks, tree.py walks the XML measure by measure, part.py and marks.py read what a measure says, piece.py
puts the parts together. The format's definition is MusicXML 4.0 (W3C Community Group, 2021); where files of older
programs bend it, the comments say how.
"""

from mcvae_jax.music.musicxml.archive import PACKED, unpack
from mcvae_jax.music.musicxml.piece import parts_to_piece
from mcvae_jax.music.musicxml.tree import read_tree
from mcvae_jax.music.notation import read_piece
from mcvae_jax.music.score import Score, Skip


def read_musicxml(data: bytes) -> list[Score | Skip]:
    """The one score of a file: all notes of chords kept, repeats played, ties merged (measures.lay_out).

    A packed score under the name of a plain one is unpacked. Raises Skip where that is impossible.
    """
    if data.startswith(PACKED):
        data = unpack(data)
    return [read_piece(lambda xml: parts_to_piece(*read_tree(xml)), data)]


def read_mxl(data: bytes) -> list[Score | Skip]:
    """The score of a packed file; a plain one under that name is read too. Raises Skip where it cannot be unpacked."""
    return read_musicxml(data if data.lstrip().startswith(b"<") else unpack(data))
