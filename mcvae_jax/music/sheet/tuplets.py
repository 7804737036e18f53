"""Triplets and their like, where the steps of a grid are no halves of quarters: 24 steps of 4/4."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.sheet.spans import SHORTEST, Span, value_of


class Tuplet(NamedTuple):
    """A stretch in which `actual` units are played in the time of `normal`."""

    start: int
    length: int
    actual: int
    normal: int

    @property
    def end(self) -> int:
        return self.start + self.length

    def written(self, steps: int, whole: int) -> Fraction:
        """The length of so many steps as it is printed, in whole notes."""
        return Fraction(steps * self.actual, whole * self.normal)

    def cut(self, start: int, end: int, whole: int) -> list[tuple[int, int]]:
        """A note of the tuplet as durations that can be printed."""
        if value_of(self.written(end - start, whole)) is not None:
            return [(start, end)]
        unit = self.length // self.actual
        for length in range(end - start - unit, 0, -unit):
            at = start + length if start == self.start else end - length
            ends = (at - start, end - at)
            if all(value_of(self.written(each, whole)) is not None for each in ends):
                return [(start, at), (at, end)]
        middle = start + (end - start) // (2 * unit) * unit
        return self.cut(start, middle, whole) + self.cut(middle, end, whole)


def find_tuplets(span: Span, edges: Sequence[int], quarter: int) -> list[Tuplet]:
    """The tuplets that a bar needs for notes and rests with these edges.

    A stretch needs none where its edges lie on halves of halves. Thirds of a stretch are a triplet; within a quarter
    any other division is one of as many units as it takes, unless its halves do without or have triplets of their own.
    """
    inner = [edge for edge in edges if span.start < edge < span.end]
    if not inner:
        return []
    if not span.parts:
        if all(is_plain(edge - span.start, span.length, quarter) for edge in inner):
            return []
        unit = math.gcd(span.length, *(edge - span.start for edge in inner))
        count = span.length // unit
        in_halves = span.length % 2 == 0 and span.start + span.length // 2 in inner
        if count == 3 or (span.length <= quarter and not in_halves):
            return [Tuplet(span.start, span.length, count, 1 << (count.bit_length() - 1))]
    elif len(span.parts) == 2 and span.simple() and _are_thirds(span, inner):
        return [Tuplet(span.start, span.length, 3, 2)]
    return [tuplet for part in span.divided() for tuplet in find_tuplets(part, inner, quarter)]


def _are_thirds(span: Span, inner: Sequence[int]) -> bool:
    return all(3 * (edge - span.start) % span.length == 0 for edge in inner)


def is_plain(offset: int, length: int, quarter: int) -> bool:
    """Whether a place in a stretch is a half, a quarter, an eighth ... of it, down to the shortest note."""
    part = Fraction(offset, length)
    return (
        part.denominator & (part.denominator - 1) == 0 and Fraction(length, 4 * quarter) / part.denominator >= SHORTEST
    )
