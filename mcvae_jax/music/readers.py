"""Which reader reads a file: one table, by the end of its name, for corpora and seeds alike."""

import importlib
from pathlib import PurePosixPath
from typing import NamedTuple

from mcvae_jax.children import Failure, How, Limits
from mcvae_jax.music.score import Reason, Score, Skip, lacks_memory
from mcvae_jax.text import brief


class Format(NamedTuple):
    """A way to write music down, what reads it, and what a file of it may cost.

    A book of a thousand tunes may take long, one tune may not: so time goes by size, about ten times what honest files
    were measured to need (docs/results.md).
    """

    name: str
    reader: str  # 'module:function', bytes -> list[Score | Skip]; imported when the first file needs it
    max_bytes: int
    seconds: float  # of processor time, for a file of any size
    seconds_per_mebibyte: float  # and so many more for what it is long
    mebibytes: int  # of memory
    is_notation: bool  # its metre, pickups and titles are stated, and not guessed from ticks


_MIDI = Format("MIDI", "mcvae_jax.music.midi:read_midi_file", 4 << 20, 10.0, 0.0, 512, False)
_XML = Format("MusicXML", "mcvae_jax.music.musicxml:read_musicxml", 32 << 20, 10.0, 10.0, 1024, True)
FORMATS = {
    ".mid": _MIDI,
    ".midi": _MIDI,
    ".kar": _MIDI,
    ".rmi": _MIDI,
    ".rmid": _MIDI,
    ".abc": Format("ABC", "mcvae_jax.music.abc.book:read_abc", 16 << 20, 10.0, 30.0, 1024, True),
    ".xml": _XML,
    ".musicxml": _XML,
    ".mxl": Format("packed MusicXML", "mcvae_jax.music.musicxml:read_mxl", 4 << 20, 10.0, 200.0, 1024, True),
    ".krn": Format("Humdrum", "mcvae_jax.music.humdrum:read_humdrum", 4 << 20, 10.0, 250.0, 1024, True),
}
SUFFIXES = tuple(FORMATS)
_REASONS = {
    How.CRASHED: Reason.CRASHED,
    How.TOO_SLOW: Reason.TOO_SLOW,
    How.TOO_MUCH_MEMORY: Reason.TOO_MUCH_MEMORY,
    How.TOO_LARGE: Reason.TOO_LARGE,
}


def music_suffix(name: str) -> str:
    """The key of FORMATS by which a file is music; '' for any other, and for what macOS adds to archives."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in FORMATS and not PurePosixPath(name).name.startswith("._") else ""


def limits_of(suffix: str, size: int) -> Limits:
    """What reading a file of so many bytes may use; suffix is a key of FORMATS."""
    form = FORMATS[suffix]
    size = min(size, form.max_bytes)  # no more of it is read
    return Limits(form.seconds + form.seconds_per_mebibyte * size / (1 << 20), form.mebibytes)


def check_size(suffix: str, size: int) -> None:
    """Raises Skip for a file of more bytes than are read."""
    largest = FORMATS[suffix].max_bytes
    if size > largest:
        raise Skip(Reason.TOO_LARGE, f"over {largest:,} bytes")


def skip_of(failure: Failure) -> Skip:
    """The child that read a file failed: the reason why the file is skipped."""
    return Skip(_REASONS[failure.how], failure.detail)


def read_scores(data: bytes, suffix: str, channels: bool = False) -> list[Score | Skip]:
    """The tunes in a file's bytes, at least one, in order; a tune that cannot be read is a Skip in its place.

    Args: suffix is a key of FORMATS; channels fills in Track.channel, where the format has channels.
    Raises Skip where the whole file cannot be read, whatever went wrong within its reader, and MemoryError where this
    process has no more memory.
    """
    if not data:
        raise Skip(Reason.EMPTY)
    check_size(suffix, len(data))
    module, function = FORMATS[suffix].reader.split(":")
    read = getattr(importlib.import_module(module), function)
    try:
        scores = read(data) if FORMATS[suffix].is_notation else read(data, channels)
    except Exception as error:
        if lacks_memory(error):
            raise MemoryError from error
        if isinstance(error, Skip):
            raise
        raise Skip(Reason.DAMAGED, brief(f"{type(error).__name__}: {error}")) from error
    if not scores:
        raise Skip(Reason.NO_NOTES)
    if len(scores) == 1 and isinstance(scores[0], Skip):
        raise scores[0]
    return scores
