"""What stands in the fields of ABC: key, staff, metre, unit, tempo, and the order of the parts."""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.measures import MAX_PLAYED
from mcvae_jax.music.notation import key_name
from mcvae_jax.music.score import Reason, Skip

_SHARPS = "FCGDAEB"  # the order in which sharps come
_MODES = {"": 0, "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2}  # sharps beside those of the major key
_MODES |= {"m": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5}
_MODE_NAMES = {"min": "minor", "m": "minor", "aeo": "minor", "dor": "dorian", "phr": "phrygian", "loc": "locrian"}
_ACCIDENTAL = r"(\^\^?|__?|=)([A-Ga-g])"
_KEY = re.compile(
    r"(?:(?P<pipes>HP|Hp)|(?P<none>none)|(?P<tonic>[A-G])(?P<sign>[#bn♯♭]?)\s*"
    r"(?P<mode>(?i:maj|ion|lyd|mix|dor|min|aeo|phr|loc)[a-zA-Z]*|[mM](?![A-Za-z]))?)?"
    rf"\s*(?P<explicit>exp)?\s*(?P<accidentals>(?:{_ACCIDENTAL}\s*)*)"
)
ALTERATIONS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

_PROPERTY = re.compile(
    r"(?<!\S)(clef|octave|transpose|shift|sound|score|instrument|middle|name|nm|subname|snm|sname|stafflines|staffscale"
    r"|stem|gstem|style|cue|map|merge|brace|bracket|dyn|lyrics|gchords?|scale|space|program|m|t)=(\"[^\"]*\"|\S*)"
)
_CLEF = re.compile(r"(?<!\S)(?:clef=)?(treble|alto|tenor|bass|perc|soprano|mezzosoprano|baritone)\d?([+-]8)?(?!\S)")
_SILENT = re.compile(r"(?<!\S)[+-]8va(?!\S)")  # abc2ps draws it; its files transpose by %%MIDI beside it


class Staff(NamedTuple):
    """What the properties in K: and V: say of a voice; None is what they do not say."""

    octaves: int | None = None
    clef_octaves: int | None = None
    semitones: int | None = None
    is_drum: bool | None = None
    name: str | None = None


class Key(NamedTuple):
    """A key signature."""

    alterations: dict[int, int]  # natural note (C is 0, D 2, ..) -> semitones
    sharps: int | None  # None where it is no signature of a major or minor key
    mode: str | None


NO_KEY = Key({}, None, None)


def parse_staff(text: str) -> tuple[Staff, str]:
    """The properties in a K: or V: field, and what else it says. Raises ValueError."""
    found = dict(_PROPERTY.findall(text))
    semitones = found.get("transpose", found.get("t"))
    for name in ("shift", "sound"):
        semitones = _interval(found[name]) if name in found else semitones
    clef = _CLEF.search(text)
    staff = Staff(
        octaves=_small_int(found["octave"], 10) if "octave" in found else None,
        clef_octaves={"+8": 1, "-8": -1}.get(clef[2], 0) if clef else None,
        semitones=None if semitones is None else _small_int(semitones, 60),
        is_drum=clef[1] == "perc" if clef else None,
        name=(found.get("name") or found.get("nm") or "").strip('"') or None,
    )
    return staff, _PROPERTY.sub(" ", _SILENT.sub(" ", _CLEF.sub(" ", text))).strip()


def _small_int(text: str | int, limit: int) -> int:
    value = int(text)
    if abs(value) > limit:
        raise ValueError(f"{text} is beyond {limit}")
    return value


def _interval(text: str) -> int:
    """'CD', 'ce,' -> semitones from the first note to the second."""
    notes = re.fullmatch(r"([_^=]?)([A-Ga-g])([,']{0,4})([_^=]?)([A-Ga-g])([,']{0,4})", text)
    if not notes:
        raise ValueError(f"{text!r} is no interval")
    first, second = (
        STEPS[letter.upper()] + 12 * (letter.islower() + marks.count("'") - marks.count(",")) + ALTERATIONS.get(sign, 0)
        for sign, letter, marks in (notes.groups()[:3], notes.groups()[3:])
    )
    return second - first


@functools.lru_cache(1024)
def parse_key(text: str) -> Key | None:
    """A key without its properties; None where nothing is said of it. Raises ValueError."""
    match = _KEY.match(text)
    if match is None or match.end() < len(text):
        raise ValueError(f"{text[:20]!r} is no key")
    if not match[0]:
        return None
    accidentals = re.findall(_ACCIDENTAL, match["accidentals"])
    changes = {STEPS[letter.upper()]: ALTERATIONS[sign] for sign, letter in accidentals}
    if match["pipes"]:
        return Key({STEPS["F"]: 1, STEPS["C"]: 1} | changes, None, None)
    if match["explicit"] or match["none"] or not match["tonic"]:
        return Key(changes, None, None)
    mode = (match["mode"] or "")[:3].lower()
    sharp = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(match["sign"], 0)
    fifths = _SHARPS.index(match["tonic"]) - 1 + 7 * sharp + _MODES[mode]
    signature = {STEPS[letter]: (fifths + 6 - i) // 7 for i, letter in enumerate(_SHARPS)}
    named = signature | changes == signature and abs(fifths) <= 7
    return Key(signature | changes, fifths if named else None, _MODE_NAMES.get(mode))


def sounding_name(key: Key, semitones: int) -> str:
    """The name of a key as it sounds, so many semitones higher; '' where it has none."""
    if key.sharps is None:
        return ""
    sharps = (key.sharps + 7 * semitones + 5) % 12 - 5 if semitones % 12 else key.sharps
    return key_name(sharps, key.mode)


def parse_metre(text: str) -> tuple[int, int] | None:
    """'3/4', 'C|', '(2+3)/8', '2/4+3/8' -> numerator and denominator; None for 'none'. Raises ValueError."""
    text = text.strip()
    if text in ("", "none"):
        return None
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    if not re.fullmatch(
        r"[(]?\d{1,3}(?:[)]?[+/][(]?\d{1,3})*[)]?", re.sub(r"\s?([+/])\s?", r"\1", " ".join(text.split()))
    ):
        raise ValueError(f"{text[:20]!r} is no metre")
    sums: list[tuple[int, int]] = []
    waiting = 0  # numerators whose denominator comes later
    for term in re.sub(r"[()\s]", "", text).split("+"):
        count, _, beat = term.partition("/")
        waiting += int(count)
        if beat:
            sums.append((waiting, int(beat)))
            waiting = 0
    denominator = max((beat for _, beat in sums), default=0)
    if waiting or not all(beat in (1, 2, 4, 8, 16, 32, 64) for _, beat in sums):
        raise ValueError(f"{text[:20]!r} is no metre")
    numerator = sum(count * denominator // beat for count, beat in sums)
    if not 0 < numerator < 256:
        raise ValueError(f"{text[:20]!r} is no metre")
    return numerator, denominator


def parse_unit(text: str) -> Fraction:
    """'1/8', '1' -> quarters. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,2})(?:\s*/\s*(\d{1,3}))?", text.strip())
    if not match or not int(match[1]) or not int(match[2] or 1):
        raise ValueError(f"{text[:20]!r} is no unit length")
    return Fraction(4 * int(match[1]), int(match[2] or 1))


def default_unit(metre: tuple[int, int] | None) -> Fraction:
    """The unit of a tune that states none, in quarters: a sixteenth where the metre is under 3/4."""
    return Fraction(1, 4) if metre and metre[0] / metre[1] < 0.75 else Fraction(1, 2)


def parse_tempo(text: str, unit: Fraction) -> float | None:
    """Quarters a minute; None where it states none, or one that is no tempo. `unit` is in quarters."""
    said = re.sub(r'"[^"]*"', " ", text).strip()
    match = re.fullmatch(r"(?:(?P<beats>[\d/\s]{1,40}|C\d{0,2})=)?\s*(?P<speed>\d{1,4}(?:\.\d{0,4})?)", said)
    if not match:
        return None
    beats = (match["beats"] or "C").strip()
    try:
        beat = unit * int(beats[1:] or 1) if beats[0] == "C" else sum(map(Fraction, beats.split())) * 4
    except (ValueError, ZeroDivisionError):
        return None
    tempo = float(beat * Fraction(match["speed"]))
    return tempo if 4 <= tempo <= 1000 else None


def parse_order(text: str) -> str | None:
    """'AAB', 'A2B', '(AB)3' -> the letters of the parts as they are played; None where it is no order.

    Raises Skip beyond MAX_PLAYED parts.
    """
    stack: list[str] = [""]
    for sign in re.finditer(r"([A-Za-z])(\d*)|(\()|(\))(\d*)|([.,\s]+)|(.)", text):
        if sign[3]:
            stack.append("")
            continue
        if sign[7] or (sign[4] and len(stack) == 1):
            return None
        if sign[1] or sign[4]:
            part = sign[1] or stack.pop()
            times = int((sign[2] or sign[5] or "1")[:6])
            if len(stack[-1]) + len(part) * times > MAX_PLAYED:
                raise Skip(Reason.TOO_LONG, f"its order gives more than {MAX_PLAYED:,} parts")
            stack[-1] += part * times
    return stack[0] if len(stack) == 1 else None
