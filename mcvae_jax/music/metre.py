"""Where bars start: the metre that a file states, pickups, performances set down across the bar lines."""

import re
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import Grid
from mcvae_jax.music.regular import Edit, Signature, bar_length, find_edits, main_metre
from mcvae_jax.music.score import Reason, Score, Skip, Track, columns
from mcvae_jax.music.tokens import to_steps

_DENOMINATORS = (1, 2, 4, 8, 16, 32)
_CLEARER = 1.25  # accents so much clearer every three quarters than every four are music in three (docs/music.md)


class Bars(NamedTuple):
    """Where the bars of a grid stand in a score."""

    origin: int  # the tick of a downbeat
    edits: tuple[Edit, ...] = ()  # what makes the bars from there on regular


def find_bars(score: Score, melody: Track, grid: Grid, metre: str = "") -> Bars:
    """The tick of a downbeat, so that the bars of the grid before and after it start on downbeats.

    A stated pickup says where the first downbeat is, and so do first time signatures that hold for no more than
    a bar; else bars count from the first time signature. Of stated bars that are shorter than the grid's, the first
    that starts with a note of the melody, or comes after its pickup, begins one of the grid. Where the onsets
    show that the time signature does not stand on a beat, or where it states no more than a beat (1/4), the
    file is a performance set down across the bar lines: then the grid is that of its onsets, and a downbeat
    is where its long low notes start. A few bars that are too short or too long are made regular (find_edits).

    Args:
      melody: the chosen track, with at least one note.
      metre: 'N/D' in place of what the file states, and no look at its accents; '' takes the
        file's, or 4/4 where it states none.
    Raises Skip where the metre does not fill bars of the grid, or many bars do not fit it.
    """
    per_quarter = score.ticks_per_quarter
    stated = _in_force(score, melody)
    signatures = stated if score.pickup >= 0 else _from_first_bar(stated, grid.ticks(per_quarter))
    _, beats, unit = signatures[0]  # not of a pickup, which notation programs write as a bar of 1/4
    only_beats = 4 * beats <= unit and bar_length(signatures[0], per_quarter) < grid.ticks(per_quarter)
    signatures = [(0, *parse_metre(metre))] if metre else signatures
    origin = score.pickup if score.pickup >= 0 else signatures[0][0]
    if False in [grid.fits(numerator, denominator) for _, numerator, denominator in signatures]:
        _, numerator, denominator = main_metre(signatures, origin, int(melody.end.max()))
        if not grid.fits(numerator, denominator):
            raise Skip(Reason.METRE, f"{numerator}/{denominator}, not {grid.bar} steps")
    if score.pickup >= 0:
        return Bars(origin, find_edits(signatures, origin, melody, per_quarter, grid))
    notes = columns([track for track in score.tracks if not track.is_drum])
    shift = _grid_shift(notes[0] - origin, per_quarter, grid)
    if shift or only_beats:
        if find_edits(signatures, origin, melody, per_quarter, grid):
            raise Skip(Reason.MIXED_METRES, "and its notes keep to no metre")
        origin += shift
        return Bars(origin + _accented(notes, origin, per_quarter, grid, check=not metre))
    origin = _first_bar(origin, bar_length(signatures[0], per_quarter), per_quarter // (2 * grid.quarter), melody)
    return Bars(origin, find_edits(signatures, origin, melody, per_quarter, grid))


def _from_first_bar(stated: list[Signature], whole: int) -> list[Signature]:
    """The time signatures without those of a pickup, or of a first bar that a repeat sign splits."""
    first, start = 0, stated[0][0]
    if len(stated) > 1 and stated[1][0] - start < whole:
        first = 1
        while first + 1 < len(stated) and stated[first + 1][0] - start <= whole:
            first += 1
    return stated[first:]


def parse_metre(metre: str) -> tuple[int, int]:
    """Numerator and denominator of 'N/D'; raises UserError."""
    match = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", metre)
    if not match or int(match[2]) not in _DENOMINATORS:
        raise UserError(f"metre={metre!r} is no metre; say for example '4/4', or '' for what each file states")
    return int(match[1]), int(match[2])


def stated_metre(score: Score, melody: Track, grid: Grid, metre: str = "") -> tuple[int, int]:
    """Numerator and denominator of the metre of the melody's first whole bar; 4/4 where none is stated.

    A metre that does not fit the grid gives way to the one that holds longest, and both to `metre` where it is given.
    One of numbers that hardly any program takes, as 300/4 or 4/64, gives way to the plainest of the grid.
    """
    if metre:
        return parse_metre(metre)
    stated = _from_first_bar(_in_force(score, melody), grid.ticks(score.ticks_per_quarter))
    signature = stated[0]
    if not grid.fits(*signature[1:]):
        signature = main_metre(stated, int(melody.start[0]), int(melody.end.max()))
    _, numerator, denominator = signature
    return (numerator, denominator) if numerator < 100 and denominator in _DENOMINATORS else grid.metre


def _in_force(score: Score, melody: Track) -> list[Signature]:
    """The time signatures (tick, numerator, denominator) that hold while the melody sounds; at least one."""
    last_at = {row[0]: tuple(row) for row in score.time_signatures.tolist()}
    rows = [last_at[tick] for tick in sorted(last_at)]
    if not rows or rows[0][0] > 0:
        rows.insert(0, (0, 4, 4))  # what a MIDI file means that states none
    first, last = int(melody.start[0]), int(melody.end[-1])
    ends = [tick for tick, _, _ in rows[1:]] + [last + 1]
    return [row for row, end in zip(rows, ends, strict=True) if end > first and row[0] < last] or rows[:1]


def _first_bar(origin: int, bar: int, half_step: int, melody: Track) -> int:
    """The first bar line, in bars of `bar` ticks from `origin`, at or after the start of the melody."""
    bars_before = -((origin + half_step - int(melody.start[0])) // bar)
    return origin + bars_before * bar


def _grid_shift(onsets: np.ndarray, per_quarter: int, grid: Grid) -> int:
    """Ticks from tick 0 to the grid of steps on which the onsets, in ticks (N,), lie.

    Tick 0 stands unless the onsets agree on another grid, more than a thirtieth of a step away, or fewer than
    two in five lie within an eighth of a step of its own (a quarter would by chance).
    """
    phase = onsets * (grid.quarter / per_quarter)
    phase -= np.rint(phase)
    distance = np.abs(phase)
    if distance.max() < 1 / 30:
        return 0
    near = np.count_nonzero(distance < 1 / 8) / len(phase)
    turns = 2 * np.pi * phase
    east, north = np.cos(turns).mean(), np.sin(turns).mean()
    shift = np.arctan2(north, east) / (2 * np.pi)
    agree = np.hypot(east, north) > 0.95 and abs(shift) > 1 / 30
    return round(shift * per_quarter / grid.quarter) if agree or near < 0.4 else 0


def _accented(
    notes: tuple[np.ndarray, np.ndarray, np.ndarray], origin: int, per_quarter: int, grid: Grid, check: bool
) -> int:
    """Ticks from `origin` to that of the steps of a bar which bears the most accent through the score.

    Accent is the length of a note (up to half a bar) times its depth below C4, in semitones. Raises Skip
    where `check` and the accents come every three quarters, or every four, rather than every bar of the grid.
    """
    start, end, pitch = notes
    step = to_steps(start - origin, per_quarter, grid.quarter)
    accent = np.minimum(end - start, grid.ticks(per_quarter) // 2) * np.maximum(60 - pitch, 1)
    of_bar = np.bincount(step % grid.bar, accent, minlength=grid.bar)
    others = {"three": 3 * grid.quarter, "four": 4 * grid.quarter} if check else {}
    for name, steps in others.items():
        if steps % grid.bar and grid.bar % steps:  # else accents of either are accents of both
            of_other = np.bincount(step % steps, accent, minlength=steps)
            if of_other.max() / of_other.mean() > _CLEARER * of_bar.max() / of_bar.mean():
                raise Skip(Reason.METRE, f"its accents come every {name} quarters, not every {grid.bar} steps")
    return int(np.argmax(of_bar)) * per_quarter // grid.quarter
