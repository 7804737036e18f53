"""The notes and rests of a measure with their printed durations, ties, tuplets, accidentals and beams."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from mcvae_jax.music.sheet.spans import Span, Value, beams_of, cut, value_of
from mcvae_jax.music.sheet.spelling import Accidentals, Pitch
from mcvae_jax.music.sheet.tuplets import Tuplet, find_tuplets

_EIGHTH = Value(Fraction(1, 8), 0)


class Event(NamedTuple):
    """A note of a song, or a rest, from step to step."""

    start: int
    end: int
    pitch: Pitch | None  # None is a rest


class Symbol(NamedTuple):
    """A printed note or rest."""

    start: int  # steps from the beginning of the bar of the metre, also in a pickup
    steps: int  # that it sounds
    value: Value | None  # None: a rest of a whole bar
    pitch: Pitch | None = None  # None is a rest
    tied: bool = False  # holds on into the next symbol
    continues: bool = False  # is held from the symbol before
    accidental: bool = False  # is printed
    tuplet: Tuplet | None = None
    group: int = -1  # symbols of one number are beamed together; -1 stands alone
    beams: tuple[str, ...] = ()  # from the outermost: 'begin', 'continue', 'end', 'forward hook', 'backward hook'

    @property
    def end(self) -> int:
        return self.start + self.steps


def write_symbols(
    heard: Sequence[Event],
    start: int,
    end: int,
    span: Span,
    accidentals: Accidentals,
    quarter: int,
    cuts: Sequence[int] = (),
) -> list[Symbol]:
    """The symbols of the measure from step `start` to `end` of a song.

    Args: heard, the notes that sound in it, in their order; span, a bar of its metre;
      accidentals, of the sheet up to here; cuts, the steps at which a symbol begins in any case, as chords need it.
    """
    accidentals.next_bar()
    first = start // span.length * span.length
    cuts = [step for step in cuts if start < step < end]
    if not heard and end - start == span.length and not cuts:
        return [Symbol(0, span.length, None)]
    symbols: list[Symbol] = []
    pieces = [part for piece in _with_rests(heard, start, end) for part in _parts(piece, cuts)]
    tuplets = find_tuplets(span, sorted({at - first for piece in pieces for at in piece[:2]}), quarter)
    for event in pieces:
        whole = next((each for each in heard if each.start <= event.start < each.end), event)
        inner = _written(event, first, span, tuplets, quarter)
        for i, symbol in enumerate(inner):
            more = i + 1 < len(inner) or event.end < whole.end
            before = i > 0 or event.start > whole.start
            symbols.append(symbol._replace(tied=more, continues=before) if event.pitch else symbol)
    return _beamed(_with_accidentals(symbols, accidentals), span, quarter)


def _with_rests(heard: Sequence[Event], start: int, end: int) -> Iterator[Event]:
    """What sounds in a measure, cut at its barlines, and the rests between."""
    at = start
    for event in heard:
        if at < event.start:
            yield Event(at, event.start, None)
        at = min(event.end, end)
        yield Event(max(event.start, start), at, event.pitch)
    if at < end:
        yield Event(at, end, None)


def _parts(event: Event, cuts: Sequence[int]) -> list[Event]:
    """A note or rest, cut at steps."""
    edges = [event.start, *(step for step in cuts if event.start < step < event.end), event.end]
    return [Event(a, b, event.pitch) for a, b in zip(edges, edges[1:], strict=False)]


def _written(event: Event, first: int, span: Span, tuplets: Sequence[Tuplet], quarter: int) -> list[Symbol]:
    """A note or rest of a measure as symbols; ties are not said yet."""
    symbols, whole = [], 4 * quarter
    start, end = event.start - first, event.end - first
    borders = {at for tuplet in tuplets for at in (tuplet.start, tuplet.end) if start < at < end}
    places = [start, *sorted(borders), end]
    for a, b in zip(places, places[1:], strict=False):
        tuplet = next((each for each in tuplets if each.start <= a and b <= each.end), None)
        pairs = tuplet.cut(a, b, whole) if tuplet else cut(span, a, b, whole, event.pitch is None)
        for c, d in pairs:
            length = tuplet.written(d - c, whole) if tuplet else Fraction(d - c, whole)
            symbols.append(Symbol(c, d - c, value_of(length), event.pitch, tuplet=tuplet))
    return symbols


def _with_accidentals(symbols: Sequence[Symbol], accidentals: Accidentals) -> list[Symbol]:
    done = []
    for i, symbol in enumerate(symbols):
        if symbol.pitch and symbol.continues and i == 0:
            accidentals.hold(symbol.pitch)
        elif symbol.pitch and not symbol.continues:
            symbol = symbol._replace(accidental=accidentals.shown(symbol.pitch))
        done.append(symbol)
    return done


def _beamed(symbols: list[Symbol], span: Span, quarter: int) -> list[Symbol]:
    """With beams over the notes of a beat, and over four eighths of half a bar of 4/4, or a bar of 2/4."""
    beats = list(beams_of(span, quarter))
    groups: list[list[int]] = []
    last: tuple[int, int] | None = None
    for i, symbol in enumerate(symbols):
        beat = next((each for each in beats if each.start <= symbol.start < each.end), span)
        tuplet = symbol.tuplet if symbol.tuplet and symbol.tuplet.length > beat.length else None
        place = _pair(symbols, symbol, span, quarter) or (tuplet[:2] if tuplet else (beat.start, beat.end))
        if not _flags(symbol):
            last = None
            continue
        if place != last:
            groups.append([])
        groups[-1].append(i)
        last = place
    for number, group in enumerate(groups):
        if len(group) > 1:
            for i, beams in zip(group, _beams([_flags(symbols[i]) for i in group]), strict=True):
                symbols[i] = symbols[i]._replace(beams=beams, group=number)
    return symbols


def _pair(symbols: Sequence[Symbol], symbol: Symbol, span: Span, quarter: int) -> tuple[int, int] | None:
    """The half note in which a symbol stands, where it holds four eighths and the metre is divided by halves."""
    if not span.simple() or span.length % (2 * quarter):
        return None
    start = symbol.start // (2 * quarter) * 2 * quarter
    inside = [each for each in symbols if start <= each.start < start + 2 * quarter]
    eighths = all(each.value == _EIGHTH and each.pitch and not each.tuplet for each in inside)
    return (start, start + 2 * quarter) if eighths and len(inside) == 4 else None


def _flags(symbol: Symbol) -> int:
    """How many flags a note has: 1 of an eighth; 0 of longer ones and of rests."""
    if symbol.value is None or symbol.pitch is None:
        return 0
    return max(0, symbol.value.base.denominator.bit_length() - 3)


def _beams(flags: Sequence[int]) -> list[tuple[str, ...]]:
    """The beams of the notes of a group, by their flags, at least one each."""
    beams: list[list[str]] = [[] for _ in flags]
    for level in range(1, max(flags) + 1):
        for i, count in enumerate(flags):
            if count < level:
                continue
            before, after = i > 0 and flags[i - 1] >= level, i + 1 < len(flags) and flags[i + 1] >= level
            hook = "forward hook" if i == 0 else "backward hook"
            beams[i].append({(0, 1): "begin", (1, 1): "continue", (1, 0): "end"}.get((before, after), hook))
    return [tuple(each) for each in beams]
