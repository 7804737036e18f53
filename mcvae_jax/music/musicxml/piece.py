"""The parts of a score -> one Piece: how long each measure is, where it repeats, and what each staff plays."""

from collections import Counter
from collections.abc import Sequence

from mcvae_jax.music.jumps import find_jump, jump_order
from mcvae_jax.music.measures import MAX_CELLS, TICKS_PER_QUARTER, Measure, Note, Piece, bar_ticks, play_order
from mcvae_jax.music.measures import Part as Staff
from mcvae_jax.music.musicxml.attributes import Metre
from mcvae_jax.music.musicxml.bar import Bar
from mcvae_jax.music.musicxml.part import Part
from mcvae_jax.music.musicxml.signs import read_signs
from mcvae_jax.music.score import Reason, Skip

_ROUNDING = TICKS_PER_QUARTER // 8  # a 32nd, half a step of the grid: less is rounding, not music
_SILENT: list[Note] = []
_DRUMS = 1 << 62  # their staff, behind all others


def parts_to_piece(parts: Sequence[Part], title: str) -> Piece:
    """The score as written. The parts need not agree: the one that states most repeats, or metres, decides.

    Raises Skip where nothing sounds, or there is too much.
    """
    parts = [part for part in parts if part.bars]
    if not any(bar.notes or bar.drums for part in parts for bar in part.bars):
        raise Skip(Reason.NO_NOTES, _what_is_there(parts))
    count = max(len(part.bars) for part in parts)
    columns = [[part.bars[i] for part in parts if i < len(part.bars)] for i in range(count)]
    remarks = _oddities(parts)
    measures = _measures(columns, read_signs(parts, remarks), _metres(parts, count, remarks))
    order = _order(columns, measures, remarks)
    staves = sum(len({staff for bar in part.bars for staff, _ in bar.notes}) + 1 for part in parts)
    if staves * len(order) > MAX_CELLS:
        raise Skip(Reason.TOO_LONG, f"{len(order):,} measures, as played, of {staves:,} staves")
    tracks = [track for part in parts for track in _staves(part, measures, remarks)]
    keys = next((keys for part in parts if (keys := [(i, bar.key) for i, bar in enumerate(part.bars) if bar.key])), [])
    bars = next((part.bars for part in parts if any(bar.marks.chords for bar in part.bars)), [])
    chords = tuple((i, tick, text) for i, bar in enumerate(bars) for tick, text in bar.marks.chords)
    return Piece(measures, tracks, keys, _tempos(columns, measures), title, order, tuple(remarks), chords)


def _measures(
    columns: Sequence[Sequence[Bar]], signs: Sequence[Measure], metres: Sequence[Metre | None]
) -> list[Measure]:
    """The measures with metre and length. A change of metre begins a section, so that a pickup may follow."""
    measures: list[Measure] = []
    for i, (column, sign, metre) in enumerate(zip(columns, signs, metres, strict=True)):
        before = measures[-1] if measures else None
        changes = before is not None and metre != before.metre
        if before is not None and changes and before.metre and any(bar.implicit for bar in column):
            if before.length + max(bar.end for bar in column) == bar_ticks(before.metre):
                metre, changes = before.metre, False  # the rest of a bar that was split; what it states comes after it
        at_border = sign.begins_section or changes or i + 1 == len(signs) or signs[i + 1].begins_section
        measures.append(
            sign._replace(
                metre=metre,
                length=_length(column, metre, at_border),
                begins_section=sign.begins_section or changes,
                is_pickup=i == 0 and any(bar.implicit or bar.number == "0" for bar in column),
            )
        )
    return measures


def _what_is_there(parts: Sequence[Part]) -> str:
    """What a score without notes holds, in words."""
    oddities = _oddities(parts)
    measures = max((len(part.bars) for part in parts), default=0)
    return "; ".join([f"{measures:,} measures in {len(parts):,} parts, in which nothing sounds", *oddities])


def _oddities(parts: Sequence[Part]) -> list[str]:
    """What was not taken as it is written."""
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part.oddities)
    remarks = [f"{what} ({number:,})" for what, number in found.items()]
    lengths = {len(part.bars) for part in parts}
    if len(lengths) > 1:
        remarks.append(f"parts of {min(lengths):,} to {max(lengths):,} measures; the shorter ones end in silence")
    return remarks


def _metres(parts: Sequence[Part], count: int, remarks: list[str]) -> list[Metre | None]:
    """The metre of each measure, from the part that states most."""
    lead = max(parts, key=lambda part: (part.stated_metres, len(part.bars)))
    metres = [bar.metre for bar in lead.bars]
    for part in parts:
        differs = [i for i, (bar, metre) in enumerate(zip(part.bars, metres, strict=False)) if bar.metre != metre]
        if part.stated_metres and differs:
            remarks.append(f"parts in several metres at once (measure {differs[0] + 1}); that of {lead.name!r} counts")
            break
    return metres + metres[-1:] * (count - len(metres))


