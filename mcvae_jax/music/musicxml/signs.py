"""Repeat signs, endings and double bars of a score, as the part that states most of them has them."""

from collections.abc import Sequence

from mcvae_jax.music.measures import Measure
from mcvae_jax.music.musicxml.marks import Marks
from mcvae_jax.music.musicxml.part import Part

Turns = frozenset[int]
_ALL: Turns = frozenset()


def read_signs(parts: Sequence[Part], remarks: list[str]) -> list[Measure]:
    """The measures with their signs; lengths and metres are left open. Says in `remarks` where parts disagree."""
    lead = max(parts, key=lambda part: len(_stated(part)))
    stated = _stated(lead)
    if any(others and others != stated for part in parts if (others := _stated(part))):
        remarks.append(f"parts that do not repeat alike; the signs of {lead.name!r} count")
    count = max(len(part.bars) for part in parts)
    marks = [bar.marks for bar in lead.bars] + [Marks()] * (count - len(lead.bars))
    opens = [marks[i].opens or (i > 0 and marks[i - 1].opens_next) for i in range(count)]
    times = [marks[i].times or (marks[i + 1].times_before if i + 1 < count else 0) for i in range(count)]
    endings = _mend(_brackets(marks, opens, times), opens, times)
    measures: list[Measure] = []
    closed = True
    for i in range(count):
        here = [part.bars[i].marks for part in parts if i < len(part.bars)]
        begins = closed or opens[i] or any(each.section for each in here)
        measures.append(Measure(0, None, begins, opens[i], times[i], endings[i]))
        closed = bool(times[i]) or any(each.section_next for each in here)
    return measures


def _stated(part: Part) -> list[tuple[int, str]]:
    """The signs of a part: the measure before or after which each stands, and what it is."""
    found = []
    for i, bar in enumerate(part.bars):
        marks = bar.marks
        signs = {"|:": marks.opens, " |:": marks.opens_next, ":|": marks.times, ": |": marks.times_before}
        signs["["] = marks.ending is not None
        found += [(i, sign) for sign, is_there in signs.items() if is_there]
    return found


def _brackets(marks: Sequence[Marks], opens: Sequence[bool], times: Sequence[int]) -> list[Turns]:
    """The turns in which each measure is played, as the brackets say; empty where there is none.

    A bracket that nothing ends goes up to the next repeat sign or bracket; one without a number follows the one
    before it.
    """
    turns: list[Turns] = []
    current = _ALL
    for i, here in enumerate(marks):
        if opens[i] or here.ends_ending_before:
            current = _ALL
        if here.ending is not None:
            before = max(turns[-1], default=0) if turns else 0
            current = here.ending or frozenset({before + 1})
        turns.append(current)
        if times[i] or here.ends_ending:
            current = _ALL
    return turns


def _mend(turns: list[Turns], opens: list[bool], times: Sequence[int]) -> list[Turns]:
    """What brackets mean that are drawn in part, as engravers do; adds to `opens` where a section then begins.

    A first ending whose bracket stops early goes up to its repeat sign; one without a bracket is the measure with the
    repeat sign before the second one. A later ending that follows none, or that opens a section, is played always.
    After the last ending a new section begins.
    """
    for i in range(len(turns) - 1):
        if turns[i] and not turns[i + 1] and not times[i]:
            end = next((k for k in range(i + 1, len(turns)) if times[k] or turns[k] or opens[k]), None)
            if end is not None and times[end] and not turns[end] and end + 1 < len(turns) and turns[end + 1]:
                turns[i + 1 : end + 1] = [turns[i]] * (end - i)
    for i in range(1, len(turns)):
        begins = turns[i] and turns[i] != turns[i - 1] and 1 not in turns[i]
        if begins and not turns[i - 1] and times[i - 1]:
            turns[i - 1] = frozenset(range(1, min(turns[i])))
    for i, here in enumerate(list(turns)):
        begins = here and 1 not in here and (i == 0 or turns[i - 1] != here)
        if begins and (opens[i] or i == 0 or not turns[i - 1]):
            for k in range(i, len(turns)):
                if turns[k] != here:
                    break
                turns[k] = _ALL
        elif i and turns[i - 1] and not turns[i]:
            opens[i] = True
    return turns
