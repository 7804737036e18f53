"""Bars of tokens -> a sheet: the measures of a melody as a copyist writes them, for any format of notation."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.grid import Grid, grid_of
from mcvae_jax.music.keys import Key, find_key, parse_key
from mcvae_jax.music.measures import TICKS_PER_QUARTER, Measure
from mcvae_jax.music.sheet.layout import Line, lay_out, pickup_of
from mcvae_jax.music.sheet.spans import Span, Value, metre_span
from mcvae_jax.music.sheet.spelling import Accidentals, Pitch, spell
from mcvae_jax.music.sheet.symbols import Event, Symbol, write_symbols
from mcvae_jax.music.tokens import tokens_to_notes
from mcvae_jax.text import printable


class Clef(NamedTuple):
    """Where a staff stands."""

    sign: str  # 'G' or 'F'
    line: int
    octaves: int  # by which it sounds higher than a treble or bass clef
    lowest: int  # MIDI pitches of its outer lines
    highest: int


CLEFS = (Clef("G", 2, 0, 64, 77), Clef("F", 4, 0, 43, 57), Clef("G", 2, 1, 76, 89), Clef("F", 4, -1, 31, 45))
_LEDGER = 7  # semitones of two ledger lines


class Bar(NamedTuple):
    """A measure of a sheet."""

    measure: Measure  # its length in ticks of measures.TICKS_PER_QUARTER, repeats, endings
    symbols: tuple[Symbol, ...]
    number: str  # '1', '2'; '0' of a pickup, 'X8' of what comes after a barline within bar 8
    label: str  # what stands over it; '' is nothing
    chords: tuple[tuple[int, str], ...] = ()  # chord symbols: number of the symbol over which one stands, text


class Sheet(NamedTuple):
    """A melody as it is printed."""

    title: str  # one line
    composer: str
    key: Key
    metre: tuple[int, int]
    quarters_per_minute: float
    clef: Clef
    quarter: int  # steps of a quarter
    bars: tuple[Bar, ...]

    @property
    def beat(self) -> tuple[Value, float]:
        """The beat by which the tempo is stated, and how many are played a minute: dotted quarters in 6/8."""
        above, below = self.metre
        value = Value(Fraction(2, below), 1) if below >= 8 and above % 3 == 0 else Value(Fraction(1, 4), 0)
        length = value.base * (1 + Fraction(value.dots, 2))
        return value, self.quarters_per_minute / float(4 * length)


def make_sheet(
    bars: np.ndarray,
    metre: tuple[int, int] | None = None,
    key: str = "",
    quarters_per_minute: float = 110.0,
    title: str = "",
    composer: str = "",
    labels: Sequence[tuple[int, str]] = (),
    pickup: int | None = None,
    chords: Sequence[tuple[int, str]] = (),
) -> Sheet:
    """The sheet of a melody.

    Args:
      bars: uint8 (n, T), n >= 0; of none a bar of rest is written.
      metre: of the printed bars, which need not be those of the grid; None, or one whose unit is no whole number of
        steps (3/32 of sixteenths), takes the plainest of the grid.
      key: 'G', 'Em'; '' is found.
      labels: the bar of the grid where something begins, and what stands over it. No repeat goes across such a place.
      pickup: steps that sound before the first whole bar, where the first bar of the grid begins with silence; None
        takes what follows a silence of half a printed bar or more, 0 none.
      chords: steps of the song and chord symbols, which stand there to the eighth; a note that is held is cut by a tie.

    Raises UserError for a key or a pickup that there cannot be.
    """
    grid = grid_of(bars.shape[1])
    span = metre_span(metre, grid) if metre else None
    if span is None or metre is None:
        metre = grid.metre
        span = metre_span(metre, grid) or Span(0, grid.bar)
    start, end, pitch = (each.tolist() for each in tokens_to_notes(bars_to_tokens(bars)))
    said = parse_key(key) if key else find_key(bars)
    names = spell(pitch, said)
    events = [Event(*each) for each in zip(start, end, names, strict=True)]
    lead = pickup_of(start[0] if start else 0, bars.size, span.length, grid, metre, pickup)
    places = [(bar * grid.bar, text) for bar, text in labels]
    over = _on_eighths(chords, bars.size, grid)
    lines = lay_out(bars_to_tokens(bars), span.length, lead, places, over)
    accidentals = Accidentals(said)
    return Sheet(
        title=_one_line(title),
        composer=_one_line(composer),
        key=said,
        metre=metre,
        quarters_per_minute=quarters_per_minute,
        clef=clef_of(names),
        quarter=grid.quarter,
        bars=tuple(_bar(line, events, over, accidentals, span, metre, grid) for line in lines),
    )


def clef_of(pitches: Sequence[Pitch]) -> Clef:
    """The clef that leaves least beyond two ledger lines; the treble clef of equals."""

    def beyond(clef: Clef) -> int:
        return sum(max(0, clef.lowest - _LEDGER - p.midi, p.midi - clef.highest - _LEDGER) for p in pitches)

    return min(CLEFS, key=beyond)


def _on_eighths(chords: Sequence[tuple[int, str]], steps: int, grid: Grid) -> list[tuple[int, str]]:
    """Chord symbols of a song of so many steps, in order; of two on an eighth the later one."""
    eighth = max(1, grid.quarter // 2)
    found = {step - step % eighth: _one_line(text) for step, text in sorted(chords) if 0 <= step < steps}
    return [(step, text) for step, text in found.items() if text]


def _bar(
    line: Line,
    events: Sequence[Event],
    over: Sequence[tuple[int, str]],
    accidentals: Accidentals,
    span: Span,
    metre: tuple[int, int],
    grid: Grid,
) -> Bar:
    inside = slice(
        bisect_right(events, line.start, key=lambda e: e.end), bisect_left(events, line.end, key=lambda e: e.start)
    )
    measure = Measure(
        length=(line.end - line.start) * TICKS_PER_QUARTER // grid.quarter,
        metre=metre,
        repeat_start=line.repeat_start,
        repeat_times=2 * line.repeat_end,
        endings=frozenset({line.ending} if line.ending else ()),
        is_pickup=line.number == "0",
    )
    here = {step: text for step, text in over if line.start <= step < line.end}
    symbols = write_symbols(events[inside], line.start, line.end, span, accidentals, grid.quarter, list(here))
    first = line.start // span.length * span.length
    chords = [(i, here[first + symbol.start]) for i, symbol in enumerate(symbols) if first + symbol.start in here]
    return Bar(measure, tuple(symbols), line.number, _one_line(line.label), tuple(chords))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
