"""The notes of one voice of an ABC tune, put into measures as they are read."""

import dataclasses
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.abc.budget import WRITTEN_MEASURE, Budget
from mcvae_jax.music.abc.fields import ALTERATIONS, NO_KEY, Key, Staff
from mcvae_jax.music.measures import MAX_PLAYED, TICKS_PER_QUARTER, Measure, Note, bar_ticks
from mcvae_jax.music.score import Reason, Skip

_FINE = 2**4 * 11 * 13  # parts of a tick, in which lengths are added, so that tuplets of 11 and 13 add up too
QUARTER = TICKS_PER_QUARTER * _FINE
MAX_WRITTEN = 200_000  # notes and rests of a voice
MAX_QUARTERS = 1_000  # of a note or rest
MAX_LAYERS = 16  # of a measure

NO_NOTE = "notes without a length, or beyond MIDI's pitches"
UNEQUAL_BROKEN = "broken rhythm between notes of different lengths, which the standard leaves open (4.4)"
FREE_Z = "Z without a metre, read as a whole note"
INNER_Z = "Z inside a measure, read as z"
SIGN_HOLDER = "an invisible rest after a full measure, left out"


class Barline(NamedTuple):
    """What a barline says about the measures on its two sides."""

    repeat_times: int = 0  # how often the section that it ends is played; 0 where it ends none
    starts_repeat: bool = False
    ends_section: bool = False  # a double bar, or one of the above
    turns: frozenset[int] = frozenset()  # those that the following ending is for; empty where none is marked


@dataclasses.dataclass
class Settings:
    """What fields and directives say of how a voice is read."""

    unit: Fraction = Fraction(1, 2)  # quarters
    metre: tuple[int, int] | None = None
    key: Key = NO_KEY
    octaves: int = 0
    clef_octaves: int = 0
    semitones: int = 0  # of K: and V:
    midi_semitones: int = 0  # of %%MIDI transpose
    is_drum: bool = False
    reach: str = "pitch"  # of an accidental: the note in all octaves (the default of 11.3), 'octave' in one, or 'not'

    def apply(self, staff: Staff) -> None:
        """Take over what the properties of K: or V: say."""
        for name in ("octaves", "clef_octaves", "semitones", "is_drum"):
            value = getattr(staff, name)
            if value is not None:
                setattr(self, name, value)

    @property
    def shift(self) -> int:
        """Semitones from what is written to what sounds."""
        return 12 * (self.octaves + self.clef_octaves) + self.semitones + self.midi_semitones


@dataclasses.dataclass(slots=True)
class Head:
    """A note of a chord, or a note alone."""

    natural: int  # as written: the MIDI pitch without accidental, which is its place on the staff
    alteration: int
    tied: bool = False


@dataclasses.dataclass(slots=True)
class Event:
    """A note, a chord or (without heads) a rest; in fine ticks from the start of its measure."""

    start: int
    length: int
    heads: list[Head]
    shift: int
    invisible: bool = False  # a rest that is not drawn


def _scaled(length: int, scale: tuple[int, int]) -> int:
    return (2 * length * scale[0] + scale[1]) // (2 * scale[1])


