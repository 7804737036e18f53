"""What <attributes> of a part state, and what of it is in force: divisions, metre, key, transposition, styles."""

from fractions import Fraction
from typing import NamedTuple
from xml.etree.ElementTree import Element

from mcvae_jax.music.musicxml.values import Number, number, whole, words
from mcvae_jax.music.notation import key_name
from mcvae_jax.music.score import Reason, Skip

Metre = tuple[int, int]
_MAX_BEATS, _MAX_BEAT_TYPE = 255, 256  # of a metre, as in MIDI


class Transposition(NamedTuple):
    """From the written to the sounding pitch."""

    semitones: Number = 0
    doubling: int = 0  # an octave that sounds, too: 12, -12, or 0


class Attributes:
    """What is in force in a part; staff 0 stands for all that are not named."""

    def __init__(self) -> None:
        self.divisions: Number | None = None
        self.metre: Metre | None = None
        self.metres = 0  # how often one was stated
        self.keys: list[str] = []  # stated by the last element; empty where it states none that has a name
        self.percussion: set[int] = set()  # staves
        self.slashes: set[int] = set()
        self.repeating: dict[int, int] = {}  # staff -> a pattern of so many measures goes on
        self.beat_repeats = False
        self._transpositions: dict[int, Transposition] = {}

    def transposition(self, staff: int) -> Transposition:
        return self._transpositions.get(staff) or self._transpositions.get(0) or Transposition()

    def read(self, element: Element) -> None:
        """Raises Skip for divisions that are no length."""
        self.keys = []
        for child in element.findall("transpose"):  # comes last, but says what a key means
            self._transpose(child)
        for child in element:
            if child.tag == "divisions":
                self.divisions = number(child.text)
                if not self.divisions or self.divisions < 0:
                    raise Skip(Reason.DAMAGED, f"its <divisions> are {words(child)[:40]!r}")
            elif child.tag == "key" and child.get("number", "1") == "1":
                self._key(child)
            elif child.tag == "time" and child.get("number", "1") == "1":
                self.metre = _metre(child)
                self.metres += 1
            elif child.tag == "clef":
                self._clef(child)
            elif child.tag == "measure-style":
                self._style(child)

    def _transpose(self, element: Element) -> None:
        octaves = whole(element.findtext("octave-change"))
        semitones = (number(element.findtext("chromatic")) or 0) + 12 * octaves
        double = element.find("double")
        doubling = 0 if double is None else 12 if double.get("above") == "yes" else -12
        staff = whole(element.get("number"))
        if not staff:
            self._transpositions.clear()
        self._transpositions[staff] = Transposition(semitones, doubling)

    def _key(self, element: Element) -> None:
        """The key that sounds; those of over seven accidentals, and made of <key-step>, have no name."""
        fifths = number(element.findtext("fifths"))
        if not isinstance(fifths, int) or not -7 <= fifths <= 7:
            return
        semitones = self.transposition(0).semitones
        if semitones % 12 and semitones == int(semitones):
            fifths = (fifths + 7 * int(semitones) + 5) % 12 - 5
        self.keys.append(key_name(fifths, words(element, "mode") or None))

    def _clef(self, element: Element) -> None:
        staff = whole(element.get("number"), 1)
        (self.percussion.add if words(element, "sign") == "percussion" else self.percussion.discard)(staff)

    def _style(self, element: Element) -> None:
        staff = whole(element.get("number"))
        for style in element:
            starts = style.get("type") != "stop"
            if style.tag == "measure-repeat":
                self.repeating.pop(staff, None)
                if starts:
                    self.repeating[staff] = max(whole(style.text, 1), 1)
            elif style.tag == "slash":
                (self.slashes.add if starts else self.slashes.discard)(staff)
            elif style.tag == "beat-repeat":
                self.beat_repeats = starts


def _metre(element: Element) -> Metre | None:
    """2/4, 3+2/8 or 2/4 + 3/8 as one fraction; None for none (senza misura), or one that no bar can have."""
    total, largest = Fraction(0), 1
    for beats, beat_type in zip(element.findall("beats"), element.findall("beat-type"), strict=False):
        count = sum(whole(term) for term in words(beats).split("+"))
        unit = whole(beat_type.text)
        if not (0 < count <= _MAX_BEATS and 0 < unit <= _MAX_BEAT_TYPE and unit & (unit - 1) == 0):
            return None
        largest = max(largest, unit)
        total += Fraction(count, unit)
    numerator = int(total * largest)
    return (numerator, largest) if 0 < numerator <= _MAX_BEATS else None
