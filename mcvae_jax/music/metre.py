"""Where bars start: the metre that a file states, pickups, performances set down across the bar lines."""

import re
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.regular import BAR, Edit, Signature, bar_length, fills_bar, find_edits, main_metre
from mcvae_jax.music.score import Reason, Score, Skip, Track, columns
from mcvae_jax.music.tokens import STEPS_PER_QUARTER, to_steps

_TRIPLE = 1.25  # accents this much clearer every 12 steps than every 16 are music in three (docs/music.md)


class Bars(NamedTuple):
    """Where bars of 16 steps stand in a score."""

    origin: int  # the tick of a downbeat
    edits: tuple[Edit, ...] = ()  # what makes the bars from there on regular


def find_bars(score: Score, melody: Track, metre: str = "") -> Bars:
    """The tick of a downbeat, so that bars of 16 steps before and after it start on downbeats.

    A stated pickup says where the first downbeat is, and so do first time signatures that hold for no more than
    16 steps; else bars count from the first time signature. Of bars shorter than 16 steps, the first
    that starts with a note of the melody, or comes after its pickup, begins a bar of 16. Where the onsets
    show that the time signature does not stand on a beat, or where it states no more than a beat (1/4), the
    file is a performance set down across the bar lines: then the grid is that of its onsets, and a downbeat
    is where its long low notes start. A few bars that are too short or too long are made regular (find_edits).

    Args:
      melody: the chosen track, with at least one note.
      metre: 'N/D' in place of what the file states, and no look whether its music is in three; '' takes the
        file's, or 4/4 where it states none.
    Raises Skip where the metre does not fill 16 steps, or many bars do not fit it.
    """
    stated = _in_force(score, melody)
    only_beats = 4 * stated[0][1] <= stated[0][2]
    signatures = stated if score.pickup >= 0 else _from_first_bar(stated, 4 * score.ticks_per_quarter)
    signatures = [(0, *parse_metre(metre))] if metre else signatures
    origin = score.pickup if score.pickup >= 0 else signatures[0][0]
    if False in [fills_bar(numerator, denominator) for _, numerator, denominator in signatures]:
        _, numerator, denominator = main_metre(signatures, origin, int(melody.end.max()))
        if not fills_bar(numerator, denominator):
            raise Skip(Reason.METRE, f"{numerator}/{denominator}")
    if score.pickup >= 0:
        return Bars(origin, find_edits(signatures, origin, melody, score.ticks_per_quarter))
    notes = columns([track for track in score.tracks if not track.is_drum])
    shift = _grid_shift(notes[0] - origin, score.ticks_per_quarter)
    if shift or only_beats:
        if find_edits(signatures, origin, melody, score.ticks_per_quarter):
            raise Skip(Reason.MIXED_METRES, "and its notes keep to no metre")
        origin += shift
        return Bars(origin + _accented(notes, origin, score.ticks_per_quarter, check_triple=not metre))
    origin = _first_bar(origin, bar_length(signatures[0], score.ticks_per_quarter), score, melody)
    return Bars(origin, find_edits(signatures, origin, melody, score.ticks_per_quarter))


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
    match = re.fullmatch(r"([1-9]\d?)/(1|2|4|8|16|32)", metre)
    if not match:
        raise UserError(f"metre={metre!r} is no metre; say for example '4/4', or '' for what each file states")
    return int(match[1]), int(match[2])


def _in_force(score: Score, melody: Track) -> list[Signature]:
    """The time signatures (tick, numerator, denominator) that hold while the melody sounds; at least one."""
    last_at = {row[0]: tuple(row) for row in score.time_signatures.tolist()}
    rows = [last_at[tick] for tick in sorted(last_at)]
    if not rows or rows[0][0] > 0:
        rows.insert(0, (0, 4, 4))  # what a MIDI file means that states none
    first, last = int(melody.start[0]), int(melody.end[-1])
    ends = [tick for tick, _, _ in rows[1:]] + [last + 1]
    return [row for row, end in zip(rows, ends, strict=True) if end > first and row[0] < last] or rows[:1]


def _first_bar(origin: int, bar: int, score: Score, melody: Track) -> int:
    """The first bar line, in bars of `bar` ticks from `origin`, at or after the start of the melody."""
    half_step = score.ticks_per_quarter // (2 * STEPS_PER_QUARTER)
    bars_before = -((origin + half_step - int(melody.start[0])) // bar)
    return origin + bars_before * bar


def _grid_shift(onsets: np.ndarray, per_quarter: int) -> int:
    """Ticks from tick 0 to the grid of sixteenths on which the onsets, in ticks (N,), lie.

    Tick 0 stands unless the onsets agree on another grid, more than a thirtieth of a step away, or fewer than
    two in five lie within an eighth of a step of its own (a quarter would by chance).
    """
    phase = onsets * (STEPS_PER_QUARTER / per_quarter)
    phase -= np.rint(phase)
    distance = np.abs(phase)
    if distance.max() < 1 / 30:
        return 0
    near = np.count_nonzero(distance < 1 / 8) / len(phase)
    turns = 2 * np.pi * phase
    east, north = np.cos(turns).mean(), np.sin(turns).mean()
    shift = np.arctan2(north, east) / (2 * np.pi)
    agree = np.hypot(east, north) > 0.95 and abs(shift) > 1 / 30
    return round(shift * per_quarter / STEPS_PER_QUARTER) if agree or near < 0.4 else 0


def _accented(
    notes: tuple[np.ndarray, np.ndarray, np.ndarray], origin: int, per_quarter: int, check_triple: bool
) -> int:
    """Ticks from `origin` to that of the next 16 steps which bears the most accent through the score.

    Accent is the length of a note (up to half a bar) times its depth below C4, in semitones. Raises Skip
    where `check_triple` and the accents come every 12 steps rather than every 16.
    """
    start, end, pitch = notes
    step = to_steps(start - origin, per_quarter)
    accent = np.minimum(end - start, BAR // 2 * per_quarter // STEPS_PER_QUARTER) * np.maximum(60 - pitch, 1)
    in_four = np.bincount(step % BAR, accent, minlength=BAR)
    if check_triple:
        in_three = np.bincount(step % 12, accent, minlength=12)
        if in_three.max() / in_three.mean() > _TRIPLE * in_four.max() / in_four.mean():
            raise Skip(Reason.METRE, "its accents come every three quarters")
    return int(np.argmax(in_four)) * per_quarter // STEPS_PER_QUARTER
