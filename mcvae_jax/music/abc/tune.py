"""What the fields of an ABC tune say, for all its voices or for one."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from mcvae_jax.music.abc.budget import Budget
from mcvae_jax.music.abc.fields import (
    NO_KEY,
    default_unit,
    parse_key,
    parse_metre,
    parse_staff,
    parse_tempo,
    parse_unit,
)
from mcvae_jax.music.abc.text import MAX_FIELD, Line, plain_text
from mcvae_jax.music.abc.voice import Barline, Settings, Voice
from mcvae_jax.music.score import Reason, Skip

MAX_VOICES = 128

DIRECTIVES = "a tempo or directive that is not understood"
INCLUDED = "a file to include, which is not read"


class Mark(NamedTuple):
    """Something that holds from a measure of a voice on; without a voice, from the start of all."""

    voice: Voice | None
    measure: int
    value: Any


class Tune:
    """What has been read of a tune; what was left out or not followed is counted in `remarks`."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.remarks: Counter[str] = Counter()
        self.title = ""
        self.order = ""  # P: of the header
        self.keys: list[Mark] = []
        self.tempos: list[Mark] = []
        self.parts: list[Mark] = []
        self.voices: dict[str, Voice] = {}
        self._voice: Voice | None = None
        self._common = Settings()  # of the voices that have not begun
        self._announced: dict[str, list[Line]] = {}  # what the header says of each voice
        self._announcing = ""
        self.in_header, self._unit_is_stated = True, False
        self._first_tempo = ""  # Q: of the header, which waits for L:
        self._readers: dict[str, Callable[[str], None]] = {
            "I": self._directive,
            "K": self._key,
            "L": self._unit,
            "M": self._metre,
            "P": self._part,
            "Q": self._tempo,
            "T": self._title,
            "V": self._switch,
        }

    def voice(self) -> Voice:
        """The voice that is being read; the first one where none has begun."""
        return self._voice or self._enter("1")

    def field(self, letter: str, text: str) -> None:
        """A field, on a line or inside one. Raises Skip where notes depend on it and it is not understood."""
        if letter in self._readers:
            self._read(self._readers[letter], Line(letter, text))

    def _read(self, reader: Callable[[str], None], line: Line) -> None:
        try:
            if len(line.text) > MAX_FIELD and line.field != "T":
                raise ValueError(f"longer than {MAX_FIELD:,} characters")
            reader(line.text)
        except ValueError as error:
            raise Skip(Reason.NOT_UNDERSTOOD, f"{line.field}:{line.text[:40]} ({error})") from error

    def _settings(self) -> Settings:
        return self._voice.settings if self._voice else self._common

    def _mark(self, value: Any) -> Mark:
        return Mark(self._voice, len(self._voice.measures) if self._voice else 0, value)

    def _title(self, text: str) -> None:
        self.title = self.title or plain_text(text[:MAX_FIELD])

    def _metre(self, text: str) -> None:
        self._settings().metre = parse_metre(text)

    def _unit(self, text: str) -> None:
        self._settings().unit = parse_unit(text)
        self._unit_is_stated = True

    def _key(self, text: str) -> None:
        if self.in_header:
            self._end_header()
        staff, said = parse_staff(text)
        key = parse_key(said) if text else NO_KEY
        self._settings().apply(staff)
        if key is not None:
            self._settings().key = key
            self.keys.append(self._mark(key))

    def _end_header(self) -> None:
        """The first K: ends it; from here on voices may begin."""
        self.in_header = False
        if not self._unit_is_stated:
            self._common.unit = default_unit(self._common.metre)
        if self._first_tempo:
            self._tempo(self._first_tempo)

    def _tempo(self, text: str) -> None:
        if self.in_header:
            self._first_tempo = text
        elif tempo := parse_tempo(text, self._settings().unit):
            self.tempos.append(self._mark(tempo))
        elif re.sub(r'"[^"]*"', "", text).strip():
            self.remarks[DIRECTIVES] += 1

    def _part(self, text: str) -> None:
        if self.in_header:
            self.order = text
            return
        if self._voice:
            self._voice.close(Barline(ends_section=True))
        self.parts.append(self._mark(text))

    def _switch(self, text: str) -> None:
        """V: goes to another voice; in the header, it says what will hold for one."""
        name = (text.split() or ["1"])[0]
        if self.in_header:
            self._announcing = name
            self._announced.setdefault(name, []).append(Line("V", text))
        else:
            self._enter(name)
            self._describe(text)

    def _enter(self, name: str) -> Voice:
        """Go on with a voice, or begin it. Raises Skip where there are too many."""
        self._voice = self.voices.get(name)
        if self._voice is None:
            if len(self.voices) == MAX_VOICES:
                raise Skip(Reason.TOO_MANY_TRACKS, f"more than {MAX_VOICES} voices")
            self._voice = self.voices[name] = Voice(self._common, self.remarks, self.budget)
            for line in self._announced.get(name, ()):
                self._read(self._describe if line.field == "V" else self._directive, line)
        return self._voice

    def _describe(self, text: str) -> None:
        """The properties of V: are the voice's."""
        name, *properties = text.split(maxsplit=1) or ["1"]
        staff, _ = parse_staff("".join(properties))
        voice = self.voice()
        voice.settings.apply(staff)
        voice.name = staff.name or voice.name or name

    def _directive(self, text: str) -> None:
        words = text.replace("=", " ", 1).split() if text.startswith("MIDI") else text.split()
        if self.in_header and self._announcing and words[:1] == ["MIDI"]:
            self._announced[self._announcing].append(Line("I", text))
            return
        settings = self._settings()
        match words:
            case ["MIDI", "transpose" | "rtranspose" as how, number, *_]:
                settings.midi_semitones = int(number) + (settings.midi_semitones if how == "rtranspose" else 0)
            case ["MIDI", "channel", number, *_]:
                settings.is_drum = number == "10"
            case ["MIDI", "nobarlines" | "barlines" as how, *_]:
                settings.reach = "not" if how == "nobarlines" else "pitch"
            case ["propagate-accidentals", "not" | "octave" | "pitch" as reach, *_]:
                settings.reach = reach
            case ["abc-include", *_]:
                self.remarks[INCLUDED] += 1
