"""A sheet as MusicXML 4.0 (W3C Community Group, 2021), which notation programs and DAWs open."""

import re
from collections.abc import Iterator
from fractions import Fraction
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from mcvae_jax.music.musicxml.marks import KINDS
from mcvae_jax.music.sheet.sheet import Bar, Sheet
from mcvae_jax.music.sheet.spans import Value
from mcvae_jax.music.sheet.spelling import Pitch
from mcvae_jax.music.sheet.symbols import Symbol

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" \
"http://www.musicxml.org/dtds/partwise.dtd">
"""
_TYPES = {Fraction(2): "breve", Fraction(1): "whole", Fraction(1, 2): "half", Fraction(1, 4): "quarter"}
_TYPES |= {Fraction(1, 8): "eighth", Fraction(1, 16): "16th", Fraction(1, 32): "32nd"}
_TYPES |= {Fraction(1, 1 << power): f"{1 << power}th" for power in (6, 7, 8)}
_KINDS = {text: kind for kind, text in KINDS.items()}
_KINDS |= {"": "major", "maj": "major", "min": "minor", "-": "minor", "M7": "major-seventh", "+": "augmented"}
_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def as_musicxml(sheet: Sheet) -> str:
    """The text of a .musicxml file; the same sheet gives the same text."""
    score = Element("score-partwise", version="4.0")
    if sheet.title:
        _add(_add(score, "work"), "work-title", sheet.title)
    identification = _add(score, "identification")
    if sheet.composer:
        _add(identification, "creator", sheet.composer, type="composer")
    _add(_add(identification, "encoding"), "software", "mcvae_jax")
    part_list = _add(score, "part-list")
    _add(_add(part_list, "score-part", id="P1"), "part-name", "Melody", **{"print-object": "no"})
    part = _add(score, "part", id="P1")
    for i, bar in enumerate(sheet.bars):
        before, after = (sheet.bars[j] if 0 <= j < len(sheet.bars) else None for j in (i - 1, i + 1))
        _measure(part, sheet, bar, before, after)
    ElementTree.indent(score)
    return _HEAD + ElementTree.tostring(score, encoding="unicode") + "\n"


def _add(parent: Element, name: str, text: object = None, **attributes: str) -> Element:
    element = SubElement(parent, name, attributes)
    element.text = None if text is None else str(text)
    return element


def _measure(part: Element, sheet: Sheet, bar: Bar, before: Bar | None, after: Bar | None) -> None:
    measure = _add(part, "measure", number=bar.number)
    if not bar.number.isdecimal() or bar.measure.is_pickup:
        measure.set("implicit", "yes")
    endings = bar.measure.endings
    begins = endings and (before is None or before.measure.endings != endings)
    if bar.measure.repeat_start or begins:
        _barline(measure, "left", "heavy-light" if bar.measure.repeat_start else "", bar, "start" if begins else "")
    if before is None:
        _attributes(measure, sheet)
        _tempo(measure, sheet)
    if bar.label:
        direction = _add(measure, "direction", placement="above")
        _add(_add(direction, "direction-type"), "words", bar.label)
    chords = dict(bar.chords)
    for i, symbol in enumerate(bar.symbols):
        if i in chords:
            _chord(measure, chords[i])
        _note(measure, bar.symbols, i, symbol)
    ends = endings and (after is None or after.measure.endings != endings)
    if bar.measure.repeat_times or ends or after is None:
        stop = ("stop" if bar.measure.repeat_times else "discontinue") if ends else ""
        style = "light-heavy" if bar.measure.repeat_times or after is None else ""
        _barline(measure, "right", style, bar, stop)


def _chord(measure: Element, text: str) -> None:
    """A chord symbol as it is printed: its root and bass are said, its kind is a text beside the nearest name."""
    found = re.fullmatch(r"([A-G])([#b♯♭]?)(.*?)(?:/([A-G])([#b♯♭]?))?", text)
    if not found:
        direction = _add(measure, "direction", placement="above")
        _add(_add(direction, "direction-type"), "words", text)
        return
    harmony = _add(measure, "harmony")
    _step(_add(harmony, "root"), "root", found[1], found[2])
    _add(harmony, "kind", _KINDS.get(found[3], "other")).set("text", found[3])
    if found[4]:
        _step(_add(harmony, "bass"), "bass", found[4], found[5])


def _step(parent: Element, name: str, letter: str, sign: str) -> None:
    _add(parent, f"{name}-step", letter)
    if sign:
        _add(parent, f"{name}-alter", 1 if sign in "#♯" else -1)


def _barline(measure: Element, side: str, style: str, bar: Bar, ending: str) -> None:
    barline = _add(measure, "barline", location=side)
    if style:
        _add(barline, "bar-style", style)
    if ending:
        _add(barline, "ending", number=str(min(bar.measure.endings)), type=ending)
    if side == "left" and bar.measure.repeat_start:
        _add(barline, "repeat", direction="forward")
    if side == "right" and bar.measure.repeat_times:
        _add(barline, "repeat", direction="backward")


def _attributes(measure: Element, sheet: Sheet) -> None:
    attributes = _add(measure, "attributes")
    _add(attributes, "divisions", sheet.quarter)
    key = _add(attributes, "key")
    _add(key, "fifths", sheet.key.sharps)
    _add(key, "mode", "minor" if sheet.key.minor else "major")
    time = _add(attributes, "time")
    _add(time, "beats", sheet.metre[0])
    _add(time, "beat-type", sheet.metre[1])
    clef = _add(attributes, "clef")
    _add(clef, "sign", sheet.clef.sign)
    _add(clef, "line", sheet.clef.line)
    if sheet.clef.octaves:
        _add(clef, "clef-octave-change", sheet.clef.octaves)


def _tempo(measure: Element, sheet: Sheet) -> None:
    value, speed = sheet.beat
    direction = _add(measure, "direction", placement="above")
    metronome = _add(_add(direction, "direction-type"), "metronome")
    _add(metronome, "beat-unit", _TYPES[value.base])
    for _ in range(value.dots):
        _add(metronome, "beat-unit-dot")
    _add(metronome, "per-minute", round(speed))
    _add(direction, "sound", tempo=f"{sheet.quarters_per_minute:.6g}")


def _note(measure: Element, symbols: tuple[Symbol, ...], i: int, symbol: Symbol) -> None:
    """A <note>, whose parts stand in the order of the format's definition."""
    note = _add(measure, "note")
    if symbol.pitch is None:
        rest = _add(note, "rest")
        if symbol.value is None:
            rest.set("measure", "yes")
    else:
        _pitch(note, symbol.pitch)
    _add(note, "duration", symbol.steps)
    ties = [kind for kind, holds in (("stop", symbol.continues), ("start", symbol.tied)) if holds]
    for kind in ties:
        _add(note, "tie", type=kind)
    _add(note, "voice", 1)
    if symbol.value:
        _value(note, symbol.value)
    if symbol.pitch and symbol.accidental:
        _add(note, "accidental", _ACCIDENTALS[symbol.pitch.alter])
    marks = list(_tuplet_marks(symbols, i))
    if symbol.tuplet:
        modification = _add(note, "time-modification")
        _add(modification, "actual-notes", symbol.tuplet.actual)
        _add(modification, "normal-notes", symbol.tuplet.normal)
    for number, beam in enumerate(symbol.beams, 1):
        _add(note, "beam", beam, number=str(number))
    if ties or marks:
        notations = _add(note, "notations")
        for kind in ties:
            _add(notations, "tied", type=kind)
        for kind in marks:
            _add(notations, "tuplet", type=kind)


def _pitch(note: Element, pitch: Pitch) -> None:
    element = _add(note, "pitch")
    _add(element, "step", pitch.letter)
    if pitch.alter:
        _add(element, "alter", pitch.alter)
    _add(element, "octave", pitch.octave)


def _value(note: Element, value: Value) -> None:
    _add(note, "type", _TYPES[value.base])
    for _ in range(value.dots):
        _add(note, "dot")


def _tuplet_marks(symbols: tuple[Symbol, ...], i: int) -> Iterator[str]:
    """Where the bracket of a tuplet begins and ends."""
    tuplet = symbols[i].tuplet
    if tuplet and symbols[i].start == tuplet.start:
        yield "start"
    if tuplet and symbols[i].end == tuplet.end:
        yield "stop"
