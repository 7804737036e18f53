"""Tokens <-> bars of T steps, and a melody's way from its score into them and back (thesis 6.1.1)."""

from typing import NamedTuple, Protocol

import numpy as np

from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.metre import Bars, find_bars
from mcvae_jax.music.regular import Edit, apply_edits, unedited
from mcvae_jax.music.score import Reason, Score, Skip, Track
from mcvae_jax.music.tokens import (
    BAR,
    NO_EVENT,
    NOTE_OFF,
    canonical,
    notes_to_steps,
    steps_to_tokens,
    to_steps,
    tokens_to_notes,
)

TICKS_PER_STEP = 120  # of what is written: 480 a quarter where a step is a sixteenth

MAX_STEPS = 1 << 21  # 131,072 bars of 16; the thesis met a song of 88,000 (7.1)
MOVE_BINS = 8  # each a sixteenth of a step: an onset moves by half a step at most


class BarSettings(Protocol):
    """What cutting into bars asks of the settings; CorpusSettings has it."""

    @property
    def bars(self) -> str: ...
    @property
    def metre(self) -> str: ...
    @property
    def steps_per_bar(self) -> int: ...
    @property
    def min_pitch(self) -> int: ...
    @property
    def max_pitch(self) -> int: ...


class Stats(NamedTuple):
    """What became of a melody's notes on their way to the grid."""

    onsets: int  # notes of the melody within the pitch range
    moved: int  # onsets that did not lie on a step
    moves: tuple[int, ...]  # onsets by how far they moved, MOVE_BINS bins from 0 to 1/2 step
    out_of_range: int  # notes dropped by the pitch range
    covered: int  # notes lost to a higher or longer note in the same step
    shortened: int  # notes that the next onset cut, in steps
    padded: int = 0  # bars that were too short, filled with silence
    cut: int = 0  # bars that were too long, shortened by a time in which no note starts
    left_out: int = 0  # notes of the score, of pickups after a bar that has no room for them

    @property
    def share_far(self) -> float:
        """The share of the onsets that moved by a quarter of a step or more; a half where they keep to no tempo."""
        return sum(self.moves[MOVE_BINS // 2 :]) / max(self.onsets, 1)


def melody_to_bars(score: Score, melody: Track, settings: BarSettings) -> tuple[np.ndarray, Stats]:
    """The bars of a melody, by the policy `settings.bars`.

    `fixed16` cuts every T steps from tick 0, whatever the metre (the thesis: 16); `metre` counts from a
    downbeat, so bars start on downbeats. Either way a song starts with the bar of its first note: only whole
    silent bars are cut, since a rest before the first note, a pickup's above all, is music. Under `metre` a few
    bars that are too short or too long are padded or cut (regular.find_edits).

    Returns: bars, uint8 (n, T), n >= 1, T = settings.steps_per_bar; Stats.
    Raises Skip: too long, no notes in the range, or a metre that does not fit.
    """
    grid, per_quarter = grid_of(settings.steps_per_bar), score.ticks_per_quarter
    origin, edits, (start, end, pitch), before = _place(score, melody, settings)
    first, last = notes_to_steps(start - origin, end - origin, per_quarter, grid.quarter)
    moves = np.abs(grid.quarter * (start - origin) - per_quarter * first)
    tokens = steps_to_tokens(first - before, last - before, pitch)
    stats = Stats(
        onsets=len(start),
        moved=int(np.count_nonzero(moves)),
        moves=_histogram(moves, per_quarter),
        out_of_range=len(melody.start) - len(start),
        covered=len(start) - int(np.count_nonzero(tokens < NOTE_OFF)),
        shortened=int(np.count_nonzero((first[1:] > first[:-1]) & (last[:-1] > first[1:]))),
        padded=len([edit for edit in edits if edit.is_bar and edit.by > 0]),
        cut=len([edit for edit in edits if edit.is_bar and edit.by < 0]),
        left_out=score.left_out,
    )
    return tokens_to_bars(tokens, grid.bar), stats


class _Placed(NamedTuple):
    """Where a melody stands on its grid."""

    origin: int  # the tick of a downbeat
    edits: tuple[Edit, ...]
    notes: tuple[np.ndarray, np.ndarray, np.ndarray]  # start, end and pitch of those in the range, after the edits
    before: int  # steps from the origin to the bar of the first note: whole bars of silence, or a pickup below 0


def _place(score: Score, melody: Track, settings: BarSettings) -> _Placed:
    start, end, pitch = melody.start, melody.end, melody.pitch
    in_range = (pitch >= settings.min_pitch) & (pitch <= settings.max_pitch)
    if not in_range.all():
        start, end, pitch = start[in_range], end[in_range], pitch[in_range]
    if not len(start):
        raise Skip(Reason.NO_NOTES_IN_RANGE)
    grid, per_quarter = grid_of(settings.steps_per_bar), score.ticks_per_quarter
    if int(end.max()) * grid.quarter > MAX_STEPS * per_quarter:
        raise Skip(Reason.TOO_LONG, f"a note beyond bar {MAX_STEPS // grid.bar:,}")
    origin, edits = find_bars(score, melody, grid, settings.metre) if settings.bars == "metre" else Bars(0)
    if edits:
        start, end = apply_edits(edits, start, end)
    earliest = int(to_steps(start - origin, per_quarter, grid.quarter).min())
    return _Placed(origin, edits, (start, end, pitch), earliest // grid.bar * grid.bar)


def bar_starts(score: Score, melody: Track, settings: BarSettings, count: int) -> np.ndarray:
    """Where the `count` bars that `melody_to_bars` gives begin in the score, and the last one ends.

    Returns: int64 (count + 1,), ticks as the score has them; the first is below 0 where a pickup fills a bar in part.
    """
    grid = grid_of(settings.steps_per_bar)
    origin, edits, _, before = _place(score, melody, settings)
    steps = before + grid.bar * np.arange(count + 1)
    return unedited(edits, origin + np.rint(steps * (score.ticks_per_quarter / grid.quarter)).astype(np.int64))


def onsets_on_grid(score: Score, melody: Track, settings: BarSettings) -> np.ndarray:
    """The onsets of a melody in quarters from a downbeat, float64 (N,)."""
    origin, _, (start, _, _), _ = _place(score, melody, settings)
    return (start - origin) / score.ticks_per_quarter


def tokens_to_bars(tokens: np.ndarray, steps: int = BAR) -> np.ndarray:
    """Canonical tokens, uint8 (N,), as bars of so many steps, uint8 (n, T), from the first note's bar to the last's.

    Steps after the last note are silence: NOTE_OFF on the first, then NO_EVENT. Silence alone gives no bars.
    """
    events = np.flatnonzero(tokens <= NOTE_OFF)
    if not len(events):
        return np.empty((0, steps), np.uint8)
    begin = int(events[0]) // steps * steps
    end = int(events[-1]) if tokens[events[-1]] == NOTE_OFF else len(tokens)
    bars = np.full(-((begin - end) // steps) * steps, NO_EVENT, np.uint8)
    bars[: end - begin] = tokens[begin:end]
    if end - begin < len(bars):
        bars[end - begin] = NOTE_OFF
    return bars.reshape(-1, steps)


def bars_to_tokens(bars: np.ndarray) -> np.ndarray:
    """The canonical tokens, uint8 (n T,), of bars, uint8 (n, T)."""
    return canonical(bars.reshape(-1))


def bars_to_score(
    bars: np.ndarray,
    title: str = "",
    tempos: np.ndarray | None = None,
    time_signatures: np.ndarray | None = None,
    keys: tuple[tuple[int, str], ...] = (),
    name: str = "Melody",
) -> Score:
    """The score of a melody: one track, which stands there even where it holds no note.

    Args:
      bars: uint8 (n, T).
      tempos, time_signatures, keys: as in Score; 110 quarters a minute, the plainest metre of bars of T steps and no
        key where they are None or empty.
      name: of the track.
    """
    start, end, pitch = tokens_to_notes(bars_to_tokens(bars))
    grid = grid_of(bars.shape[1])
    return Score(
        tracks=(Track(name, 0, False, start * TICKS_PER_STEP, end * TICKS_PER_STEP, pitch),),
        ticks_per_quarter=TICKS_PER_STEP * grid.quarter,
        time_signatures=np.array([[0, *grid.metre]]) if time_signatures is None else time_signatures,
        tempos=np.array([[0.0, 110.0]]) if tempos is None else tempos,
        keys=keys,
        title=title,
    )


def distinct_bars(bars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, T) -> the distinct bars in the order of their tokens, uint8 (D, T), and the row of each, int32 (n,)."""
    if not len(bars):
        return bars, np.empty(0, np.int32)
    whole = np.ascontiguousarray(bars).view(f"V{bars.shape[1]}")[:, 0]  # bytes compare as their tokens do
    _, first, rows = np.unique(whole, return_index=True, return_inverse=True)
    return bars[first], rows.astype(np.int32)


def repeats(song: np.ndarray) -> np.ndarray:
    """Whether each bar of a song, uint8 (n, T), is the same as an earlier one: bool (n,)."""
    rows = distinct_bars(song)[1]
    first = np.zeros(len(song), bool)
    first[np.unique(rows, return_index=True)[1]] = True
    return ~first


def _histogram(moves: np.ndarray, per_quarter: int) -> tuple[int, ...]:
    """How many of `moves`, int (N,) in step / per_quarter, lie in each of the bins up to half a step."""
    bins = np.minimum(moves * (2 * MOVE_BINS) // per_quarter, MOVE_BINS - 1)
    return tuple(np.bincount(bins, minlength=MOVE_BINS).tolist())
