"""Whose turn it is: a call of so many bars, as long an answer, and again. Positions are in steps (clock.py).

A call begins with the bar in which the musician begins to play; what begins in the last beat before it is its pickup.
The answer begins at the bar line after the call's last bar, or, where it comes late, at the next one after it is there.
Who plays in the middle of an answer breaks it off, and the bar in which that happens is the first of a new call. Notes
in an answer's first beat still close the call, and those in its last beat are the next call's pickup.
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
SPARE, FACTOR, LEAST = 0.08, 1.5, 0.15  # an answer is asked for by its usual seconds * FACTOR + SPARE ahead, or LEAST


class State(enum.Enum):
    """What happens now."""

    WAITING = "waiting for the first note of a call"
    CALL = "the musician plays"
    ANSWER = "the answer sounds"


class Ask(NamedTuple):
    """An answer that has to be composed."""

    number: int  # of the answer, from 1
    bars: np.ndarray  # uint8 (n, T): what both have played
    wanted: int  # bars


class Answer(NamedTuple):
    """An answer that is to be played."""

    notes: list[Note]
    late: int  # bars by which it is late


def lead_of(seconds: float) -> float:
    """How many seconds before the end of a call its answer is asked for, where the last one has taken so many."""
    return max(LEAST, FACTOR * seconds + SPARE)


class Turns:
    """Calls and answers over bars of T = `steps` steps, of which a beat has `beat`."""

    def __init__(self, steps: int, beat: int, bars: int, memory: int, breaks_off: bool = True) -> None:
        self.steps, self.beat, self.bars = steps, beat, bars
        self.memory = memory  # bars of which a model hears
        self.breaks_off = breaks_off  # whether who plays breaks an answer off
        self.state = State.WAITING
        self.answers: list[Note] = []  # what was played in answers
        self.first = self.last = 0  # the bars of the turn, half open
        self.asked = 0  # the number of the answer that was asked for last
        self._played: list[int] = []  # the bars of all turns, in which nobody waits
        self._waits_for = 0  # the number of the answer that the call waits for; 0: none
        self._has_pickup = False

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

    def advance(self, position: float, heard: Sequence[Note], lead: float) -> Ask | None:
        """Time has come to a position; what has to be composed, `lead` steps before the end of a call."""
        if self.state is State.ANSWER and position >= self.last * self.steps:
            self.state = State.WAITING
            if self._has_pickup:
                self._call(self.last, [])
        if self.state is not State.CALL or self._waits_for or position < self.asks_at(lead):
            return None
        self._played = [*self._played, *range(self.first, self.last)][-self.memory :]
        self.asked = self._waits_for = self.asked + 1
        return Ask(self.asked, self._bars(heard), self.bars)

    def answered(self, number: int, bars: np.ndarray, position: float, soon: float, velocity: int) -> Answer | None:
        """An answer, uint8 (n, T), is there; None where nobody waits for it any more.

        Args:
          soon: SOON in steps.
          velocity: of its notes.
        """
        if number != self._waits_for:
            return None
        call = self.last
        self.first = max(call, math.ceil((position - soon) / self.steps))
        self.last = self.first + len(bars)
        self.state, self._waits_for, self._has_pickup = State.ANSWER, 0, False
        self._played += range(self.first, self.last)
        at = self.first * self.steps
        found = zip(*tokens_to_notes(bars_to_tokens(bars)), strict=True)
        notes = [Note(at + int(a), at + int(b), at + int(b), int(pitch), velocity) for a, b, pitch in found]
        self.answers += notes
        return Answer(notes, self.first - call)

    def refused(self, number: int) -> None:
        """There is no answer of this number: the musician may play again."""
        if number == self._waits_for:
            self.state, self._waits_for = State.WAITING, 0

    def stop(self, position: float) -> None:
        """The clock stands still: whatever was going on is over."""
        self.answers = [_until(note, position) for note in self.answers if note.start < position]
        self.state, self._waits_for, self._has_pickup = State.WAITING, 0, False

    def asks_at(self, lead: float) -> float:
        """The position at which the answer of this call is asked for; never before its last bar."""
        return self.last * self.steps - min(lead, self.steps)

    def _call(self, first: int, before: list[int]) -> None:
        self._played += [bar for bar in before if bar not in self._played]
        self.first, self.last = first, first + self.bars
        self.state, self._waits_for, self._has_pickup = State.CALL, 0, False

    def _bars(self, heard: Sequence[Note]) -> np.ndarray:
        """What both played in the bars of the turns."""
        begin = self._played[0]
        recent = [_since(notes, begin * self.steps - 1) for notes in (heard, self.answers)]
        bars = as_bars(recent, begin, self.last - begin, self.steps)
        return bars[[bar - begin for bar in self._played]]


def _until(note: Note, position: float) -> Note:
    """The note, broken off at a position."""
    return note._replace(up=min(note.up, position), end=min(note.end, position))


def _since(notes: Sequence[Note], position: float) -> list[Note]:
    """Those that begin at a position or later; notes: in the order in which they begin."""
    first = len(notes)
    while first and notes[first - 1].start >= position:
        first -= 1
    return list(notes[first:])
