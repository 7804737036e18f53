"""Which bars of a song are written once and played twice: |: A :|, and |: A |1 x :|2 y |.

Nothing is taken for a repeat that is not one to the step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.music.tokens import tokens_to_notes

SHORTEST, LONGEST = 4, 64  # bars of a section that is played twice
_ENDINGS = (1, 2)  # bars of endings that differ
_WITH_ENDINGS = 8  # bars of such a section at least: a phrase of four and its answer are written out
SILENCE, _HELD = 256, 128


class Section(NamedTuple):
    """Steps `start` to `end` are written and played again in the same length after `end`.

    The last `ending` of these steps differ the second time: both are written.
    """

    start: int
    end: int
    ending: int = 0

    @property
    def after(self) -> int:
        """The first step after the second time."""
        return 2 * self.end - self.start


def states_of(tokens: np.ndarray) -> np.ndarray:
    """What each step of canonical tokens, (N,), sounds: the pitch that starts, 128 + one that is held, or silence."""
    states = np.full(len(tokens), SILENCE)
    for start, end, pitch in zip(*(each.tolist() for each in tokens_to_notes(tokens)), strict=True):
        states[start:end] = _HELD + pitch
        states[start] = pitch
    return states


def find_sections(
    states: np.ndarray, above: np.ndarray, bar: int, stretches: Sequence[tuple[int, int]], pickup: int = 0
) -> list[Section]:
    """The sections by which fewest bars are written, and with fewest signs among such.

    A section begins a whole number of phrases (SHORTEST bars) after its stretch, where a copyist would look for one.

    Args:
      states: as from `states_of`, (N,).
      above: numbers of what stands over the steps, int64 (N,); a repeat has the same there.
      bar: steps of a bar.
      stretches: first and last step, exclusive, of parts of the song, in order; sections lie within them.
      pickup: steps by which stretches begin before a bar line. Endings begin on bar lines all the same, and no section
        begins with a silent pickup or stands before one.
    """
    found: list[Section] = []
    for first, last in stretches:
        count = max(0, last - first) // bar
        beyond = first + count * bar
        rows, over = (each[first:beyond].reshape(count, bar) for each in (states, above))
        ends = bool(np.all(_is_free(states[beyond : beyond + 1])))
        if pickup and beyond + pickup < len(states):
            ends = ends and _sounds(states[None, beyond : beyond + pickup])[0]
        for start, end, ending in _fewest(rows, over, pickup, ends):
            found.append(Section(first + bar * start, first + bar * end, ending and bar * ending - pickup))
    return found


def _fewest(rows: np.ndarray, over: np.ndarray, pickup: int, ends: bool) -> list[tuple[int, int, int]]:
    """Start, end and ending of the sections of a stretch, in bars, by dynamic programming from its end.

    Args: ends, whether a section may end with the stretch.
    """
    count = len(rows)
    starts = _Starts(rows, over, pickup, ends)
    alike = _alike(np.concatenate([rows, over], axis=1))
    alike[np.all(rows == SILENCE, axis=1)] = 0  # a section begins with a bar that sounds
    cost = [(0, 0)] * (count + 1)
    taken: list[tuple[int, int, int] | None] = [None] * count
    for i in reversed(range(count)):
        cost[i] = (cost[i + 1][0] + 1, cost[i + 1][1])
        for length, ending in _choices(alike, starts, i):
            bars, signs = cost[i + 2 * length]
            here = (bars + length + ending, signs + 1 + bool(ending))
            if here < cost[i]:
                cost[i], taken[i] = here, (i, i + length, ending)
    sections, i = [], 0
    while i < count:
        section = taken[i]
        if section:
            sections.append(section)
        i = 2 * section[1] - i if section else i + 1
    return sections


def _alike(rows: np.ndarray) -> np.ndarray:
    """How many bars from bar i on equal those that stand `length` later: int (n, LONGEST + 1)."""
    count = len(rows)
    alike = np.zeros((count + 1, LONGEST + 1), np.int64)
    _, kinds = np.unique(rows, axis=0, return_inverse=True)
    kinds = kinds.reshape(-1)  # numpy 2.0 gives it a second axis
    for i in reversed(range(count)):
        later = kinds[i + 1 : i + LONGEST + 1]
        alike[i, 1 : len(later) + 1] = np.where(later == kinds[i], alike[i + 1, 1 : len(later) + 1] + 1, 0)
    return alike[:count]


def _is_free(states: np.ndarray) -> np.ndarray:
    """Whether no note is held at steps."""
    return (states < _HELD) | (states == SILENCE)


def _sounds(rows: np.ndarray) -> np.ndarray:
    """Whether something sounds in each row of steps."""
    return np.any(rows != SILENCE, axis=1)


class _Starts:
    """Where signs may stand in the bars of a stretch: where no note is held."""

    def __init__(self, rows: np.ndarray, over: np.ndarray, pickup: int, ends: bool) -> None:
        free = _is_free(rows)
        self.section = np.append(free[:, 0] & (_sounds(rows[:, :pickup]) | (pickup == 0)), ends)
        self._ending = free[:, pickup]
        self._before = np.concatenate([rows[:, :pickup], over[:, :pickup]], axis=1)

    def endings(self, first: int, second: int) -> bool:
        """Whether endings may begin in these two bars, and nothing differs before."""
        same = np.array_equal(self._before[first], self._before[second])
        return same and bool(self._ending[first] and self._ending[second])


def _choices(alike: np.ndarray, starts: _Starts, i: int) -> list[tuple[int, int]]:
    """Length and ending, in bars, of the sections that may begin at bar i."""
    choices = []
    for length in range(SHORTEST, min(LONGEST, (len(alike) - i) // 2) + 1) if i % SHORTEST == 0 else ():
        if not (starts.section[i] and starts.section[i + length] and starts.section[i + 2 * length]):
            continue
        same = int(alike[i, length])
        if same >= length:
            choices.append((length, 0))
            continue
        for ending in _ENDINGS if length >= _WITH_ENDINGS else ():
            first = i + length - ending
            if same >= length - ending and starts.endings(first, first + length):
                choices.append((length, ending))
    return choices
