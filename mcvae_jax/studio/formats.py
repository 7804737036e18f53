"""The kinds of files that the studio writes: a row each, and nothing else in the studio or its page names them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.metre import parse_metre
from mcvae_jax.sampling.preview import render_wav
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


FORMATS = {
    ".mid": Format("MIDI", "audio/midi", _midi),
    ".wav": Format("Sound (WAV)", "audio/wav", _wav),
}


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
    return form.write(ComposedSong("song", title, bars, given, setting, {})), form.media
