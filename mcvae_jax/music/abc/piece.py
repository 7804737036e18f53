"""The voices of an ABC tune -> one piece: measures for all of them, and the order in which they are played."""

import bisect
import itertools

from mcvae_jax.music.abc.budget import PLAYED_MEASURE, PLAYED_NOTE, Budget
from mcvae_jax.music.abc.fields import parse_order, sounding_name
from mcvae_jax.music.abc.music import read_music
from mcvae_jax.music.abc.text import tune_lines
from mcvae_jax.music.abc.tune import Mark, Tune
from mcvae_jax.music.abc.voice import Barline, Voice
from mcvae_jax.music.measures import MAX_PLAYED, Measure, Note, Part, Piece, play_order
from mcvae_jax.music.score import Reason, Skip

UNEQUAL = "voices whose measures differ in length, filled up with silence"
ORDER = "an order of parts (P:) that does not fit its parts"


def read_tune(text: str, budget: Budget) -> Piece:
    """A tune as a piece, with remarks on what was left out or not followed. Raises Skip."""
    tune = Tune(budget)
    for line in tune_lines(text, tune.remarks):
        if line.field:
            tune.field(line.field, line.text)
        else:
            read_music(line.text, tune)
    for voice in tune.voices.values():
        voice.close(Barline(ends_section=True))
    voices = [voice for voice in tune.voices.values() if voice.measures]
    if not any(any(voice.bars) for voice in voices):
        why = "no key (K:), after which its music would begin" if tune.in_header else "; ".join(sorted(tune.remarks))
        raise Skip(Reason.NO_NOTES, why)
    piece = _to_piece(voices, tune)
    order = _order(piece.measures, tune)
    notes = sum(len(part.measures[i]) for part in piece.parts for i in order)
    budget.spend(PLAYED_MEASURE * len(order) * len(voices) + PLAYED_NOTE * notes)
    return piece._replace(order=order, remarks=tuple(sorted(tune.remarks)))


def _to_piece(voices: list[Voice], tune: Tune) -> Piece:
    """The first voice says where barlines and repeats are; a longer one goes on after it."""
    lead = voices[0]
    bars = [_at_barlines(voice, lead) for voice in voices]
    longest = max(range(len(voices)), key=lambda i: len(bars[i]))
    measures = lead.measures + voices[longest].measures[len(lead.measures) : len(bars[longest])]
    lengths = [max(v[i][0] for v in bars if i < len(v)) for i in range(len(measures))]
    if any(bar[0] != length for v in bars for bar, length in zip(v, lengths, strict=False)):
        tune.remarks[UNEQUAL] += 1
    silence: list[list[Note]] = [[]]
    parts = [
        Part(
            voice.name if len(voices) > 1 else "",
            voice.settings.is_drum,
            [notes for _, notes in own] + silence * (len(measures) - len(own)),
        )
        for voice, own in zip(voices, bars, strict=True)
    ]
    keys = [(m.measure, sounding_name(m.value, lead.settings.shift)) for m in tune.keys if m.voice in (None, lead)]
    tempos = sorted((mark.measure, mark.value) for mark in tune.tempos)
    measures = [measure._replace(length=length) for measure, length in zip(measures, lengths, strict=True)]
    # barlines of other voices may be others; chord symbols stand over the first
    chords = tuple(chord for chord in lead.chords if chord[0] < len(measures))
    return Piece(measures, parts, [key for key in keys if key[1]], tempos, tune.title, chords=chords)


def _at_barlines(voice: Voice, lead: Voice) -> list[tuple[int, list[Note]]]:
    """The length and the notes of each measure of a voice.

    A voice that lasts as long as the first one, but has other barlines or none, is cut at those of the first.
    """
    own = [measure.length for measure in voice.measures]
    wanted = [measure.length for measure in lead.measures]
    if own == wanted or sum(own) != sum(wanted):
        return list(zip(own, voice.bars, strict=True))
    starts = [0, *itertools.accumulate(wanted)]
    bars: list[list[Note]] = [[] for _ in wanted]
    for start, notes in zip(itertools.accumulate(own, initial=0), voice.bars, strict=False):
        for note in notes:
            onset, end = start + note.onset, start + note.onset + note.duration
            i = bisect.bisect_right(starts, onset) - 1
            while onset < end and i < len(bars):
                cut = min(end, starts[i + 1])
                bars[i].append(Note(onset - starts[i], cut - onset, note.pitch, note.tied or cut < end))
                onset, i = cut, i + 1
    return list(zip(wanted, bars, strict=True))


def _order(measures: list[Measure], tune: Tune) -> list[int]:
    """The measures as they are played: the parts in the order of P: in the header, the repeats of each. Raises Skip."""
    first = next((mark.voice for mark in tune.parts if mark.voice), None)
    marks = [mark for mark in tune.parts if mark.voice in (None, first)]
    letters = parse_order(tune.order) if tune.order else ""
    sections = _sections(marks, len(measures))
    if letters is None or not set(letters) <= set(sections):
        tune.remarks[ORDER] += 1
        letters = "".join(letter for letter in letters or "" if letter in sections)
    if not letters:
        return play_order(measures)
    played = {letter: _played(measures, sections[letter]) for letter in set(letters)}
    order = _played(measures, range(marks[0].measure))
    for letter in letters:
        order += played[letter]
        if len(order) > MAX_PLAYED:
            raise Skip(Reason.TOO_LONG, f"its parts give more than {MAX_PLAYED:,} measures")
    return order


def _sections(marks: list[Mark], count: int) -> dict[str, range]:
    """The measures of each part, by its name; the first of a name counts."""
    ends = [*(mark.measure for mark in marks[1:]), count]
    sections: dict[str, range] = {}
    for mark, end in zip(marks, ends, strict=False):
        sections.setdefault(mark.value.strip(), range(mark.measure, end))
    return sections


def _played(measures: list[Measure], section: range) -> list[int]:
    return [section.start + i for i in play_order(measures[section.start : section.stop])]
