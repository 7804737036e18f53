"""Tokens of Humdrum's **kern (Huron, The Humdrum Toolkit: Reference Manual, 1995) -> notes, bar lines, metres, keys."""

import functools
import re
from typing import NamedTuple

from mcvae_jax.music.notation import key_name
from mcvae_jax.music.score import Reason, Skip

MAX_CHARACTERS = 4_000  # of one token
MAX_QUARTERS = 128  # of one note; the longest that **kern can name, a maxima, has 32
_PITCH = re.compile(r"([a-gA-G])\1*")
_RECIP = re.compile(r"(\d+)(?:%(\d+))?")
_SEMITONES = dict(zip("cdefgab", (0, 2, 4, 5, 7, 9, 11), strict=True))
_METRE = re.compile(r"\*M(\d{1,3}(?:\+\d{1,3})*)/(\d{1,3})")
_SIGNS = {"*met(c)": (4, 4), "*met(c|)": (2, 2)}
_KEY = re.compile(r"\*([a-gA-G])(#*|-*):")
_TEMPO = re.compile(r"\*MM(\d{1,3}(?:\.\d{1,9})?)")
_FIFTHS = "fcgdaeb"


class Event(NamedTuple):
    """What a token makes sound."""

    quarters: float  # to the next token of its spine; 0 for grace notes, and where the token is no note or rest
    notes: tuple[tuple[float, int, bool, bool], ...]  # quarters, pitch, whether a tie leaves it, whether one ends in it
    unpitched: bool  # a note without a pitch, as of drums


@functools.lru_cache(1 << 14)
def parse_token(text: str) -> Event:
    """A data token: a note, a rest, or a chord of notes with a space between them.

    Grace notes (q) and groupettos (Q) take no time and are dropped; a note of a chord that states no duration
    has that of the note before it. Raises Skip where a note has none at all, or no music could hold it.
    """
    if len(text) > MAX_CHARACTERS:
        raise Skip(Reason.DAMAGED, f"a token of {len(text):,} characters")
    quarters, lasts, unpitched = 0.0, 0.0, False
    notes = []
    for part in text.split():
        if "q" in part or "Q" in part:
            continue
        lasts = _quarters(part) or lasts
        quarters = quarters or lasts
        found = None if "r" in part else _PITCH.search(part)
        unpitched = unpitched or not (found or "r" in part) and lasts > 0
        if found:
            if not lasts:
                raise Skip(Reason.DAMAGED, f"the note {part[:20]!r} has no duration")
            holds = "_" in part
            notes.append((lasts, _pitch(part, found), holds or "[" in part, holds or "]" in part))
    return Event(quarters, tuple(notes), unpitched)


def _quarters(text: str) -> float:
    """The duration that a note or rest states, in quarters; 0 where it states none."""
    recip = _RECIP.search(text)
    if not recip:
        return 0.0
    digits, of = recip[1][:9], (recip[2] or "1")[:9]
    whole = int(of) / int(digits) if int(digits) else 2.0 ** len(digits)  # 0 is a breve, 00 a long, 000 a maxima
    quarters = 4 * whole * (2 - 0.5 ** text.count("."))
    if not 0 < quarters <= MAX_QUARTERS:
        raise Skip(Reason.DAMAGED, f"no note lasts {recip[0][:20]}")
    return quarters


def _pitch(text: str, found: re.Match) -> int:
    """MIDI pitch of the letters that were found in a note, and the accidentals behind them."""
    letters, after = found[0], text[found.end() :]
    sharps = len(after) - len(after.lstrip("#"))
    flats = len(after) - len(after.lstrip("-"))
    octave = 4 + len(letters) if letters.islower() else 5 - len(letters)
    pitch = 12 * octave + _SEMITONES[letters[0].lower()] + sharps - flats
    if not 0 <= pitch <= 127:
        raise Skip(Reason.DAMAGED, f"{text[:20]!r} is no pitch from 0 to 127 of MIDI")
    return pitch


class Barline(NamedTuple):
    """What a bar line says of the measures beside it."""

    ends_repeat: bool
    starts_repeat: bool
    ends_section: bool


def parse_barline(text: str) -> Barline:
    """A token that begins with '='. `=:|!`, `=3!|:`, `=:|!|:` and their like, `=||`, `==`."""
    ends, starts = re.search(r":[|!]", text) is not None, re.search(r"[|!]:", text) is not None
    return Barline(ends, starts, ends or starts or "||" in text or "!" in text or text.startswith("=="))


def parse_metre(text: str) -> tuple[int, int] | None:
    """Numerator and denominator of `*M4/4`, `*M3+2/8` or, where the sign stands alone, `*met(c)`; None elsewhere."""
    stated = _METRE.match(text)
    if not stated:
        return _SIGNS.get(text)
    numerator, denominator = sum(map(int, stated[1].split("+"))), int(stated[2])
    return (numerator, denominator) if numerator and denominator in (1, 2, 4, 8, 16, 32, 64) else None


def parse_signature(text: str) -> int | None:
    """Sharps (or flats, below 0) of `*k[f#c#]`; None for what is no key signature of the circle of fifths."""
    if not text.startswith("*k["):
        return None
    notes = text[3:].partition("]")[0].replace("n", "")
    for sign, letters, unit in (("#", _FIFTHS, 1), ("-", _FIFTHS[::-1], -1)):
        count = notes.count(sign)
        if sorted(notes[::2]) == sorted(letters[:count]) and notes[1::2] == sign * count:
            return unit * count
    return None


def parse_key(text: str, sharps: int | None) -> str | None:
    """'G' or 'Em' for `*G:`, `*e:` or `*d:dor`, under a signature of `sharps` where one is stated.

    Returns None where the token is no key, and where no signature of up to seven accidentals is that of the key.
    """
    key = _KEY.match(text)
    if not key:
        return None
    minor = key[1].islower()
    if sharps is None:
        sharps = _FIFTHS.index(key[1].lower()) - 1 - 3 * minor + 7 * (key[2].count("#") - key[2].count("-"))
    return key_name(sharps, "minor" if minor else None) if -7 <= sharps <= 7 else None


def parse_tempo(text: str) -> float:
    """Quarters a minute of `*MM96`; 0 where the token states none."""
    tempo = _TEMPO.match(text)
    return float(tempo[1]) if tempo else 0.0
