"""A sheet as ABC (standard 2.1), which is read as text and by programs."""

import html
import re
from fractions import Fraction

from mcvae_jax.music.measures import TICKS_PER_QUARTER
from mcvae_jax.music.sheet.sheet import Bar, Sheet
from mcvae_jax.music.sheet.spelling import Pitch, signature
from mcvae_jax.music.sheet.symbols import Symbol

_UNIT = Fraction(1, 8)
_SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_LINE = 4  # bars


def as_abc(sheet: Sheet) -> str:
    """The text of a tune; the same sheet gives the same text."""
    value, speed = sheet.beat
    fields = [
        "%abc-2.1",  # from this version on accidentals hold to the end of the bar, for all who read it
        "X:1",
        f"T:{_text(sheet.title)}" if sheet.title else "",
        f"C:{_text(sheet.composer)}" if sheet.composer else "",
        f"M:{sheet.metre[0]}/{sheet.metre[1]}",
        f"L:{_UNIT}",
        f"Q:{value.base * Fraction(3, 2) if value.dots else value.base}={round(speed)}",
        f"K:{sheet.key.name}" + (" clef=bass" if sheet.clef.sign == "F" else ""),
    ]
    return "\n".join([*filter(None, fields), *_lines(sheet), ""])


def _lines(sheet: Sheet) -> list[str]:
    """The music, some bars a line: a new line begins with each repeat and after it."""
    altered = signature(sheet.key)
    lines, line, count = [], "", 0
    for i, bar in enumerate(sheet.bars):
        before, after = (sheet.bars[j] if 0 <= j < len(sheet.bars) else None for j in (i - 1, i + 1))
        line += "|:" if bar.measure.repeat_start else ""
        turns = bar.measure.endings
        if turns and (before is None or before.measure.endings != turns):
            line += f"{min(turns)}" if line else f"[{min(turns)}"
        label = f'"^{_quoted(bar.label)}"' if bar.label else ""
        line += f" {label}{_music(bar, altered)} "
        count += bar.number.isdecimal()
        line += _barline(bar, after)
        if _ends_line(bar, after, count):
            lines.append(line.strip())
            line, count = "", 0
    return lines


def _barline(bar: Bar, after: Bar | None) -> str:
    return ":|" if bar.measure.repeat_times else "|" if after else "|]"


def _ends_line(bar: Bar, after: Bar | None, count: int) -> bool:
    """Whether a line ends with this bar, the one of so many in it."""
    if after is None or after.measure.repeat_start:
        return True
    if after.measure.endings or not after.number.isdecimal():
        return False
    return count >= _LINE or bool(bar.measure.endings or bar.measure.repeat_times)


def _music(bar: Bar, altered: dict[str, int]) -> str:
    words: list[str] = []
    last, chords = -1, dict(bar.chords)
    for i, symbol in enumerate(bar.symbols):
        chord = f'"{_chord(chords[i])}"' if i in chords else ""
        word = _opening(bar, symbol) + chord + _symbol(bar, symbol, is_first=i == 0, altered=altered)
        if symbol.group >= 0 and symbol.group == last:
            words[-1] += word
        else:
            words.append(word)
        last = symbol.group
    return " ".join(words)


def _opening(bar: Bar, symbol: Symbol) -> str:
    """What stands before the first symbol of a tuplet: '(3:2:4' is three in the time of two, on four symbols."""
    tuplet = symbol.tuplet
    if not tuplet or symbol.start != tuplet.start:
        return ""
    return f"({tuplet.actual}:{tuplet.normal}:{sum(each.tuplet == tuplet for each in bar.symbols)}"


def _symbol(bar: Bar, symbol: Symbol, is_first: bool, altered: dict[str, int]) -> str:
    if symbol.value is None:
        return "z" + _length(Fraction(bar.measure.length, 4 * TICKS_PER_QUARTER))
    length = symbol.value.base * Fraction(3 if symbol.value.dots else 2, 2)
    pitch = symbol.pitch
    if pitch is None:
        return "z" + _length(length)
    # Whether an accidental before a barline holds for a note that is tied over it, programs read as they like.
    reminds = is_first and symbol.continues and pitch.alter != altered[pitch.letter]
    sign = _SIGNS[pitch.alter] if symbol.accidental or reminds else ""
    return sign + _letter(pitch) + _length(length) + "-" * symbol.tied


def _letter(pitch: Pitch) -> str:
    if pitch.octave >= 5:
        return pitch.letter.lower() + "'" * (pitch.octave - 5)
    return pitch.letter + "," * (4 - pitch.octave)


def _length(length: Fraction) -> str:
    """A length in whole notes as a multiple of the unit: '', '2', '3/2', '/2'."""
    units = length / _UNIT
    above = "" if units.numerator == 1 else str(units.numerator)
    return above + (f"/{units.denominator}" if units.denominator > 1 else "")


def _text(text: str) -> str:
    """A text of a field, in which nothing is a comment, an escape or an entity."""
    text = re.sub(r"([\\%])", r"\\\1", text)
    text = f" {text}" if text.startswith((":", "|")) else text  # else the line is music
    return text.replace("&", "&amp;") if html.unescape(text) != text else text


def _chord(text: str) -> str:
    """A chord symbol between quotes; one that begins as a text over the staff would, is none."""
    return _quoted(text.lstrip("^_<>@ ") or "N.C.")


def _quoted(text: str) -> str:
    """A text over the staff, between quotes."""
    return _text(text.replace('"', "'"))
