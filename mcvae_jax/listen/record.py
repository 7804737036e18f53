"""What both have played -> a MIDI file with a track for each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.listen.hearing import Note
from mcvae_jax.music.midi import write_midi
from mcvae_jax.music.score import Score, Track
from mcvae_jax.places import on_this_machine

_TICKS = 480  # of a quarter, as in most files


def check_place(path: str) -> Path:
    """The file that is to be written; UserError where that would replace one, or cannot be."""
    place = Path(on_this_machine(path))
    if place.suffix.lower() not in (".mid", ".midi"):
        raise UserError(f"--record={path}: what is played is kept as MIDI; let the name end in .mid")
    if place.exists():
        raise UserError(f"--record={path}: there is such a file, which stays as it is; name another one")
    if not place.parent.is_dir():
        raise UserError(f"--record={path}: there is no folder {place.parent}; make it first")
    return place


def write_record(
    path: Path, played: Sequence[Note], answered: Sequence[Note], quarter: int, tempo: float, metre: tuple[int, int]
) -> int:
    """Writes the notes as they were played, not as they were quantised; returns how many. Without notes no file.

    Args:
      quarter: steps, of which positions are.
      tempo: quarters a minute, that of the end.
    """
    parts = [(name, notes) for name, notes in (("You", played), ("Answer", answered)) if notes]
    if not parts:
        return 0
    earliest = min(note.start for _, notes in parts for note in notes)
    bar = 4 * quarter * metre[0] / metre[1]
    origin = min(0.0, earliest // bar * bar) if earliest < 0 else earliest // bar * bar
    tracks = tuple(_track(name, n, notes, origin, quarter) for n, (name, notes) in enumerate(parts))
    score = Score(tracks, _TICKS, np.array([[0, *metre]]), np.array([[0.0, tempo]]), title="Call and response")
    velocities = [[note.velocity for note in sorted(notes)] for _, notes in parts]
    write_midi(path, score, velocities=velocities)
    return sum(len(notes) for _, notes in parts)


def _track(name: str, channel: int, notes: Sequence[Note], origin: float, quarter: int) -> Track:
    notes = sorted(notes)
    at = np.array([[note.start, note.end] for note in notes]) - origin
    start, end = np.rint(at.T * _TICKS / quarter).astype(np.int64)
    return Track(name, channel, False, start, end, np.array([note.pitch for note in notes], np.int64))
