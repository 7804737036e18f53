"""Measures as they are written -> notes as they are played: repeats followed, downbeats on a regular grid.

Everything here is in ticks and knows nothing of file formats.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.music.score import Reason, Score, Skip, Track

# 2^5 * 3^2 * 5 * 7: 128th notes, and tuplets of 3, 5, 6, 7 and 9 down to 32nds, are whole ticks, so that
# measures add up exactly. A multiple of 4, so a sixteenth is whole; under 2^15, so that MIDI can state it.
TICKS_PER_QUARTER = 10080
ROUNDING = TICKS_PER_QUARTER // 32  # ticks that lengths may be out, as those of files in 480ths of a quarter are
MAX_PLAYED = 20_000  # measures after repeats; a file that asks for more is not music
MAX_CELLS = 2_000_000  # played measures times parts
MAX_UNISON = 8  # notes of one pitch and staff that are tied at a time
MAX_NOTES = 500_000  # after repeats; a file of 4 MiB has about as many where none is repeated


class Note(NamedTuple):
    """A note within its measure, in ticks."""

    onset: int
    duration: int
    pitch: int
    tied: bool  # holds on into the next note of this pitch
    continues: bool = True  # whether it may be that next note; False where the source says that it is struck anew


class Measure(NamedTuple):
    """What stands between two barlines, for all parts."""

    length: int  # ticks that are written, which may be more or less than the metre says
    metre: tuple[int, int] | None  # numerator, denominator; None where none is stated
    begins_section: bool = False  # a double bar or a repeat sign stands before it
    repeat_start: bool = False
    repeat_times: int = 0  # how often the section that ends here is played; 0 where no repeat ends
    endings: frozenset[int] = frozenset()  # the turns in which it is played; empty is all
    is_pickup: bool = False  # the source says so, whatever follows; else what follows decides


class Part(NamedTuple):
    """One staff or voice: the notes of every measure."""

    name: str
    is_drum: bool
    measures: list[list[Note]]


class Piece(NamedTuple):
    """A piece as written; all parts have as many measures as `measures`."""

    measures: list[Measure]
    parts: list[Part]
    keys: list[tuple[int, str]]  # measure index and name ('G', 'Em')
    tempos: list[tuple[int, float]]  # measure index and quarter notes per minute
    title: str
    order: list[int] | None = None  # of the measures as played, where the source states it; None follows the repeats
    remarks: tuple[str, ...] = ()  # what was not taken as it is written, in words
    chords: tuple[tuple[int, int, str], ...] = ()  # of chord symbols: measure index, ticks into it, text


class Layout(NamedTuple):
    """Where each played measure starts, and the time signatures that then hold."""

    placed: list[tuple[int, int]]  # measure index and tick
    time_signatures: list[tuple[int, int, int]]  # tick, numerator, denominator
    pickup: int  # -1 where no metre is stated
    left_out: list[int]  # measures that are pickups without room


def play_order(measures: list[Measure]) -> list[int]:
    """The measure indices in the order in which they sound.

    A repeat without a start goes back to the end of the last repeat or to the last double bar, as fiddle
    books mean it (music21's own expansion repeats what was repeated before, too). Written directions (D.C.,
    D.S., Fine) are not followed. Raises Skip beyond MAX_PLAYED measures.
    """
    order: list[int] = []
    last_turns = _last_turns(measures)
    start, turn, start_is_stated = 0, 1, False
    i = 0
    while i < len(measures):
        measure = measures[i]
        opens = measure.begins_section and not measure.endings and not start_is_stated
        if i != start and (measure.repeat_start or opens):
            start, turn = i, 1
        start_is_stated = start_is_stated or measure.repeat_start
        if measure.endings and turn not in measure.endings:
            i += 1
            continue
        order.append(i)
        if len(order) > MAX_PLAYED:
            raise Skip(Reason.TOO_LONG, f"its repeats give more than {MAX_PLAYED:,} measures")
        times = _times(measure, measures[i + 1] if i + 1 < len(measures) else None, last_turns[i])
        if turn < times:
            i, turn = start, turn + 1
        else:
            i += 1
            if times:
                start, turn, start_is_stated = i, 1, False
    return order


def _last_turns(measures: list[Measure]) -> list[int]:
    """For each measure the last turn of the endings among which it stands, also of later ones; 1 outside endings."""
    turns: list[int] = []
    for has_endings, group in itertools.groupby(measures, lambda measure: bool(measure.endings)):
        alike = list(group)
        turns += [max(max(measure.endings) for measure in alike) if has_endings else 1] * len(alike)
    return turns


def _times(measure: Measure, following: Measure | None, last_turn: int) -> int:
    """How often the section that ends with `measure` is played; 0 where none ends."""
    next_endings = following.endings if following else frozenset()
    leaves_ending = measure.endings and next_endings != measure.endings
    return max(measure.repeat_times, last_turn) if measure.repeat_times or leaves_ending else 0


def bar_ticks(metre: tuple[int, int]) -> int:
    """Length of a full bar of `metre` in ticks."""
    return TICKS_PER_QUARTER * 4 * metre[0] // metre[1]


def _rounded(measure: Measure) -> Measure:
    """A measure that is out by no more than ROUNDING has the length that its metre says."""
    bar = bar_ticks(measure.metre) if measure.metre else measure.length
    return measure._replace(length=bar) if 0 < abs(measure.length - bar) <= ROUNDING else measure


def _metre_of(ticks: int) -> tuple[int, int]:
    """The metre that a bar of `ticks` fills, in the largest note value that divides it (64ths at least)."""
    for denominator in (4, 8, 16, 32, 64):
        numerator, rest = divmod(ticks * denominator, 4 * TICKS_PER_QUARTER)
        if not rest:
            break
    return max(1, numerator), denominator


class _Grid:
    """The clock of `lay_out`: the next free tick, and how far the bar has gone since its downbeat."""

    def __init__(self) -> None:
        self.position = 0
        self.fill = 0
        self.metre: tuple[int, int] | None = None
        self.time_signatures: list[tuple[int, int, int]] = []

    def room(self) -> int:
        """Ticks to the next downbeat; 0 on a downbeat."""
        return bar_ticks(self.metre) - self.fill if self.metre and self.fill else 0

    def state(self, metre: tuple[int, int]) -> None:
        """From here on (a downbeat) bars have this metre."""
        if self.metre is None or self.time_signatures[-1][1:] != metre:
            self.time_signatures.append((self.position, *metre))
        self.metre = metre

    def pad(self) -> None:
        """A silence to the next downbeat."""
        self.position += self.room()
        self.fill = 0

    def give_up_bar(self) -> None:
        """The bar is over although the metre says otherwise: state its true length, and begin anew."""
        metre, start = self.metre, self.position - self.fill
        while self.time_signatures and self.time_signatures[-1][0] >= start:
            self.time_signatures.pop()
        self.time_signatures.append((start, *_metre_of(self.fill)))
        self.fill = 0
        if metre is not None:
            self.state(metre)

    def advance(self, length: int) -> None:
        """A measure of `length` has been placed at `position`."""
        self.position += length
        if self.metre is None:
            return
        self.fill += length
        bar = bar_ticks(self.metre)
        if self.fill % bar == 0:
            self.fill = 0
        elif self.fill > bar:
            self.give_up_bar()


def lay_out(piece: Piece, order: list[int]) -> Layout:
    """Place the measures of `order` so that downbeats stay a whole number of bars apart.

    Transcribers leave the last bar of a section short by its pickup, or full, or short without one. At the
    border of sections (double bars, repeats, changes of ending) a short last bar that the next pickup does
    not complete is filled with silence. A pickup after a full bar takes its time from that bar's last note,
    as a player does it, and is left out where that note is no longer than itself. Elsewhere a bar that does
    not fit its metre is stated as what it is, by a time signature of its own, so that whoever needs a regular
    grid can see that there is none.
    """
    grid = _Grid()
    placed: list[tuple[int, int]] = []
    left_out: list[int] = []
    pickup = -1
    for k, index in enumerate(order):
        measure = piece.measures[index]
        before = placed[-1][0] if placed else None
        if measure.metre is None:
            grid.pad()
            grid.metre = None
        else:
            begins = before is None or index != before + 1 or measure.begins_section
            bar = bar_ticks(measure.metre)
            leads = _leads(piece.measures, index, order[k + 1] if k + 1 < len(order) else None, bar)
            if measure.metre != grid.metre:
                grid.pad()
                grid.state(measure.metre)
            if before is None:
                pickup = measure.length % bar if leads or measure.length > bar else 0
                grid.fill = -pickup % bar
            elif begins and leads:
                if not _squeeze_in(piece, grid, before, measure.length, bar):
                    left_out.append(index)
                    continue
            elif grid.fill and (grid.fill + measure.length) % bar:
                if begins:
                    grid.pad()
                elif measure.length > grid.room():
                    grid.give_up_bar()
        placed.append((index, grid.position))
        grid.advance(measure.length)
    return Layout(placed, grid.time_signatures, pickup, left_out)


def _leads(measures: list[Measure], index: int, following: int | None, bar: int) -> bool:
    """Whether measure `index` is a pickup: shorter than a bar of `bar` ticks, and a full bar goes on from it."""
    measure = measures[index]
    if measure.is_pickup and 0 < measure.length < bar:
        return True
    if measure.length >= bar or following != index + 1 or measures[following].length < bar:
        return False
    stands_alone = measure.begins_section and not measure.endings  # a pickup before '|:'
    return stands_alone or not measures[following].begins_section


def _squeeze_in(piece: Piece, grid: _Grid, before: int, length: int, bar: int) -> bool:
    """Move the grid to where a pickup of `length` after measure `before` starts; False: no room."""
    overlap = length - grid.room()
    last_onset = max((n.onset for part in piece.parts for n in part.measures[before]), default=0)
    if overlap > 0 and overlap >= piece.measures[before].length - last_onset:
        return False
    grid.position -= overlap
    grid.fill = bar - length
    return True


def _play(part: Part, placed: list[tuple[int, int]]) -> Track:
    """The notes of a part as played; ties become one note, a measure cuts what still sounds before it."""
    rows: list[list[int]] = []  # start, end, pitch
    held: dict[int, list[list[int]]] = {}  # pitch -> the rows that ties leave open, in unison more than one
    first = 0  # where the previous measure's rows begin
    for index, start in placed:
        for row in rows[first:]:
            row[1] = min(row[1], start)
        first = len(rows)
        for note in part.measures[index]:
            onset = start + note.onset
            here = [row for row in held.pop(note.pitch, ()) if row[1] >= onset - ROUNDING]
            if note.continues and here and here[0][1] <= onset + ROUNDING:
                row = here.pop(0)
            else:
                row = [onset, onset, note.pitch]
                rows.append(row)
            row[1] = onset + note.duration
            held[note.pitch] = [*here, row][-MAX_UNISON:] if note.tied else here
    rows.sort(key=lambda row: (row[0], row[2]))
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Track(part.name, -1, part.is_drum, table[:, 0], table[:, 1], table[:, 2])


def _first_played(marks: list, placed: list[tuple[int, int]]) -> list:
    """Marks at measure indices -> marks at the ticks where those measures are first played."""
    ticks: dict[int, int] = {}
    for index, start in placed:
        ticks.setdefault(index, start)
    return sorted((ticks[index], value) for index, value in marks if index in ticks)


def piece_to_score(piece: Piece) -> Score:
    """Repeats expanded, ties merged, downbeats on a grid. Raises Skip where it is too long or empty."""
    order = play_order(piece.measures) if piece.order is None else piece.order
    if len(piece.parts) * len(order) > MAX_CELLS:
        raise Skip(Reason.TOO_LONG, f"{len(piece.parts):,} parts of {len(order):,} measures as played")
    if sum(len(part.measures[i]) for part in piece.parts for i in order) > MAX_NOTES:
        raise Skip(Reason.TOO_LONG, f"over {MAX_NOTES:,} notes as played")
    piece = piece._replace(measures=[_rounded(measure) for measure in piece.measures])
    layout = lay_out(piece, order)
    tracks = [track for track in (_play(part, layout.placed) for part in piece.parts) if len(track.start)]
    if not tracks:
        raise Skip(Reason.DRUMS_ONLY if any(part.is_drum for part in piece.parts) else Reason.NO_NOTES)
    return Score(
        tracks=tuple(tracks),
        ticks_per_quarter=TICKS_PER_QUARTER,
        time_signatures=np.array(layout.time_signatures, np.int64).reshape(-1, 3),
        tempos=np.array(_first_played(piece.tempos, layout.placed), np.float64).reshape(-1, 2),
        keys=tuple(_first_played(piece.keys, layout.placed)),
        title=piece.title,
        pickup=layout.pickup,
        remarks=piece.remarks,
        left_out=sum(len(part.measures[i]) for part in piece.parts for i in layout.left_out),
        chords=_chords_played(piece.chords, layout.placed),
    )


def _chords_played(
    chords: Sequence[tuple[int, int, str]], placed: list[tuple[int, int]]
) -> tuple[tuple[int, str], ...]:
    """Tick and text of chord symbols as they are played; none where there are more than notes may be."""
    of: dict[int, list[tuple[int, str]]] = {}
    for index, onset, text in chords:
        of.setdefault(index, []).append((onset, text))
    if sum(len(of.get(index, ())) for index, _ in placed) > MAX_NOTES:
        return ()
    return tuple(sorted((start + onset, text) for index, start in placed for onset, text in of.get(index, ())))
