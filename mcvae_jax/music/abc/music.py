"""A line of ABC music, sign by sign, into the voice that it is for."""

import re
from collections.abc import Callable

from mcvae_jax.music.abc.signs import NATURALS, SIGN, is_jump, parse_int, parse_length, parse_turns
from mcvae_jax.music.abc.tune import Tune
from mcvae_jax.music.abc.voice import Barline, Head
from mcvae_jax.music.score import Reason, Skip

UNKNOWN = "signs that are not understood"
UNCLOSED = "a text or grace notes without an end"
MICROTONES = "microtones, read as the note that they change"
UNEQUAL = "chords of notes of different lengths, which last as long as the first (4.17)"
JUMPS = "da capo or dal segno, which are not followed"
_QUOTED = re.compile(r'"([^"]*)"')
_ANNOTATIONS = "^_<>@"  # before a text that is no chord symbol (4.19)
_LONGEST = 40  # characters of a chord symbol


def read_music(line: str, tune: Tune) -> None:
    """Read a line of music. Raises Skip where a chord is not closed, or something is beyond reason."""
    reader = _Line(tune)
    for sign in SIGN.finditer(line):
        reader.read(sign)
    reader.end()


class _Line:
    """A line while it is read."""

    def __init__(self, tune: Tune) -> None:
        self._tune = tune
        self._voice = tune.voice()
        self._chord: list[Head] | None = None  # the notes since '['
        self._chord_length: int | None = None
        self._owes_repeat = False

    def read(self, sign: re.Match) -> None:
        kind = sign.lastgroup or ""
        if self._chord is not None and kind in _NOT_IN_CHORDS:
            raise Skip(Reason.DAMAGED, "a chord is not closed")
        _READERS[kind](self, sign)

    def end(self) -> None:
        if self._chord is not None:
            raise Skip(Reason.DAMAGED, "a chord is not closed")

    def _note(self, sign: re.Match) -> None:
        voice, letter = self._voice, sign["letter"]
        length = voice.length(*parse_length(sign["length"]))
        heads: list[Head] = []
        if letter not in "xz":
            octaves = sign["octaves"]
            natural = NATURALS[letter] + 12 * (octaves.count("'") - octaves.count(",")) if octaves else NATURALS[letter]
            heads.append(voice.head(sign["accidental"], natural))
        if self._chord is None:
            voice.add(heads, length, letter == "x")
            return
        self._chord += heads
        if self._chord_length is None:
            self._chord_length = length
        elif self._chord_length != length:
            self._tune.remarks[UNEQUAL] += 1

    def _open(self, sign: re.Match) -> None:
        self._chord, self._chord_length = [], None

    def _close(self, sign: re.Match) -> None:
        if self._chord is None:
            self._unknown(sign)
            return
        numerator, denominator = parse_length(sign["times"])
        if self._chord_length is not None:
            self._voice.add(self._chord, self._chord_length * numerator // denominator)
        self._chord = None

    def _bar(self, sign: re.Match) -> None:
        lines = (sign["lines"] or "").replace("[|]", "|")  # an invisible line
        lines = ":" * self._owes_repeat + lines.replace("[", "|").replace("]", "|")
        self._owes_repeat = False
        ends = re.search(r"(?<!:)(:+)\||^::", lines)
        times = len(ends[1] or ":") + 1 if ends else 0
        starts = lines.endswith(":")
        is_border = bool(ends or starts) or "||" in lines
        self._voice.close(Barline(times, starts, is_border, parse_turns(sign["turns"] or "")))

    def _colon(self, sign: re.Match) -> None:
        """'| :' is written for '|:', and ':"text"|' for ':|'."""
        if sign["owed"] is not None:
            self._owes_repeat = True
        elif self._voice.is_at_barline():
            self._voice.close(Barline(starts_repeat=True, ends_section=True))
        else:
            self._unknown(sign)

    def _broken(self, sign: re.Match) -> None:
        if len(sign[0]) > 4 or not self._voice.broken(sign[0]):
            self._unknown(sign)

    def _tie(self, sign: re.Match) -> None:
        if self._chord:
            self._chord[-1].tied = True
        elif self._chord is not None or not self._voice.tie():
            self._unknown(sign)

    def _tuplet(self, sign: re.Match) -> None:
        notes = parse_int(sign["p"])
        time = parse_int(sign["q"] or "0") or self._time_of(notes)
        if notes < 2 or not time:
            self._unknown(sign)
        else:
            self._voice.tuplet(notes, time, parse_int(sign["r"] or "0") or notes)

    def _time_of(self, notes: int) -> int:
        """In the time of how many so many notes are played where nothing else is said (4.13); 0 where nothing is."""
        metre = self._voice.settings.metre
        is_compound = metre is not None and metre[0] % 3 == 0 and metre[0] > 3
        return {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, (3 if is_compound else 2) if notes in (5, 7, 9) else 0)

    def _rest(self, sign: re.Match) -> None:
        self._voice.rest_bars(parse_int(sign["measures"] or "1"))

    def _overlay(self, sign: re.Match) -> None:
        if len(sign[0]) > 1:
            raise Skip(Reason.NOT_UNDERSTOOD, "overlays of several measures (&&)")
        self._voice.overlay()

    def _field(self, sign: re.Match) -> None:
        self._tune.field(sign["name"], sign["text"].strip())
        self._voice = self._tune.voice()

    def _silent(self, sign: re.Match) -> None:
        if is_jump(sign[0]):
            self._tune.remarks[JUMPS] += 1
        for text in _QUOTED.findall(sign[0]) if '"' in sign[0] else ():
            if text.strip() and text[0] not in _ANNOTATIONS:
                self._voice.chord_symbol(text.strip()[:_LONGEST])

    def _unknown(self, sign: re.Match) -> None:
        self._tune.remarks[UNKNOWN] += 1

    def _unclosed(self, sign: re.Match) -> None:
        self._tune.remarks[UNCLOSED] += 1

    def _microtone(self, sign: re.Match) -> None:
        self._tune.remarks[MICROTONES] += 1


_READERS: dict[str, Callable[[_Line, re.Match], None]] = {
    "bar": _Line._bar,
    "broken": _Line._broken,
    "close": _Line._close,
    "colon": _Line._colon,
    "field": _Line._field,
    "microtone": _Line._microtone,
    "note": _Line._note,
    "open": _Line._open,
    "other": _Line._unknown,
    "overlay": _Line._overlay,
    "rest": _Line._rest,
    "silent": _Line._silent,
    "tie": _Line._tie,
    "tuplet": _Line._tuplet,
    "unclosed": _Line._unclosed,
}
_NOT_IN_CHORDS = {"bar", "broken", "field", "open", "overlay", "rest", "tuplet"}
