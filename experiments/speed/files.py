"""Readers of others, to compare with: they parse alone, and make no bars."""

import io

import mido

from experiments.speed.work import Sizes, Work
from mcvae_jax.corpus.sources import File, list_files
from mcvae_jax.errors import UserError

FEW = 60  # files that slow readers get in a round: every n-th


def music_files(source: str) -> list[File]:
    """Those of a folder; UserError where it holds none."""
    files = [file for file in list_files(source)[0] if isinstance(file, File)]
    if not files:
        raise UserError(f"{source!r} holds no music files; give a folder of MIDI files")
    return files


def with_mido(sizes: Sizes) -> Work:
    """Items are files."""
    few = _few(sizes)
    return Work(len(few), lambda: [mido.MidiFile(file=io.BytesIO(data)) for data in few] and None)


def with_pretty_midi(sizes: Sizes) -> Work:
    """Items are files."""
    import pretty_midi  # no dependency of the project

    few = _few(sizes)
    return Work(len(few), lambda: [pretty_midi.PrettyMIDI(io.BytesIO(data)) for data in few] and None)


def _few(sizes: Sizes) -> list[bytes]:
    files = music_files(sizes.source)
    return [file.read() for file in files[:: max(1, len(files) // FEW)]]
