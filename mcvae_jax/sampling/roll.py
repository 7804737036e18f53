"""A song's piano roll as inline SVG, in the colours of the page's style sheet."""

import numpy as np

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import tokens_to_notes
from mcvae_jax.sampling.song import ComposedSong, sections_of
from mcvae_jax.text import for_html

LEFT = 34  # pixels of the names of the pitches, which stay in sight
_TOP = 34  # for labels and bar numbers
_ROW = 7  # of a semitone
WIDTH, _NARROWEST, _WIDEST = 1080, 40, 112  # of a song that fits a screen, of a bar
_LETTER = 6.6  # of a label
_SEMITONES = 19  # shown at least
_BLACK = (1, 3, 6, 8, 10)


def draw_roll(song: ComposedSong, width: int = WIDTH) -> str:
    """Two <svg> elements side by side: the names of the pitches, LEFT pixels wide, and the notes over bar lines.

    Given bars are shaded and sections labelled. Bars are 40 to 112 pixels wide; a long song is wider than the `width`.
    """
    start, end, pitch = tokens_to_notes(bars_to_tokens(song.bars))
    bar = min(max(width // max(len(song.bars), 1), _NARROWEST), _WIDEST)
    low, high = _span(pitch)
    own = song.given[start // song.grid.bar]
    parts = _ground(song, bar, (low, high))
    left, right, top = start * bar / song.grid.bar, end * bar / song.grid.bar - 1, _TOP + _ROW * (high - pitch)
    for kind, chosen in (("note", ~own), ("own", own)):
        boxes = zip(left[chosen].tolist(), right[chosen].tolist(), top[chosen].tolist(), strict=True)
        path = "".join(f"M{a:.7g} {y}H{b:.7g}v{_ROW - 1}H{a:.7g}z" for a, b, y in boxes)
        parts.append(f'<path class="{kind}" d="{path}"/>')
    names = "".join(
        f'<text x="6" y="{_TOP + _ROW * (high - p) + 9}">C{p // 12 - 1}</text>' for p in _octaves(low, high)
    )
    height = _TOP + _ROW * (high - low + 1)
    return _svg("pitches", LEFT, height, names) + _svg("notes", bar * len(song.bars) + 1, height, "".join(parts))


def _svg(kind: str, width: int, height: int, content: str) -> str:
    return f'<svg class="{kind}" width="{width}" height="{height}" aria-hidden="true">{content}</svg>'


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


def _ground(song: ComposedSong, bar: int, span: tuple[int, int]) -> list[str]:
    """What lies below the notes: the rows of black keys, given bars, beats, bar lines and numbers, sections."""
    low, high = span
    count, width, height = len(song.bars), bar * len(song.bars), _TOP + _ROW * (high - low + 1)
    rows = [_TOP + _ROW * (high - p) for p in range(low, high + 1) if p % 12 in _BLACK]
    parts = [f'<rect class="black" y="{y}" width="{width}" height="{_ROW}"/>' for y in rows]
    for a, b in np.flatnonzero(np.diff(song.given, prepend=False, append=False)).reshape(-1, 2).tolist():
        parts.append(f'<rect class="shade" x="{a * bar}" width="{(b - a) * bar}" height="{height}"/>')
    places = (i + beat / song.grid.bar for i in range(count) for beat in _beats(song))
    beats = "".join(f"M{place * bar:g} {_TOP}V{height}" for place in places)
    lines = "".join(f"M{i * bar + 0.5} {_TOP - 12}V{height}" for i in range(count + 1))
    octaves = "".join(f"M0 {_TOP + _ROW * (high - p + 1)}H{width}" for p in _octaves(low, high))
    parts += [f'<path class="{kind}" d="{d}"/>' for kind, d in (("beat", beats), ("bar", lines), ("octave", octaves))]
    parts += [f'<text x="{i * bar + 4}" y="{_TOP - 4}">{i + 1}</text>' for i in range(count)]
    sections = sections_of(song)
    for (i, label), (after, _) in zip(sections, (*sections[1:], (count, "")), strict=False):
        letters = int(((after - i) * bar - 6) / _LETTER)
        short = label if len(label) <= letters else label[: letters - 1] + "\u2026"
        parts.append(f'<path class="section" d="M{i * bar + 0.5} 2V{height}"/>')
        parts.append(f'<text class="label" x="{i * bar + 4}" y="14">{for_html(short)}</text>')
    return parts
