"""Repeat signs, endings and double bars of a score, as the part that states most of them has them."""

from collections.abc import Sequence

from mcvae_jax.music.measures import Measure
from mcvae_jax.music.musicxml.part import Bar, Part


def read_signs(parts: Sequence[Part], remarks: list[str]) -> list[Measure]:
    """The measures with their signs; lengths and metres are left open. Says in `remarks` where parts disagree."""
    lead = max(parts, key=lambda part: len(_stated(part)))
    stated = _stated(lead)
    if any(others and others != stated for part in parts if (others := _stated(part))):
        remarks.append(f"parts that do not repeat alike; the signs of {lead.instruments.name!r} count")
    count = max(len(part.bars) for part in parts)
    bars: list[Bar | None] = [*lead.bars, *[None] * (count - len(lead.bars))]
    opens = [
        bool(bar and bar.marks.opens) or bool(i and bars[i - 1] and bars[i - 1].marks.opens_next)
        for i, bar in enumerate(bars)
    ]
    times = [bar.marks.times if bar else 0 for bar in bars]
    for i, bar in enumerate(bars[1:]):
        if bar and bar.marks.times_before:
            times[i] = bar.marks.times_before
    endings = _endings(bars, opens, times)
    measures: list[Measure] = []
    closed = True
    for i in range(count):
        here = [part.bars[i].marks for part in parts if i < len(part.bars)]
        begins = closed or opens[i] or any(marks.section for marks in here)
        measures.append(Measure(0, None, begins, opens[i], times[i], endings[i]))
        closed = bool(times[i]) or any(marks.section_next for marks in here)
    return measures


def _stated(part: Part) -> list[tuple[int, str]]:
    """The signs of a part: measure and kind."""
    return [
        (i, kind)
        for i, bar in enumerate(part.bars)
        for kind, there in (
            ("|:", bar.marks.opens),
            ("|:", bar.marks.opens_next),
            (":|", bar.marks.times),
            (":|", bar.marks.times_before),
            ("[", bar.marks.ending is not None),
        )
        if there
    ]


def _endings(bars: Sequence[Bar | None], opens: Sequence[bool], times: Sequence[int]) -> list[frozenset[int]]:
    """The turns in which each measure is played; empty where it is played in all.

    A bracket that nothing ends goes up to the next repeat sign or bracket; one without a number follows the one
    before it.
    """
    turns: list[frozenset[int]] = []
    current: frozenset[int] = frozenset()
    for i, bar in enumerate(bars):
        marks = bar.marks if bar else None
        if opens[i] or (marks and marks.ends_ending_before):
            current = frozenset()
        if marks and marks.ending is not None:
            previous = max(turns[-1], default=0) if turns else 0
            current = marks.ending or frozenset({previous + 1})
        turns.append(current)
        if times[i] or (marks and marks.ends_ending):
            current = frozenset()
    return turns