def _length(column: Sequence[Bar], metre: Metre | None, at_border: bool) -> int:
    """How long a measure is, in ticks: what notes and rests fill, up to rounding; silence fills it to the metre.

    Only notes go beyond the metre, and only where no fewer parts do so than fill it: else theirs is the mistake. A rest
    of a whole measure is as long as the notes of the other staves; a short measure at a border of sections
    (`at_border`) may be a pickup, or what a pickup leaves. Directions, chord symbols and what <forward> skips past the
    metre say nothing.
    """
    silence = max(max(bar.forward, bar.whole_rest) for bar in column)
    if metre is None:
        return max(max(bar.end, bar.rests) for bar in column) or silence
    full = bar_ticks(metre)
    slack = min(_ROUNDING, full // 8)
    ends = [max(bar.end, min(bar.rests, full)) for bar in column]
    content = max(ends)
    exact = sum(abs(end - full) <= slack for end in ends)
    if exact and exact >= sum(end > full + slack for end in ends):
        return full
    if content > full:
        return content
    implicit = any(bar.implicit for bar in column)
    if content == 0:
        return min(silence, full) if silence and implicit else full
    resting = max(bar.whole_rest for bar in column)
    skipped = max((bar.forward for bar in column if not bar.whole_rest), default=0)
    if implicit or (at_border and skipped < full - slack <= resting):
        return content
    return min(max(content, silence), full)


def _staves(part: Part, measures: Sequence[Measure], remarks: list[str]) -> list[Staff]:
    """What each staff plays in each measure, up to its end; drums stand apart."""
    found: dict[int, list[list[Note]]] = {}
    beyond = 0
    for i, bar in enumerate(part.bars):
        for staff, note in [*bar.notes, *((_DRUMS, drum) for drum in bar.drums)]:
            if note.onset >= measures[i].length:
                beyond += 1
                continue
            staves = found.setdefault(staff, [_SILENT] * len(measures))
            if staves[i] is _SILENT:
                staves[i] = []
            staves[i].append(note)
    if beyond:
        remarks.append(f"notes of {part.name!r} beyond the end of their measures left out ({beyond:,})")
    for staff, notes in found.items():
        _repeat_measures(part, staff, notes)
    return [Staff(part.name, staff == _DRUMS, found[staff]) for staff in sorted(found)]


def _repeat_measures(part: Part, staff: int, notes: list[list[Note]]) -> None:
    """Measures under a repeat sign (%) play what stood before; some programs write that out below the sign."""
    for i, bar in enumerate(part.bars):
        back = bar.repeats.get(staff) or bar.repeats.get(0)  # 0 stands for all staves
        if back and back <= i and not notes[i]:
            notes[i] = notes[i - back]


def _tempos(columns: Sequence[Sequence[Bar]], measures: Sequence[Measure]) -> list[tuple[int, float]]:
    """A measure has the tempo that is stated up to its middle, the first part's before the others'."""
    found: dict[int, float] = {}
    for i, column in enumerate(columns):
        marks = next((bar.marks.tempos for bar in column if bar.marks.tempos), [])
        early = [tempo for tick, tempo in marks if 2 * tick <= measures[i].length]
        late = [tempo for tick, tempo in marks if 2 * tick > measures[i].length]
        if early:
            found[i] = early[-1]
        if late and i + 1 < len(columns):
            found[i + 1] = late[-1]
    return sorted(found.items())


def _order(columns: Sequence[Sequence[Bar]], measures: Sequence[Measure], remarks: list[str]) -> list[int]:
    """The order in which the measures sound: repeats, and a jump that is simple enough to be followed.

    A repeat without a start goes back to the end of the last one, or to the beginning; no double bar starts one.
    """
    marks = [{kind: name for bar in column for kind, name in bar.marks.jumps.items()} for column in columns]
    with_repeats = any(bar.marks.after_jump for column in columns for bar in column)
    jump, why_not = find_jump(marks, with_repeats)
    spoken = next((bar.marks.spoken for column in columns for bar in column if bar.marks.spoken), "")
    if why_not:
        remarks.append(why_not)
    elif spoken and not jump:
        remarks.append(f"a jump in words alone ({spoken[:40]!r}), which is not followed")
    signs = [measure._replace(begins_section=False) for measure in measures]
    return jump_order(signs, jump) if jump else play_order(signs)