class Voice:
    """One voice while it is read; what cannot be meant is counted in `remarks`."""

    def __init__(self, settings: Settings, remarks: Counter[str], budget: Budget) -> None:
        self.name = ""
        self.settings = dataclasses.replace(settings)
        self.measures: list[Measure] = []
        self.bars: list[list[Note]] = []
        self.chords: list[tuple[int, int, str]] = []  # chord symbols: measure index, ticks into it, text
        self._remarks, self._budget = remarks, budget
        self._written = 0
        self._begins_section, self._repeat_start = True, False
        self._endings: frozenset[int] = frozenset()
        self._metre: tuple[int, int] | None = None  # of the measure that is being read
        self._carried: list[dict[int, int]] = []  # of each layer: alterations that a tie brings over the barline
        self._layers: list[tuple[list[Event], int]] = []  # of this measure, before its last '&'
        self._begin_layer()

    def _begin_layer(self) -> None:
        self._layer: list[Event] = []
        self._position = 0
        self._accidentals: dict[int, int] = {}
        self._tuplet, self._left = (1, 1), 0  # the scale of so many more notes
        self._broken: tuple[int, int] | None = None  # the scale of the next note
        self._partner = 0  # the length of the note before it, until it was changed

    def length(self, numerator: int, denominator: int) -> int:
        """So many units in fine ticks."""
        unit = self.settings.unit
        return _scaled(QUARTER, (numerator * unit.numerator, denominator * unit.denominator))

    def head(self, sign: str | None, natural: int) -> Head:
        """The next note, with the alteration that its sign, a tie, the measure or the key gives it."""
        reach = self.settings.reach
        place = natural % 12 if reach == "pitch" else natural
        carried = self._carried[len(self._layers)] if not self._layer and len(self._carried) > len(self._layers) else {}
        if sign:
            alteration = ALTERATIONS[sign]
            if reach != "not":
                self._accidentals[place] = alteration
        elif natural in carried:
            alteration = carried[natural]
        else:
            alteration = self._accidentals.get(place, self.settings.key.alterations.get(natural % 12, 0))
        return Head(natural, alteration)

    def add(self, heads: list[Head], length: int, invisible: bool = False) -> None:
        """A note, chord or rest of this length, before tuplets and broken rhythm change it. Raises Skip."""
        if self._left:
            length = _scaled(length, self._tuplet)
            self._left -= 1
        if self._broken:
            if length != self._partner:
                self._remarks[UNEQUAL_BROKEN] += 1
            length = _scaled(length, self._broken)
            self._broken = None
        self._place(Event(self._position, length, heads, self.settings.shift, invisible))

    def _place(self, event: Event) -> None:
        if event.length > MAX_QUARTERS * QUARTER:
            raise Skip(Reason.TOO_LONG, f"a note of more than {MAX_QUARTERS:,} quarters")
        if not (self._layer or any(layer for layer, _ in self._layers)):
            self._metre = self.settings.metre  # a change inside a measure holds from the next one on
        self._layer.append(event)
        self._position += event.length
        self._written += 1 + len(event.heads)
        if self._written > MAX_WRITTEN:
            raise Skip(Reason.TOO_LONG, f"a voice of more than {MAX_WRITTEN:,} notes and rests")

    def rest_bars(self, count: int) -> None:
        """Z: so many measures of silence, the last of which is open; inside a measure, a rest of so many units."""
        if not self.is_at_barline():
            self._remarks[INNER_Z] += 1
            self.add([], self.length(count, 1))
            return
        if not self.settings.metre:
            self._remarks[FREE_Z] += 1
        bar = bar_ticks(self.settings.metre or (4, 4)) * _FINE
        for k in range(count):
            if k:
                self.close(Barline())
            self._place(Event(self._position, bar, [], 0))

    def tuplet(self, notes: int, time: int, count: int) -> None:
        """The next `count` notes are played as `notes` in the time of `time`."""
        self._tuplet, self._left = (time, notes), count

    def broken(self, sign: str) -> bool:
        """'>', '<<': the last note gives to the next one, or takes from it; False where there is none."""
        if not self._layer:
            return False
        unit = 2 ** len(sign)
        scales = ((2 * unit - 1, unit), (1, unit))
        scale, self._broken = scales if sign[0] == ">" else scales[::-1]
        event = self._layer[-1]
        self._partner = event.length
        event.length = _scaled(event.length, scale)
        self._position = event.start + event.length
        return True

    def tie(self) -> bool:
        """The last note or chord holds on into the next; False where there is none."""
        if self._layer:
            for head in self._layer[-1].heads:
                head.tied = True
            return bool(self._layer[-1].heads)
        if not self.bars or self._layers:  # a tie that is written after the barline
            return False
        end = self.measures[-1].length
        self.bars[-1] = [n._replace(tied=n.tied or n.onset + n.duration == end) for n in self.bars[-1]]
        return True

    def chord_symbol(self, text: str) -> None:
        """A chord symbol stands here, over what follows."""
        self.chords.append((len(self.measures), _to_ticks(self._position), text))

    def overlay(self) -> None:
        """'&': back to the start of the measure, for more notes of the same voice. Raises Skip."""
        self._layers.append((self._layer, self._position))
        if len(self._layers) >= MAX_LAYERS:
            raise Skip(Reason.TOO_LONG, f"more than {MAX_LAYERS} overlays in a measure")
        self._begin_layer()

    def is_at_barline(self) -> bool:
        return not (self._layer or self._layers)

    def close(self, barline: Barline) -> None:
        """What has been read since the last barline is a measure. Raises Skip."""
        self._drop_sign_holder()
        layers = [*self._layers, (self._layer, self._position)]
        length = _to_ticks(max(position for _, position in layers))
        if length:
            flags = (self._begins_section, self._repeat_start, barline.repeat_times, self._endings)
            self.measures.append(Measure(length, self._metre, *flags))
            self.bars.append(sorted(self._sounding([event for layer, _ in layers for event in layer])))
            self._carried = [
                {head.natural: head.alteration for head in layer[-1].heads if head.tied} if layer else {}
                for layer, _ in layers
            ]
            self._begins_section = self._repeat_start = False
            self._budget.spend(WRITTEN_MEASURE)
            if len(self.measures) > MAX_PLAYED:
                raise Skip(Reason.TOO_LONG, f"more than {MAX_PLAYED:,} measures")
        elif barline.repeat_times and self.measures:
            self.measures[-1] = self.measures[-1]._replace(repeat_times=barline.repeat_times)
        self._layers = []
        self._begin_layer()
        self._begins_section |= barline.ends_section
        self._repeat_start |= barline.starts_repeat
        if barline.turns or barline.ends_section:
            self._endings = barline.turns

    def _drop_sign_holder(self) -> None:
        """Take away an invisible rest after a full measure: it is written to hold a fermata over the barline."""
        last = self._layer[-1] if self._layer else None
        if last and last.invisible and self._metre and not self._layers and last.length == self.length(1, 1):
            if last.start and last.start % (bar_ticks(self._metre) * _FINE) == 0:
                self._remarks[SIGN_HOLDER] += 1
                self._layer.pop()
                self._position = last.start

    def _sounding(self, events: list[Event]) -> list[Note]:
        notes: list[Note] = []
        for event in events:
            onset = _to_ticks(event.start)
            duration = _to_ticks(event.start + event.length) - onset
            for head in event.heads:
                pitch = head.natural + head.alteration + event.shift
                if duration and 0 <= pitch <= 127:
                    notes.append(Note(onset, duration, pitch, head.tied))
                else:
                    self._remarks[NO_NOTE] += 1
        return notes


def _to_ticks(fine: int) -> int:
    return (fine + _FINE // 2) // _FINE
