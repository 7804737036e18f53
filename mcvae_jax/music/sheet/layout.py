"""Steps of a song -> the measures that are written: a pickup, bar lines, repeats, and what is not written twice."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.grid import Grid
from mcvae_jax.music.sheet.repeats import SILENCE, Section, find_sections, states_of
from mcvae_jax.music.sheet.tuplets import is_plain


class Line(NamedTuple):
    """A written measure, in steps of the song."""

    start: int
    end: int
    number: str
    repeat_start: bool = False
    repeat_end: bool = False
    ending: int = 0  # the turn in which it is played; 0 is any
    label: str = ""


class Lead(NamedTuple):
    """How a song begins: what is written from `start`, and the first downbeat; both 0 without a pickup."""

    start: int
    downbeat: int


def pickup_of(first: int, steps: int, bar: int, grid: Grid, metre: tuple[int, int], stated: int | None) -> Lead:
    """The pickup of a song of so many steps whose first note starts at step `first`, in printed bars of so many.

    A pickup ends where a bar of the grid does, so that a reader finds the same bars again, and a bar follows it.
    """
    downbeat = (first // bar + 1) * bar
    length = downbeat - first if stated is None else stated
    fits = grid.fits(*metre) and downbeat % grid.bar == 0 and downbeat - bar < grid.bar
    if stated == 0 or downbeat >= steps or (stated is None and not (fits and 2 * length <= bar)):
        return Lead(0, 0)
    if not (fits and downbeat - first <= length < bar):
        raise UserError(f"pickup is {length} steps; the first note starts {first} steps into bars of {bar}")
    start, quarter = downbeat - length, grid.quarter
    into = start % quarter
    return Lead(start if is_plain(into, quarter, quarter) else start - into, downbeat)  # no tuplet begins before it


def lay_out(
    tokens: np.ndarray, bar: int, lead: Lead, labels: Sequence[tuple[int, str]], chords: Sequence[tuple[int, str]]
) -> list[Line]:
    """The measures, at least one, of canonical tokens, (N,), in printed bars of so many steps.

    Repeats that begin with the pickup come first, and others, on bar lines, between them. A repeat has the same chords.
    """
    states = states_of(tokens)
    states = np.append(states, np.full(-len(states) % bar or (0 if len(states) else bar), SILENCE))
    above, texts = np.zeros(len(states), np.int64), sorted({text for _, text in chords})
    for step, text in chords:
        above[step] = 1 + texts.index(text)
    pickup = lead.downbeat - lead.start
    marks = {max(place // bar * bar, lead.downbeat): text for place, text in labels if place < len(tokens)}
    starts = sorted({lead.downbeat, *marks})
    stretches = list(zip(starts, [*starts[1:], len(states)], strict=True))
    sections: list[Section] = []
    if pickup:
        sections = find_sections(
            states, above, bar, [(first - pickup, last - pickup) for first, last in stretches], pickup
        )
    gaps = [gap for stretch in stretches for gap in _gaps(stretch, bar, sections)]
    between = find_sections(states, above, bar, gaps)
    return list(_lines(states, bar, lead, marks, sorted(sections + between)))


def _gaps(stretch: tuple[int, int], bar: int, sections: Sequence[Section]) -> Iterator[tuple[int, int]]:
    """Between bar lines, what of a stretch the sections leave."""
    first, last = stretch
    for section in sections:
        if first <= section.after and section.start <= last:
            yield first, section.start // bar * bar
            first = -(-section.after // bar) * bar
    yield first, last


def _lines(
    states: np.ndarray, bar: int, lead: Lead, marks: dict[int, str], sections: Sequence[Section]
) -> Iterator[Line]:
    """The measures between bar lines and the borders of sections, numbered as printed."""
    number = 0 if lead.downbeat else 1
    for line in _stretches(_end(states, lead, sections), lead.start, sections):
        start = line.start
        while start < line.end:
            end = min((start // bar + 1) * bar, line.end)
            begins = start % bar == 0 or start == lead.start
            yield line._replace(
                start=start,
                end=end,
                number=str(number) if begins else f"X{number - 1}",
                repeat_start=line.repeat_start and start == line.start,
                repeat_end=line.repeat_end and end == line.end,
                label=marks.get(start, ""),
            )
            number += begins
            start = end


def _end(states: np.ndarray, lead: Lead, sections: Sequence[Section]) -> int:
    """Where the writing ends: the last bar lacks what the pickup has before the first, where that is silent."""
    end = len(states) - (lead.downbeat - lead.start)
    last = max((section.after for section in sections), default=0)
    return end if last <= end and end > lead.downbeat and np.all(states[end:] == SILENCE) else len(states)


def _stretches(end: int, at: int, sections: Sequence[Section]) -> Iterator[Line]:
    """What is written one after the other: music outside sections, sections, their endings."""
    for section in sections:
        if at < section.start:
            yield Line(at, section.start, "")
        common = section.end - section.ending
        yield Line(section.start, common, "", True, not section.ending)
        if section.ending:
            yield Line(common, section.end, "", False, True, 1)
            yield Line(section.after - section.ending, section.after, "", False, False, 2)
        at = section.after
    if at < end:
        yield Line(at, end, "")
