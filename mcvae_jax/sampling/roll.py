"""A song's piano roll as inline SVG, in the colours of the page's style sheet: as wide as there is room, all of it."""

import numpy as np

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import tokens_to_notes
from mcvae_jax.sampling.song import ComposedSong, sections_of
from mcvae_jax.text import for_html

LEFT = 34  # pixels of the names of the pitches
_TOP = 34  # for labels and bar numbers
_ROW = 7  # of a semitone
_GAP = 0.12  # steps between a note and one that follows at once
_SEMITONES = 19  # shown at least
_NUMBERS = {"few": 12, "many": 32}  # of bars, at most: on a phone, elsewhere
_ROOM = 0.08  # of the width, of a number of three digits on a phone
_BLACK = (1, 3, 6, 8, 10)


def draw_roll(song: ComposedSong) -> str:
    """The names of the pitches, LEFT pixels wide, and beside them the field: notes over bar lines, and the playhead.

    The field is as wide as its place, whatever the song's length: across it a step is a unit, so that labels stand
    beside the drawing, at shares of the width. Given bars are shaded and sections labelled.
    """
    start, end, pitch = tokens_to_notes(bars_to_tokens(song.bars))
    low, high = _span(pitch)
    own = song.given[start // song.grid.bar]
    parts = _ground(song, (low, high))
    top = _TOP + _ROW * (high - pitch)
    for kind, chosen in (("note", ~own), ("own", own)):
        boxes = zip(start[chosen].tolist(), (end[chosen] - _GAP).tolist(), top[chosen].tolist(), strict=True)
        path = "".join(f"M{a} {y}H{b:.7g}v{_ROW - 1}H{a}z" for a, b, y in boxes)
        parts.append(f'<path class="{kind}" d="{path}"/>')
    height = _TOP + _ROW * (high - low + 1)
    places = ((p, min(_TOP + _ROW * (high - p) + 9, height - 2)) for p in _octaves(low, high))
    names = "".join(f'<text x="6" y="{y}">C{p // 12 - 1}</text>' for p, y in places)
    pitches = f'<svg class="pitches" width="{LEFT}" height="{height}" aria-hidden="true">{names}</svg>'
    box = f'viewBox="0 0 {max(song.bars.size, 1)} {height}" preserveAspectRatio="none"'
    notes = f'<svg class="notes" {box} height="{height}" aria-hidden="true">{"".join(parts)}</svg>'
    return f'{pitches}<div class="field">{notes}{_labels(song)}<div class="playhead"></div></div>'


def notes_of(song: ComposedSong) -> str:
    """The notes for the page's player: start, end (steps) and pitch of each, all in a row."""
    return ",".join(map(str, np.stack(tokens_to_notes(bars_to_tokens(song.bars)), axis=1).ravel().tolist()))


def _octaves(low: int, high: int) -> range:
    """The Cs from `low` to `high`."""
    return range(low + -low % 12, high + 1, 12)


def _span(pitch: np.ndarray) -> tuple[int, int]:
    """The lowest and highest row, around the pitches, (N,), or around middle C where there are none."""
    low, high = (int(pitch.min()), int(pitch.max())) if len(pitch) else (60, 72)
    missing = max(_SEMITONES - (high - low + 1), 2)
    return low - missing // 2, high + (missing + 1) // 2


def _beats(song: ComposedSong) -> range:
    """The steps of a bar on which beats fall, the first apart: quarters, or dotted ones in 6/8, 9/8 and 12/8."""
    numerator, denominator = song.setting.metre
    quarter = song.grid.quarter
    beat = 3 * quarter // 2 if denominator == 8 and numerator % 3 == 0 else quarter
    return range(beat, song.grid.bar, beat)


def _ground(song: ComposedSong, span: tuple[int, int]) -> list[str]:
    """What lies below the notes: the rows of black keys, given bars, beats, bar lines, octaves, sections."""
    low, high = span
    bar, width, height = song.grid.bar, song.bars.size, _TOP + _ROW * (high - low + 1)
    rows = [_TOP + _ROW * (high - p) for p in range(low, high + 1) if p % 12 in _BLACK]
    parts = [f'<rect class="black" y="{y}" width="{width}" height="{_ROW}"/>' for y in rows]
    for a, b in np.flatnonzero(np.diff(song.given, prepend=False, append=False)).reshape(-1, 2).tolist():
        parts.append(f'<rect class="shade" x="{a * bar}" width="{(b - a) * bar}" height="{height}"/>')
    starts = range(0, width + 1, bar)
    beats = "".join(f"M{start + beat} {_TOP}V{height}" for start in starts[:-1] for beat in _beats(song))
    lines = "".join(f"M{start} {_TOP}V{height}" for start in starts)
    octaves = "".join(f"M0 {_TOP + _ROW * (high - p + 1)}H{width}" for p in _octaves(low, high))
    sections = "".join(f"M{i * bar} 2V{height}" for i, _ in sections_of(song))
    kinds = (("beat", beats), ("bar", lines), ("octave", octaves), ("section", sections))
    return parts + [f'<path class="{kind}" d="{d}"/>' for kind, d in kinds]


def _labels(song: ComposedSong) -> str:
    """The numbers of some bars, of a few of them on a narrow screen, and the names of the sections."""
    count = len(song.bars)
    every = {kind: next(2**n for n in range(32) if count <= most * 2**n) for kind, most in _NUMBERS.items()}
    wide = {bar for bar in range(count) if bar % every["few"] or bar > (1 - _ROOM) * count}
    parts = [
        f'<span class="number{" many" if bar in wide else ""}" style="left: {100 * bar / count:.4g}%">'
        f"{song.numbers.of(bar)}</span>"
        for bar in range(0, count, every["many"])
    ]
    sections = sections_of(song)
    for (bar, label), (after, _) in zip(sections, (*sections[1:], (count, "")), strict=False):
        place = f"left: {100 * bar / max(count, 1):.4g}%; width: {100 * (after - bar) / max(count, 1):.4g}%"
        parts.append(f'<span class="label" style="{place}">{for_html(label)}</span>')
    return "".join(parts)
