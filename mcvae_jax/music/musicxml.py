"""MusicXML, plain or packed (.mxl) -> Score."""

import io
import zipfile
import zlib
from xml.etree import ElementTree

from mcvae_jax.music.measures import Piece
from mcvae_jax.music.notation import read_piece
from mcvae_jax.music.score import Reason, Score, Skip
from mcvae_jax.music.streams import stream_to_piece

MAX_XML_BYTES = 64 * 2**20  # of an unpacked .mxl


def read_musicxml(data: bytes) -> list[Score | Skip]:
    """The one score of a file: all notes of chords kept, repeats played, ties merged (measures.lay_out)."""
    return [read_piece(_musicxml_to_piece, data)]


def read_mxl(data: bytes) -> list[Score | Skip]:
    """The score of a packed file. Raises Skip where it cannot be unpacked."""
    return read_musicxml(_unpacked(data))


def _unpacked(data: bytes) -> bytes:
    """The score inside an .mxl. Raises Skip where there is none, or one over MAX_XML_BYTES."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith("ml")]
            if not names or archive.getinfo(names[0]).file_size > MAX_XML_BYTES:
                raise Skip(Reason.DAMAGED, "no score of a usable size in the .mxl")
            return archive.read(names[0])
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise Skip(Reason.DAMAGED, str(error)) from error


def _musicxml_to_piece(data: bytes) -> Piece:
    """A MusicXML score. Entities are refused: no honest score has them, and they can grow without bound."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise Skip(Reason.DAMAGED, "it defines XML entities")
    importer = MusicXMLImporter()
    importer.xmlRootToScore(ElementTree.fromstring(data), importer.stream)
    return stream_to_piece(importer.stream)
