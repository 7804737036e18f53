"""Which reader reads a file: one table, by the end of its name, for corpora and seeds alike."""

import importlib
from typing import NamedTuple

from mcvae_jax.music.score import Reason, Score, Skip


class Format(NamedTuple):
    """A way to write music down, and what reads it."""

    name: str
    reader: str  # 'module:function', bytes -> list[Score | Skip]; imported when the first file needs it
    seconds: float  # that a file may take; a book of notation holds a thousand tunes
    is_notation: bool  # its metre, pickups and titles are stated, and not guessed from ticks


_MIDI = Format("MIDI", "mcvae_jax.music.midi:read_midi_file", 30.0, False)
_XML = Format("MusicXML", "mcvae_jax.music.musicxml:read_musicxml", 900.0, True)
FORMATS = {
    ".mid": _MIDI,
    ".midi": _MIDI,
    ".kar": _MIDI,
    ".rmi": _MIDI,
    ".rmid": _MIDI,
    ".abc": Format("ABC", "mcvae_jax.music.abc:read_abc", 900.0, True),
    ".xml": _XML,
    ".musicxml": _XML,
    ".mxl": Format("packed MusicXML", "mcvae_jax.music.musicxml:read_mxl", 900.0, True),
    ".krn": Format("Humdrum", "mcvae_jax.music.humdrum:read_humdrum", 900.0, True),
}
SUFFIXES = tuple(FORMATS)


def read_scores(data: bytes, suffix: str, channels: bool = False) -> list[Score | Skip]:
    """The tunes in a file's bytes, at least one, in order; a tune that cannot be read is a Skip in its place.

    Args: suffix is a key of FORMATS; channels fills in Track.channel, where the format has channels.
    Raises Skip where the whole file cannot be read, and nothing else.
    """
    if not data:
        raise Skip(Reason.EMPTY)
    module, function = FORMATS[suffix].reader.split(":")
    read = getattr(importlib.import_module(module), function)
    scores = read(data) if FORMATS[suffix].is_notation else read(data, channels)
    if not scores:
        raise Skip(Reason.NO_NOTES)
    if len(scores) == 1 and isinstance(scores[0], Skip):
        raise scores[0]
    return scores
