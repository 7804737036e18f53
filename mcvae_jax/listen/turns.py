"""Whose turn it is: a call of so many bars, as long an answer, and again. Positions are in steps (clock.py).

A call begins with the bar in which the musician begins to play; what begins in the last beat before it is its pickup.
Its answer is composed while its last bar still sounds: once early, from what was heard by then, so that there is one in
any case, and once more as late as possible, where something has been played since. The later one is played if it is
there in time. The answer begins at the bar line after the call's last bar, or, where none is there, at the next one
after that. Who plays in the middle of an answer breaks it off, and the bar in which that happens is the first of a new
call. Notes in an answer's first beat still close the call, and those in its last beat are the next call's pickup.
"""

import enum
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.listen.hearing import Note, as_bars
from mcvae_jax.music.bars import bars_to_tokens
from mcvae_jax.music.tokens import tokens_to_notes

SOON = 0.03  # seconds by which an answer may come late and still begin, with what is left of its first note
EARLY, LATE, CHOSEN = 1.0, 0.15, 0.04  # seconds before the end of a call: the two asks, and the choice between answers
SPARE, FACTOR = 0.08, 1.5  # an ask comes by so many seconds, and times of the last answer's seconds, ahead at least
LOUDNESS = 80  # of an answer to what has no loudness


class State(enum.Enum):
    """What happens now."""

    WAITING = "waiting for the first note of a call"
    CALL = "the musician plays"
    ANSWER = "the answer sounds"


class Ask(NamedTuple):
    """An answer that has to be composed."""

    number: int  # of the ask, from 1
    bars: np.ndarray  # uint8 (n, T): what both have played
    wanted: int  # bars


class Answer(NamedTuple):
    """An answer that is to be played."""

    number: int  # of the answer, from 1
    notes: list[Note]
    late: int  # bars by which it is late


class Ahead(NamedTuple):
    """How far before the end of a call something is due, in steps."""

    early: float
    late: float
    chosen: float
    soon: float  # and how far after it an answer may still begin


def ahead(seconds: float, step: float) -> Ahead:
    """For answers that take so many seconds to compose, at so many seconds a step."""
    needed = FACTOR * seconds + SPARE
    return Ahead(max(EARLY, needed) / step, max(LATE, needed) / step, CHOSEN / step, SOON / step)


