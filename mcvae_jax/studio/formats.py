"""The kinds of files that the studio writes: a row each, and nothing else in the studio or its page names them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.music.sheet.svg import can_engrave
from mcvae_jax.sampling.preview import render_wav
from mcvae_jax.sampling.scores import TYPES, WRITERS, sheet_of
from mcvae_jax.sampling.song import ComposedSong, Setting, write_song
from mcvae_jax.studio.messages import KEYS, Export, as_bars
from mcvae_jax.text import printable


class Format(NamedTuple):
    """A kind of file."""

    label: str  # for the page
    media: str  # its media type
    write: Callable[[ComposedSong], bytes]


def _midi(song: ComposedSong) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_song(path, song)
        return path.read_bytes()


def _wav(song: ComposedSong) -> bytes:
    return render_wav(song.bars, song.quarters_per_minute)


def _score(kind: str) -> Callable[[ComposedSong], bytes]:
    return lambda song: WRITERS[kind](sheet_of(song)).encode()


FORMATS = {
    ".mid": Format("MIDI", "audio/midi", _midi),
    ".wav": Format("sound (WAV)", "audio/wav", _wav),
    ".musicxml": Format("MusicXML", TYPES["musicxml"], _score("musicxml")),
    ".abc": Format("ABC", TYPES["abc"], _score("abc")),
}
if can_engrave():
    FORMATS[".svg"] = Format("score (SVG)", "image/svg+xml", _score("svg"))


def exported(asked: Export) -> tuple[bytes, str]:
    """The file that is asked for and its media type; UserError where it cannot be."""
    form = FORMATS.get(asked.suffix)
    if form is None:
        raise UserError(f"the studio writes {', '.join(FORMATS)}, and not {printable(asked.suffix)!r}")
    bars = as_bars(asked.bars, asked.steps)
    metre = parse_metre(asked.metre)
    if grid_of(asked.steps).steps_of(*metre) != asked.steps:
        raise UserError(f"a bar of {asked.metre} has not {asked.steps} steps")
    if asked.key not in KEYS:
        raise UserError(f"{printable(asked.key)!r} is no key; there are {', '.join(KEYS[1:])}")
    given = np.ones(len(bars), bool)
    given[: len(asked.composed)] = ~np.array(asked.composed, bool)[: len(bars)]
    setting = Setting(asked.tempo, metre, asked.key, asked.program)
    title = printable(asked.title).strip() or "My song"
    starts = np.flatnonzero(np.diff(given, prepend=not given[0])).tolist()
    sections = tuple((bar, "yours" if given[bar] else "answer") for bar in starts) if not given.all() else ((0, ""),)
    return form.write(ComposedSong("song", title, bars, given, setting, {}, sections)), form.media
