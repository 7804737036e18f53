"""The numbers of bars as they are printed, where a song's bars are those of a model's grid.

A pickup is bar 0, and the first whole bar is 1. Bars are counted from the beginning of the file, whatever plays there,
and as they are played: a repeat counts again. A bar of the grid may hold several printed ones, as 16 sixteenths hold
two bars of 2/4, or be a part of one.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from mcvae_jax.music.grid import Grid
from mcvae_jax.music.regular import bar_length
from mcvae_jax.music.score import Score


class Numbers(NamedTuple):
    """The printed numbers of a song's bars."""

    first: int = 1  # printed number of the first bar
    each: Fraction = Fraction(1)  # printed bars in a bar of the grid

    def of(self, bar: int) -> int:
        """The number of a bar, counted from 0: the first printed one in it."""
        return max(0, self.first + math.floor(bar * self.each))

    def last_of(self, bar: int) -> int:
        """The number of the last printed bar in a bar."""
        return max(self.of(bar), self.first + math.ceil((bar + 1) * self.each) - 1)

    def span(self, start: int, end: int) -> str:
        """'17 to 24' for the bars from `start` to before `end`, counted from 0; '17' for one."""
        first, last = self.of(start), self.last_of(end - 1)
        return f"{first} to {last}" if last > first else f"{first}"

    def bars(self, first: int, last: int) -> range:
        """The bars, counted from 0, that hold the printed ones from `first` to `last`."""
        return range(math.floor((first - self.first) / self.each), math.ceil((last + 1 - self.first) / self.each))

    def later(self, bars: int) -> "Numbers":
        """Those of the song without so many bars at its beginning."""
        return self._replace(first=self.first + math.floor(bars * self.each))


PLAIN = Numbers()  # of bars of the grid themselves, from 1


def numbers_of(metre: tuple[int, int], grid: Grid, first: int = 1) -> Numbers:
    """Those of a song in a metre; bars of the grid themselves are counted where the metre does not fit it."""
    if not grid.fits(*metre):
        return Numbers(first)
    return Numbers(first, Fraction(grid.bar) / grid.steps_of(*metre))


def first_number(score: Score, start: int, metre: tuple[int, int] | None = None) -> int:
    """The printed number of the bar that begins at a tick, which is below 0 or in a pickup for bar 0.

    Args: metre: what the user says in place of what the file states.
    """
    per_quarter = score.ticks_per_quarter
    rows = [tuple(row) for row in score.time_signatures.tolist()]
    if not rows or rows[0][0] > 0:
        rows.insert(0, (0, 4, 4))
    if metre:
        rows = [(rows[0][0], *metre)]
    lengths = [bar_length(row, per_quarter) for row in rows]
    begin, number = rows[0][0], 1
    if score.pickup >= 0:
        begin = score.pickup
    elif len(rows) > 1 and rows[1][0] - rows[0][0] < lengths[1]:  # a first bar that is shorter than those that follow
        begin, rows, lengths = rows[1][0], rows[1:], lengths[1:]
    for (following, _, _), length in zip(rows[1:], lengths, strict=False):
        if begin < following <= start:
            number, begin = number - (begin - following) // length, following
    length = lengths[sum(row[0] <= max(begin, rows[0][0]) for row in rows) - 1]
    return number + math.floor((start - begin + 0.5) / length)


def printed(score: Score, starts: np.ndarray, metre: tuple[int, int], grid: Grid, said: str = "") -> Numbers:
    """The numbers of the bars that begin at `starts` (ticks); said: the metre that the user says, if any."""
    return numbers_of(metre, grid, first_number(score, int(starts[0]), metre if said else None))
