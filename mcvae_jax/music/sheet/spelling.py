"""Names of pitches in a key: which of C sharp and D flat is meant, and which accidentals are printed."""

from collections.abc import Sequence
from typing import NamedTuple

from mcvae_jax.music.keys import Key

_LETTERS = "FCGDAEB"  # along the line of fifths
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Pitch(NamedTuple):
    """A pitch as it is written; the octave is that of the letter, so that B sharp 3 sounds as C 4."""

    letter: str
    alter: int  # semitones: 1 sharp, -1 flat
    octave: int  # 4 begins at middle C

    @property
    def midi(self) -> int:
        return 12 * (self.octave + 1) + _NATURALS[self.letter] + self.alter


def signature(key: Key) -> dict[str, int]:
    """The alteration of each letter by the key signature."""
    return {letter: (key.sharps + 6 - i) // 7 for i, letter in enumerate(_LETTERS)}


def spell(pitches: Sequence[int], key: Key) -> list[Pitch]:
    """The names of the notes of a melody, by MIDI pitches in their order.

    Notes of the scale have the names of the key. Another one that leads a semitone up to a note of the scale is the
    raised note below that, one that leads a semitone down the lowered note above, save for F# in C major. All others
    have the name that is usual in the key: in C major C#, Eb, F#, G#, Bb; in A minor C#, D#, F#, G#, Bb.
    """
    lowest = key.sharps - (2 if key.minor else 3)
    usual = {7 * place % 12: _plain(place, key) for place in range(lowest, lowest + 12)}
    scale = {7 * place % 12: place for place in range(key.sharps - 1, key.sharps + 6)}
    names: list[Pitch] = []
    after = None  # the next other pitch
    for i in reversed(range(len(pitches))):
        pitch, next_one = pitches[i], pitches[i + 1] if i + 1 < len(pitches) else None
        after = after if next_one == pitch else next_one
        place = scale.get(pitch % 12, usual[pitch % 12])
        leads = after is not None and abs(after - pitch) == 1 and after % 12 in scale
        if leads and after is not None and pitch % 12 not in scale and pitch % 12 not in _NATURALS.values():
            # a semitone below is five fifths up: F# (6) below G (1)
            place = place if place == key.sharps + 6 else scale[after % 12] + 5 * (after - pitch)
        names.append(_named(pitch, place))
    return names[::-1]


def _plain(place: int, key: Key) -> int:
    """The same pitch class without a double accidental, which the leading note of a minor key alone has."""
    if place == key.tonic + 5:
        return place
    return place - 12 if place > 12 else place + 12 if place < -8 else place


def _named(pitch: int, place: int) -> Pitch:
    letter = _LETTERS[(place + 1) % 7]
    alter = (place + 1) // 7
    return Pitch(letter, alter, (pitch - alter) // 12 - 1)


class Accidentals:
    """What has been altered so far, beside the key: to be told of each bar and note of a sheet in its order."""

    def __init__(self, key: Key) -> None:
        self._signature = signature(key)
        self._here: dict[tuple[str, int], int] = {}  # in this bar, by letter and octave
        self._doubtful: set[tuple[str, int]] = set()  # altered in the bar before, or by a note that is held from there

    def next_bar(self) -> None:
        self._doubtful = {place for place, alter in self._here.items() if alter != self._signature[place[0]]}
        self._here = {}

    def hold(self, pitch: Pitch) -> None:
        """A note is held into this bar: its accidental stands in the bar before, and holds for it alone."""
        if pitch.alter != self._signature[pitch.letter]:
            self._doubtful.add((pitch.letter, pitch.octave))

    def shown(self, pitch: Pitch) -> bool:
        """Whether an accidental stands before this note.

        It stands where the bar and the signature say otherwise, and as a reminder where the same letter was altered in
        the bar before, or in another octave of this bar, since some read that for all octaves.
        """
        place = pitch.letter, pitch.octave
        in_force = self._here.get(place, self._signature[pitch.letter])
        others = {alter for (letter, _), alter in self._here.items() if letter == pitch.letter}
        is_new = place not in self._here and any(letter == pitch.letter for letter, _ in self._doubtful)
        shown = pitch.alter != in_force or others - {pitch.alter} != set() or is_new or place in self._doubtful
        self._doubtful.discard(place)
        if shown:
            self._here[place] = pitch.alter
        return shown
