"""How a copyist divides a bar: the parts of a metre, and durations cut where they would hide them.

All places and lengths are in steps of the grid (grid.py). Rules: E. Gould, Behind Bars (2011), chapter 6, in their
plainest form.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.grid import Grid

SHORTEST = Fraction(1, 256)  # of a whole note
_LONGEST = Fraction(3)  # a dotted breve


class Span(NamedTuple):
    """A stretch of a bar, and the parts into which it is divided; one without parts is divided by halves."""

    start: int
    length: int
    parts: tuple["Span", ...] = ()
    is_beat: bool = False  # of three units, as the dotted quarters of 6/8 are

    @property
    def end(self) -> int:
        return self.start + self.length

    def divided(self) -> tuple["Span", ...]:
        """The parts, halves where none are stated; () of what cannot be divided."""
        half = self.length // 2
        halves = (Span(self.start, half), Span(self.start + half, half))
        return self.parts or (halves if self.length % 2 == 0 else ())

    def simple(self) -> bool:
        """Whether it is divided by halves all the way, so that syncopations within it can be read."""
        return not self.parts or (len(self.parts) == 2 and all(part.simple() for part in self.parts))


class Value(NamedTuple):
    """A printed duration: a part of a whole note, and dots."""

    base: Fraction  # 2, 1, 1/2, 1/4 ...
    dots: int


def value_of(length: Fraction) -> Value | None:
    """The note value of a length in whole notes; None where a single note, dotted once at most, does not have it."""
    dotted = length.numerator % 3 == 0
    base = length * Fraction(2, 3) if dotted else length
    is_power = base.numerator & (base.numerator - 1) == 0 and base.denominator & (base.denominator - 1) == 0
    return Value(base, int(dotted)) if is_power and SHORTEST <= length <= _LONGEST and base <= 2 else None


def metre_span(metre: tuple[int, int], grid: Grid) -> Span | None:
    """A bar of a metre with its parts; None where its unit is no whole number of steps."""
    unit = grid.steps_of(1, metre[1])
    return _span(0, int(unit), metre) if unit.denominator == 1 and unit else None


def _span(start: int, unit: int, metre: tuple[int, int]) -> Span:
    count, denominator = metre
    parts, at = [], start
    for part in _counts(count):
        parts.append(_span(at, unit, (part, denominator)))
        at += part * unit
    return Span(start, count * unit, tuple(parts), count == 3 and denominator >= 8)


def _counts(count: int) -> tuple[int, ...]:
    """The parts of so many units: 2+2 of 4, 3+3 of 6, 3+3+3 of 9, 3+2 of 5, 2+2+3 of 7; () of one."""
    if count == 1:
        return ()
    if count % 2 == 0 and (count & (count - 1) == 0 or count % 3 == 0):
        return (count // 2,) * 2
    if count % 3 == 0:
        return (count // 3,) * 3
    if count == 5:
        return 3, 2
    twos = count // 2 - count % 2
    return (2,) * twos + (3,) * (count % 2)


def beams_of(span: Span, quarter: int) -> Iterator[Span]:
    """The stretches within which notes are beamed: beats, which are quarters or dotted ones, at most."""
    parts = () if span.is_beat or span.length <= quarter else span.divided()
    if not parts:
        yield span
    for part in parts:
        yield from beams_of(part, quarter)


def cut(span: Span, start: int, end: int, whole: int, is_rest: bool = False) -> list[tuple[int, int]]:
    """A note or rest from `start` to `end` within a span as the durations that are written for it, tied together.

    Args: whole, the steps of a whole note.
    """
    printable = value_of(Fraction(end - start, whole)) is not None
    if printable and (start, end) == (span.start, span.end):
        return [(start, end)]
    parts = span.divided()
    if not parts:  # an odd length that no value has, or a single step
        return [(start, end)]
    for part in parts:
        if part.start <= start and end <= part.end:
            return cut(part, start, end, whole, is_rest)
    if printable and _may_cross(span, parts, start, end, is_rest):
        return [(start, end)]
    crossed = [part.start for part in parts if start < part.start < end]
    at = crossed[-1] if start == span.start else crossed[0]
    dotted = 3 * span.length // 4
    if end - start > dotted and span.simple() and not is_rest and value_of(Fraction(dotted, whole)):
        at = start + dotted if start == span.start else end - dotted if end == span.end else at
    return cut(span, start, at, whole, is_rest) + cut(span, at, end, whole, is_rest)


def _may_cross(span: Span, parts: tuple[Span, ...], start: int, end: int, is_rest: bool) -> bool:
    """Whether a single note may stand across the parts of a span.

    It may where it begins or ends with the span (half. quarter, quarter half.) or stands in its middle (quarter half
    quarter), and where it takes two of three parts. A rest may take the first two thirds of a beat in 6/8 alone.
    """
    pairs = [(a, b) for a, b in zip(parts, parts[1:], strict=False) if a.start <= start and end <= b.end]
    if len(parts) == 3 and pairs and pairs[0][0].length == pairs[0][1].length:
        first, second = pairs[0]
        if is_rest:
            return span.is_beat and start == span.start
        if (start, end) == (first.start, second.end):
            return True
        return first.simple() and _in_two(first.start, second.end, start, end)
    return not is_rest and len(parts) == 2 and span.simple() and _in_two(span.start, span.end, start, end)


def _in_two(first: int, last: int, start: int, end: int) -> bool:
    return start == first or end == last or start - first == last - end == (last - first) // 4
