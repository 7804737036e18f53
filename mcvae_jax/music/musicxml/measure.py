"""One measure of a part: what sounds, how far it reaches, and the marks that stand there.

The format's clock is a cursor in divisions of a quarter: <note> (unless it is a <chord/> or a <grace/>) and <forward>
move it on, <backup> moves it back. Positions stay exact until they become ticks.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple
from xml.etree.ElementTree import Element

from mcvae_jax.music.measures import TICKS_PER_QUARTER, Note, bar_ticks
from mcvae_jax.music.musicxml.attributes import Attributes
from mcvae_jax.music.musicxml.bar import Bar
from mcvae_jax.music.musicxml.instruments import Instruments
from mcvae_jax.music.musicxml.marks import read_barline, read_direction, read_harmony, read_sound
from mcvae_jax.music.musicxml.ties import Ties
from mcvae_jax.music.musicxml.values import Number, number, whole, words
from mcvae_jax.music.score import Reason, Skip

MAX_QUARTERS = 4096  # of a measure; the longest cadenzas take a few hundred
_TOO_LONG = f"it is over {MAX_QUARTERS:,} quarters long"
_MAX_DENOMINATOR = 1 << 20  # of a position; else sums of many kinds of fractions would grow without bound
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_QUARTERS: dict[str, Number] = {
    "maxima": 32,
    "long": 16,
    "breve": 8,
    "whole": 4,
    "half": 2,
    "quarter": 1,
    "eighth": Fraction(1, 2),
}
_QUARTERS |= {f"{2**k}th": Fraction(4, 2**k) for k in (4, 6, 7, 8, 9, 10)} | {"32nd": Fraction(1, 8)}


class _Rest(NamedTuple):
    voice: tuple[str, str]
    start: int  # ticks
    end: int
    is_whole: bool  # it says that it fills its measure
    looks_whole: bool  # it looks as such a rest does; so does one of four quarters


@dataclass
class State:
    """What goes on from one measure of a part to the next."""

    instruments: Instruments
    attributes: Attributes = field(default_factory=Attributes)
    ties: Ties = field(default_factory=Ties)
    before: Bar | None = None
    divisions_elsewhere: Number | None = None  # in another part, for one that states none
    oddities: Counter[str] = field(default_factory=Counter)  # what was not taken as it is written, in words


class MeasureReader:
    """Reads one measure: the cursor, and what has been found."""

    def __init__(self, state: State, bar: Bar) -> None:
        self.state, self.bar, self.attributes = state, bar, state.attributes
        self.cursor: Number = 0  # divisions
        self.chord: Number = 0  # where a <chord/> starts
        self.chord_end = 0  # ticks
        self.rests: list[_Rest] = []
        self.voices: Counter[tuple[str, str]] = Counter()

    def read(self, measure: Element) -> Bar:
        """Raises Skip where it makes no sense."""
        bar = self.bar
        bar.metre = self.attributes.metre
        if self.attributes.divisions is None and measure.find("attributes/divisions") is None:
            self._guess_divisions(measure)
        for child in measure:
            if child.tag == "note":
                self._note(child)
            elif child.tag == "backup":
                self._move(-self._length(child))
            elif child.tag == "forward":
                self._move(self._length(child))
                bar.forward = max(bar.forward, self._ticks(self.cursor))
            elif child.tag == "attributes":
                self._attributes(child)
            elif child.tag == "direction":
                read_direction(child, bar.marks, self._ticks(self.cursor))
            elif child.tag == "sound":
                read_sound(child, bar.marks, self._ticks(self.cursor))
            elif child.tag == "harmony":
                read_harmony(child, bar.marks, self._ticks(self.cursor))
            elif child.tag == "barline":
                read_barline(child, bar.marks)
        self._close()
        return bar

    def _attributes(self, element: Element) -> None:
        """Attributes in mid-measure: divisions hold at once, a metre from the next measure on."""
        attributes, before = self.attributes, self.attributes.divisions
        attributes.read(element)
        if before and attributes.divisions and attributes.divisions != before:
            ratio = Fraction(attributes.divisions) / before
            self.cursor, self.chord = _bounded(self.cursor * ratio), _bounded(self.chord * ratio)
        if self.cursor == 0:
            self.bar.metre = attributes.metre
        self.bar.key = self.bar.key or (attributes.keys[0] if attributes.keys else "")

    def _move(self, by: Number) -> None:
        self.cursor = self.chord = _bounded(max(0, self.cursor + by))
        if self.cursor > MAX_QUARTERS * self._divisions():
            raise Skip(Reason.TOO_LONG, _TOO_LONG)

    def _divisions(self) -> Number:
        return self.attributes.divisions or 1

    def _ticks(self, position: Number) -> int:
        divisions = self._divisions()
        return int((2 * position * TICKS_PER_QUARTER + divisions) // (2 * divisions))

    def _length(self, element: Element) -> Number:
        """The <duration> of an element, in divisions; of a note that has none, what it looks like."""
        stated = element.find("duration")
        length = number(stated.text) if stated is not None else None
        if stated is not None and (length is None or length < 0):
            raise Skip(Reason.DAMAGED, f"a duration is {words(stated)[:40]!r}")
        if length is not None and length > MAX_QUARTERS * self._divisions():
            raise Skip(Reason.TOO_LONG, _TOO_LONG)
        return _looks(element) * self._divisions() if length is None else length

    def _guess_divisions(self, measure: Element) -> None:
        """Where they are not stated, the first note of a known shape says what they are, or else another part."""
        for note in measure.iterfind("note"):
            looks, length = _looks(note), number(note.findtext("duration"))
            if looks and length and length > 0:
                self.attributes.divisions = length / looks
                return
        self.attributes.divisions = self.state.divisions_elsewhere

    def _note(self, note: Element) -> None:
        tags = {child.tag: child for child in note}
        if "grace" in tags:
            return
        length = self._length(note)
        start = self.chord if "chord" in tags else self.cursor
        if "chord" not in tags:
            self._move(length)
            self.chord, self.chord_end = start, self._ticks(self.cursor)
        onset, end = self._ticks(start), self._ticks(start + length)
        voice = (words(tags.get("voice")), words(tags.get("staff")))
        self.voices[voice] += 1
        if "rest" in tags:
            flagged = tags["rest"].get("measure") == "yes"
            self.rests.append(_Rest(voice, onset, end, flagged, words(tags.get("type")) == "whole"))
            return
        self.bar.end = max(self.bar.end, end)
        if "cue" not in tags:
            self._sound(note, tags, voice, onset, end - onset)

    def _sound(
        self, note: Element, tags: dict[str, Element], voice: tuple[str, str], onset: int, duration: int
    ) -> None:
        """A note that is played, unless it has no length, or is a place for a player's own notes."""
        staff = whole(words(tags.get("staff")), 1)
        oddities, slashes = self.state.oddities, self.attributes.slashes
        if duration <= 0:
            oddities["notes without a length left out"] += 1
        elif words(tags.get("notehead")) == "slash" or staff in slashes or 0 in slashes:
            oddities["slashes, which stand for notes that are not written, left out"] += 1
        elif (drum := self._drum(tags, staff)) >= 0:
            self.bar.drums.append(Note(onset, duration, drum, False))
        elif "pitch" in tags:
            tied, continues = _ties(note, tags)
            if tied and "chord" in tags:
                duration = max(duration, self.chord_end - onset)  # what is tied sounds to the end of its chord
            for pitch in self._pitches(tags["pitch"], staff):
                written = Note(onset, duration, pitch, tied, continues)
                self.bar.notes.append(self.state.ties.place(written, self.bar, self.state.before, voice, staff))
        else:
            raise Skip(Reason.DAMAGED, "a note has no pitch")

    def _drum(self, tags: dict[str, Element], staff: int) -> int:
        """The place of a note in the drum map; -1 where it is no drum."""
        instruments = self.state.instruments
        name = tags["instrument"].get("id", "") if "instrument" in tags else ""
        is_drum = name in instruments.drums if name else instruments.all_drums
        if not (is_drum or "unpitched" in tags or staff in self.attributes.percussion):
            return -1
        stated = instruments.drums.get(name, -1)
        if stated >= 0:
            return stated
        place = tags["unpitched"] if "unpitched" in tags else tags.get("pitch")
        step, octave = ("display-step", "display-octave") if "unpitched" in tags else ("step", "octave")
        return min(max(12 * whole(words(place, octave), 4) + 12 + _STEPS.get(words(place, step), 0), 0), 127)

    def _pitches(self, pitch: Element, staff: int) -> list[int]:
        """The MIDI pitch that sounds, and its doubling; none where MIDI has none."""
        step, octave = _STEPS.get(words(pitch, "step")), number(pitch.findtext("octave"))
        alter = number(pitch.findtext("alter") or "0")
        if step is None or octave is None or alter is None:
            raise Skip(Reason.DAMAGED, "a pitch is not one")
        semitones, doubling = self.attributes.transposition(staff)
        exact = 12 * octave + 12 + step + alter + semitones
        sounding = exact if isinstance(exact, int) else math.floor(exact + Fraction(1, 2))
        if sounding != exact:
            self.state.oddities["notes between two semitones rounded"] += 1
        found = [sounding, sounding + doubling] if doubling else [sounding]
        if not all(0 <= each <= 127 for each in found):
            self.state.oddities["notes beyond the range of MIDI left out"] += 1
        return [each for each in found if 0 <= each <= 127]

    def _close(self) -> None:
        """Rests of a whole measure, flagged or alone in their voice, fill whatever the measure is; so does a bare
        <forward>."""
        bar, attributes = self.bar, self.attributes
        full = bar_ticks(bar.metre) if bar.metre else 0
        for rest in self.rests:
            alone = self.voices[rest.voice] == 1 and rest.start == 0
            if rest.is_whole or (alone and (rest.looks_whole or (full and rest.end >= full))):
                bar.whole_rest = max(bar.whole_rest, rest.end)
            else:
                bar.rests = max(bar.rests, rest.end)
        if not self.voices:
            bar.whole_rest = bar.forward
        if attributes.repeating:
            bar.repeats = dict(attributes.repeating)
        if attributes.beat_repeats:
            self.state.oddities["measures of beat repeats, which are not played"] += 1
        bar.notes.sort()
        bar.drums.sort()


def _bounded(position: Number) -> Number:
    return position if isinstance(position, int) else position.limit_denominator(_MAX_DENOMINATOR)


def _looks(note: Element) -> Fraction:
    """The quarters that a note's shape stands for; 0 where it has none."""
    undotted = _QUARTERS.get(words(note, "type"))
    if undotted is None:
        return Fraction(0)
    shape = undotted * (2 - Fraction(1, 2 ** min(len(note.findall("dot")), 8)))
    actual, normal = (whole(note.findtext(f"time-modification/{each}-notes"), 1) for each in ("actual", "normal"))
    return Fraction(shape) * normal / actual if actual > 0 else Fraction(shape)


def _ties(note: Element, tags: dict[str, Element]) -> tuple[bool, bool]:
    """Whether a tie starts and whether one stops here; <tied>, which is what it looks like, counts without <tie>."""
    if "tie" in tags:
        types = {tie.get("type") for tie in note.findall("tie")}
    elif "notations" in tags:
        types = {tied.get("type") for tied in note.findall("notations/tied")}
    else:
        return False, False
    return bool(types & {"start", "continue"}), bool(types & {"stop", "continue"})
