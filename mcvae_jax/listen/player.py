"""Sends messages when they are due."""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import mido

from mcvae_jax.listen.clock import Line
from mcvae_jax.listen.voice import Voice

STALE = 0.25  # seconds after which notes and clock are left out: the machine slept, or the process was halted
THRU, ANSWER, BEAT = "thru", "answer", "beat"  # who sends
OWNERS = (ANSWER, BEAT)  # whose messages are scheduled
_PATIENCE = 0.1  # seconds


class Event(NamedTuple):
    """A message for a position; compared, notes end before others begin."""

    position: float  # steps
    rank: int
    number: int  # the order in which they were given
    owner: str
    message: mido.Message


class Schedule:
    """Messages by their positions, from several owners."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._number = 0

    def add(self, owner: str, events: Iterable[tuple[float, mido.Message]]) -> None:
        """Adds messages with their positions."""
        for position, message in events:
            self._number += 1
            rank = int(message.type == "note_on")
            heapq.heappush(self._events, Event(position, rank, self._number, owner, message))

    def drop(self, owner: str | None = None) -> None:
        """Takes away what an owner has not sent yet; of all owners, where none is named."""
        self._events = [event for event in self._events if owner is not None and event.owner != owner]
        heapq.heapify(self._events)

    @property
    def next(self) -> float | None:
        """The position of the next message."""
        return self._events[0].position if self._events else None

    def due(self, position: float) -> list[Event]:
        """Takes out what is due at a position, in order."""
        found = []
        while self._events and self._events[0].position <= position:
            found.append(heapq.heappop(self._events))
        return found


class Player(threading.Thread):
    """Sends what is scheduled, at the times of the present line."""

    def __init__(self, voice: Voice, failed: Callable[[Exception], None]) -> None:
        super().__init__(daemon=True, name="player")
        self.voice = voice
        self.line: Line | None = None
        self.stale = 0  # notes that were left out
        self.lateness: deque[tuple[str, float]] = deque(maxlen=100_000)  # owner, and seconds after the message was due
        self._failed, self._schedule = failed, Schedule()
        self._changed = threading.Condition()
        self._is_over = False

    def follow(self, line: Line | None) -> None:
        """From now on positions are at these times; None: nothing is due."""
        with self._changed:
            self.line = line
            self._changed.notify()

    def add(self, owner: str, events: Iterable[tuple[float, mido.Message]]) -> None:
        """Schedules messages with their positions."""
        with self._changed:
            self._schedule.add(owner, events)
            self._changed.notify()

    def drop(self, owner: str | None = None) -> None:
        """An owner falls silent, or all of them: what was scheduled is dropped and what sounds is ended."""
        with self._changed:
            self._schedule.drop(owner)
            for each in OWNERS if owner is None else (owner,):
                self.voice.hush(each)

    def end(self) -> None:
        """Sends nothing any more; does not wait for a port that is stuck."""
        self._is_over = True
        if self._changed.acquire(timeout=_PATIENCE):
            self._changed.notify()
            self._changed.release()

    def run(self) -> None:
        """What the thread does."""
        try:
            with self._changed:
                while not self._is_over:
                    self._changed.wait(self._seconds())
                    self._send(time.monotonic())
        except Exception as error:
            self._failed(error)

    def _seconds(self) -> float | None:
        """Until the next message is due; None: until something changes."""
        if self.line is None or self._schedule.next is None:
            return None
        return max(0.0, self.line.time(self._schedule.next) - time.monotonic())

    def _send(self, now: float) -> None:
        if self.line is None or self._is_over:
            return
        for event in self._schedule.due(self.line.position(now)):
            late = now - self.line.time(event.position)
            if event.message.type in ("note_on", "clock") and late > STALE:
                self.stale += event.message.type == "note_on"
                continue
            self.voice.send(event.message, event.owner)
            self.lateness.append((event.owner, late))
