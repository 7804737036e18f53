"""Sends messages when they are due, and never leaves a note sounding."""

import contextlib
import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import mido

from mcvae_jax.listen.clock import Line
from mcvae_jax.listen.hearing import SUSTAIN, Note
from mcvae_jax.listen.ports import OutPort

ALL_NOTES_OFF = 123  # the controller
STALE = 0.25  # seconds after which a note is not begun any more: the machine slept, or the process was halted
_PATIENCE = 0.5  # seconds that ending all notes waits for who is sending


THRU, ANSWER, BEAT = "thru", "answer", "beat"  # who sends
OWNERS = (ANSWER, BEAT)  # whose messages are scheduled


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


class Voice:
    """An out port that knows what sounds on it; any thread may send.

    Each note_on is followed by its note_off before the next one of its pitch and channel, whatever is sent here.
    """

    def __init__(self, port: OutPort) -> None:
        self.port = port
        self._sounding: dict[tuple[int, int], str] = {}  # channel and pitch -> owner
        self._pedals: set[int] = set()  # channels with the pedal down
        self._channels: set[int] = set()  # on which notes were sent
        self._is_closed = False
        self._lock = threading.RLock()

    def send(self, message: mido.Message, owner: str) -> None:
        """Sends it at once; a note_on after `close` is not sent. Raises PortLost."""
        with self._lock:
            if self._is_closed:
                return
            key = (message.channel, message.note) if message.type in ("note_on", "note_off") else None
            if key and message.type == "note_on" and message.velocity:
                if key in self._sounding:
                    self.port.send(_off(*key))
                self._channels.add(message.channel)
                self._sounding[key] = owner  # before it is sent: if this is broken off, the note is ended all the same
            elif key and self._sounding.get(key, owner) != owner:
                return  # the key has been struck again since, by another
            self.port.send(message)
            if key and (message.type == "note_off" or not message.velocity):
                self._sounding.pop(key, None)
            if message.is_cc(SUSTAIN):
                (self._pedals.add if message.value else self._pedals.discard)(message.channel)

    def hush(self, owner: str) -> None:
        """Ends the notes of an owner. Raises PortLost."""
        with self._lock:
            for key in [key for key, whose in self._sounding.items() if whose == owner]:
                self.send(_off(*key), owner)

    def close(self) -> None:
        """Ends every note, lets pedals up, and sends nothing any more; also where the port has gone."""
        with self._held():
            if self._is_closed and not self._sounding:
                return
            self._is_closed = True
            ends = [_off(*key) for key in list(self._sounding)]
            ends += [_control(channel, SUSTAIN) for channel in list(self._pedals)]
            ends += [_control(channel, ALL_NOTES_OFF) for channel in list(self._channels)]
            for message in ends:
                with contextlib.suppress(Exception):
                    self.port.send(message)
            self._sounding.clear()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """The lock, or none where its holder does not let go: at the end all that can be sent is."""
        has = self._lock.acquire(timeout=_PATIENCE)
        try:
            yield
        finally:
            if has:
                self._lock.release()


class Player(threading.Thread):
    """Sends what is scheduled, at the times of the present line."""

    def __init__(self, voice: Voice, failed: Callable[[Exception], None]) -> None:
        super().__init__(daemon=True, name="player")
        self.voice = voice
        self.line: Line | None = None
        self.stale = 0  # notes that were left out
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
        """Sends nothing any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

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
            begins = event.message.type == "note_on"
            if begins and now - self.line.time(event.position) > STALE:
                self.stale += 1
                continue
            self.voice.send(event.message, event.owner)


def as_messages(notes: Iterable[Note], channel: int) -> list[tuple[float, mido.Message]]:
    """What plays notes on a channel, from 0, with the positions."""
    messages = []
    for note in notes:
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
        messages += [(note.start, on), (note.end, _off(channel, note.pitch))]
    return messages


def _off(channel: int, pitch: int) -> mido.Message:
    return mido.Message("note_off", channel=channel, note=pitch, velocity=0)


def _control(channel: int, control: int) -> mido.Message:
    return mido.Message("control_change", channel=channel, control=control, value=0)