class Turns:
    """Calls and answers over bars of T = `steps` steps, of which a beat has `beat`."""

    def __init__(self, steps: int, beat: int, bars: int, memory: int, breaks_off: bool = True) -> None:
        self.steps, self.beat, self.bars = steps, beat, bars
        self.memory = memory  # bars of which a model hears
        self.breaks_off = breaks_off  # whether who plays breaks an answer off
        self.state = State.WAITING
        self.answers: list[Note] = []  # what was played in answers
        self.first = self.last = 0  # the bars of the turn, half open
        self._asks = self._given = 0  # how many there were, and answers that were played
        self._played: list[int] = []  # the bars of all turns, in which nobody waits
        self._has_pickup = False
        self._asked: np.ndarray | None = None  # the bars of the call that were asked about last
        self._outstanding = 0  # the number of the ask that is not answered; 0: none
        self._ready: np.ndarray | None = None  # the bars of an answer
        self._is_refused = False

    def begins(self, start: float) -> bool:
        """A note of the musician begins; whether it breaks an answer off, of which nothing is to be heard any more."""
        step = math.floor(start + 0.5)
        bar = step // self.steps
        if self.state is State.WAITING:
            is_pickup = step >= (bar + 1) * self.steps - self.beat
            self._call(bar + is_pickup, [bar] if is_pickup else [])
        elif self.state is State.ANSWER:
            if step >= self.last * self.steps - self.beat:
                self._has_pickup = True
            elif self.breaks_off and step >= self.first * self.steps + self.beat:
                self.answers = [_until(note, start) for note in self.answers if note.start < start]
                self._played = [each for each in self._played if each < bar]
                self._call(bar, [])
                return True
        return False

    def advance(self, position: float, heard: Sequence[Note], before: Ahead) -> Ask | Answer | None:
        """Time has come to a position: what is now to be composed, or to be played."""
        if self.state is State.ANSWER and position >= self.last * self.steps:
            self.state = State.WAITING
            if self._has_pickup:
                self._call(self.last, [])
        if self.state is not State.CALL:
            return None
        end = self.last * self.steps
        if self._ready is not None and position >= end - before.chosen:
            return self._begin(self._ready, position - before.soon, heard)
        if self._is_refused:
            self.state = State.WAITING if position >= end else State.CALL
            return None
        lead = min(self.steps, before.early if self._asked is None else before.late)
        return self._ask(heard) if not self._outstanding and position >= end - lead else None

    def wakes_at(self, position: float, before: Ahead) -> float | None:
        """The next position at which `advance` may find something to do; None while it waits for others."""
        end = self.last * self.steps
        before_end: dict[State, tuple[float, ...]] = {State.CALL: (self.steps, *before[:3], 0), State.ANSWER: (0,)}
        times = [end - each for each in before_end.get(self.state, ())]
        return min((each for each in times if each > position), default=None)

    def answered(self, number: int, bars: np.ndarray) -> None:
        """An answer, uint8 (n, T), is there, though nobody may wait for it any more."""
        if number == self._outstanding:
            self._outstanding, self._ready = 0, bars

    def refused(self, number: int) -> None:
        """There is no answer of this number."""
        if number == self._outstanding:
            self._outstanding, self._is_refused = 0, self._ready is None

    def stop(self, position: float) -> None:
        """The clock stands still: whatever was going on is over."""
        self.answers = [_until(note, position) for note in self.answers if note.start < position]
        self.state, self._has_pickup = State.WAITING, False
        self._forget()

    def _call(self, first: int, before: list[int]) -> None:
        self._played += [bar for bar in before if bar not in self._played]
        self.first, self.last = first, first + self.bars
        self.state, self._has_pickup = State.CALL, False
        self._forget()

    def _forget(self) -> None:
        """Nothing of a call has been asked yet."""
        self._asked = self._ready = None
        self._outstanding, self._is_refused = 0, False

    def _ask(self, heard: Sequence[Note]) -> Ask | None:
        """An ask about the call as it is by now; None where that is known."""
        played = [*self._played, *range(self.first, self.last)][-self.memory :]
        begin = played[0]
        recent = [_since(notes, begin * self.steps - 1) for notes in (heard, self.answers)]
        bars = as_bars(recent, begin, self.last - begin, self.steps)[[bar - begin for bar in played]]
        if self._asked is not None and np.array_equal(bars, self._asked):
            return None
        self._asks += 1
        self._asked, self._outstanding = bars, self._asks
        return Ask(self._asks, bars, self.bars)

    def _begin(self, bars: np.ndarray, position: float, heard: Sequence[Note]) -> Answer:
        """The answer, from the first bar line on that is not before a position; as loud as the call was."""
        loud = [note.velocity for note in _since(heard, self.first * self.steps - self.beat)]
        velocity = round(sum(loud) / len(loud)) if loud else LOUDNESS
        call = range(self.first, self.last)
        self.first = max(self.last, math.ceil(position / self.steps))
        self.last = self.first + len(bars)
        self._played = [*self._played, *call, *range(self.first, self.last)][-self.memory :]
        self.state, self._has_pickup = State.ANSWER, False
        self._forget()
        at = self.first * self.steps
        found = zip(*tokens_to_notes(bars_to_tokens(bars)), strict=True)
        notes = [Note(at + int(a), at + int(b), at + int(b), int(pitch), velocity) for a, b, pitch in found]
        self.answers += notes
        self._given += 1
        return Answer(self._given, notes, self.first - call.stop)


def _until(note: Note, position: float) -> Note:
    """The note, broken off at a position."""
    return note._replace(up=min(note.up, position), end=min(note.end, position))


def _since(notes: Sequence[Note], position: float) -> list[Note]:
    """Those that begin at a position or later; notes: in the order in which they begin."""
    first = len(notes)
    while first and notes[first - 1].start >= position:
        first -= 1
    return list(notes[first:])
