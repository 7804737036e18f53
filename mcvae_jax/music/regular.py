"""Bars that are shorter or longer than the metre says: padded with silence or cut, so that downbeats stay regular."""

from typing import Literal, NamedTuple

import numpy as np

from mcvae_jax.music.grid import Grid
from mcvae_jax.music.score import Reason, Skip, Track

MAX_SHARE = 1 / 8  # of a song's bars that may be padded or cut; one always may
MAX_IRREGULAR = 20_000  # bars that a metre does not fill; more are no music

Signature = tuple[int, int, int]  # tick, numerator, denominator


class Edit(NamedTuple):
    """Time that is put in before a tick, or taken out there."""

    tick: int
    by: int  # ticks; below 0 the last of those before `tick` are taken out
    is_bar: bool  # whether a bar was irregular, rather than half a step or less out by rounding


def bar_length(signature: Signature, per_quarter: int) -> int:
    """Ticks of a bar, at least one."""
    _, numerator, denominator = signature
    return max(1, 4 * per_quarter * numerator // denominator)


def main_metre(signatures: list[Signature], start: int, end: int) -> Signature:
    """The metre that holds for most of the ticks from `start` to `end`, where it is first stated."""
    if len(signatures) == 1:
        return signatures[0]
    spans: dict[tuple[int, int], int] = {}
    stops = [tick for tick, _, _ in signatures[1:]] + [max(end, signatures[-1][0] + 1)]
    for (tick, numerator, denominator), stop in zip(signatures, stops, strict=True):
        metre = numerator, denominator
        spans[metre] = spans.get(metre, 0) + stop - max(tick, start)
    longest = max(spans, key=spans.__getitem__)
    return next(row for row in signatures if row[1:] == longest)


def find_edits(
    signatures: list[Signature], origin: int, melody: Track, per_quarter: int, grid: Grid
) -> tuple[Edit, ...]:
    """What must be padded and cut for the bars from `origin` on to be regular in the metre that holds longest.

    Neighbours that make up a bar together, as a bar that a repeat sign splits, are one. Of what goes on after the
    last full bar, the smaller change is made: it is cut where no note starts in it, or else filled with silence.

    Args: signatures are those in force while the melody sounds; that which holds longest fits the grid.
    Raises Skip where more than MAX_SHARE of the bars would change.
    """
    if len(signatures) == 1:
        return ()
    whole = grid.ticks(per_quarter)
    if not any((row[0] - origin) % whole for row in signatures[1:]) and all(grid.fits(*row[1:]) for row in signatures):
        return ()
    end = int(melody.end.max())
    walk = _Walk(signatures, origin, melody.start, end, per_quarter, grid)
    for row, stop in zip(signatures, [tick for tick, _, _ in signatures[1:]] + [end], strict=True):
        walk.add(max(row[0], origin), stop, bar_length(row, per_quarter), is_last=row is signatures[-1])
    changed = [edit for edit in walk.edits if edit.is_bar]
    if len(changed) > max(1, MAX_SHARE * walk.count):
        raise Skip(Reason.MIXED_METRES, f"{walk.misfit}; {len(changed)} of {walk.count} bars do not fit")
    return tuple(walk.edits)


class _Walk:
    """From bar to bar, with what has been filled since the last downbeat that was on its place."""

    def __init__(
        self, signatures: list[Signature], origin: int, starts: np.ndarray, end: int, per_quarter: int, grid: Grid
    ) -> None:
        self.metre = main_metre(signatures, origin, end)
        self.unit = min(bar_length(self.metre, per_quarter), grid.ticks(per_quarter))  # what bars must keep to
        self.starts = starts
        self.per_quarter = per_quarter
        self.rounding = per_quarter // (2 * grid.quarter)  # ticks
        self.fill = 0
        self.count = 0
        self.irregular = 0
        self.edits: list[Edit] = []
        self.misfit = ""

    def add(self, start: int, stop: int, length: int, is_last: bool) -> None:
        """The bars of one time signature. What is left at its end is a bar as well, if it is not that of the song."""
        count, rest = divmod(stop - start, length)
        if (self.fill == 0 and length % self.unit == 0) or (self.unit % length == 0 and self.fill % length == 0):
            self.count += count
            self.fill = (self.fill + count * length) % self.unit
        else:
            self.irregular += count
            if self.irregular > MAX_IRREGULAR:
                raise Skip(Reason.MIXED_METRES, f"over {MAX_IRREGULAR:,} bars do not fit")
            for tick in range(start, start + count * length, length):
                self._place(tick, length)
        if rest and not is_last:
            self._place(stop - rest, rest)

    def _place(self, tick: int, length: int) -> None:
        if self.fill and self.fill + length > self.unit:
            self._mend(tick)
        self.count += 1
        self.fill += length
        if self.fill > self.unit and self.fill % self.unit:
            self._mend(tick + length)
        self.fill %= self.unit

    def _mend(self, tick: int) -> None:
        """A downbeat stands at `tick`, so what has been filled before it must be a bar."""
        over = self.fill % self.unit
        silent = np.searchsorted(self.starts, tick - over) == np.searchsorted(self.starts, tick)
        cut = over <= self.rounding or (silent and 2 * over <= self.unit)
        is_bar = min(over, self.unit - over) > self.rounding
        self.edits.append(Edit(tick, -over if cut else self.unit - over, is_bar))
        if is_bar and not self.misfit:
            bar, (_, numerator, denominator) = bar_length(self.metre, self.per_quarter), self.metre
            quarters = f"{self.fill / self.per_quarter:.3g} quarters where {numerator}/{denominator}"
            self.misfit = f"bar {self.count} as played has {quarters} has {bar / self.per_quarter:.3g}"
        self.fill = 0


def apply_edits(edits: tuple[Edit, ...], start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The starts and ends of notes, int64 (N,) each, after the edits; what lies in a cut comes to where it begins."""
    tick, by = np.array([edit[:2] for edit in edits], np.int64).reshape(-1, 2).T
    cuts = by < 0
    later = np.append(0, np.cumsum(by))
    moved = []
    sides: tuple[tuple[np.ndarray, Literal["left", "right"]], ...] = ((start, "right"), (end, "left"))
    for times, side in sides:
        following = np.append(tick[cuts], np.iinfo(np.int64).max)
        first = np.append((tick + by)[cuts], np.iinfo(np.int64).max)
        times = np.minimum(times, first[np.searchsorted(following, times, side)])
        moved.append(times + later[np.searchsorted(tick, times, side)])
    return moved[0], moved[1]


def unedited(edits: tuple[Edit, ...], times: np.ndarray) -> np.ndarray:
    """Ticks after the edits, int64 (N,), as the score has them: in silence that was put in, the tick where it was."""
    if not edits:
        return times
    tick, by = np.array([edit[:2] for edit in edits], np.int64).T
    later = np.append(0, np.cumsum(by))
    passed = np.searchsorted(tick + later[1:], times, "right")
    return np.minimum(times - later[passed], np.append(tick, np.iinfo(np.int64).max)[passed])
