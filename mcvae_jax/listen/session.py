"""One evening with a musician: what comes in, whose turn it is, what goes out, until somebody ends it."""

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import mido
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.listen.beats import bar_events
from mcvae_jax.listen.clock import Follower, Line, steady
from mcvae_jax.listen.hearing import Hearing
from mcvae_jax.listen.manner import IN, OUT, Manner
from mcvae_jax.listen.player import ANSWER, BEAT, THRU, Player
from mcvae_jax.listen.ports import PortLost, Ports, lost
from mcvae_jax.listen.turns import Answer, Ask, Turns, ahead
from mcvae_jax.listen.voice import Voice, as_messages

Compose = Callable[[np.ndarray, int, int], np.ndarray]  # bars (n, T), how many are wanted, a number -> bars
Say = Callable[[str], None]

CLOCK = ("clock", "start", "stop", "continue", "songpos")  # messages of MIDI clock
AHEAD = 0.5  # seconds before a bar begins when its clicks and its clock are scheduled
LOOKS = 2.0  # seconds between two looks at whether the ports are still there
LEAD_IN = 0.5  # seconds before the first click


class Session:
    """Plays on two ports until it is stopped."""

    def __init__(self, ports: Ports, names: tuple[str, str], manner: Manner, compose: Compose, say: Say) -> None:
        self.manner, self.compose, self.say, self.ports, self.names = manner, compose, say, ports, names
        self.hearing = Hearing(manner.heard)
        self.turns = Turns(manner.steps, manner.beat, manner.bars, manner.memory, manner.breaks_off)
        self.seconds = 0.0  # that the last answer took
        self.line: Line | None = None
        self.tempo = manner.tempo
        self._follower = Follower(manner.steps, manner.quarter, manner.tempo)
        self._events: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._bar = 0  # the next bar whose beats are to be scheduled
        self._looks_at = 0.0
        self._has_echo = False
        self.voice = Voice(ports.open_out(names[1]))
        self.player = Player(self.voice, self.fail)

    def run(self) -> None:
        """Plays; ends by an exception alone: Stopped, PortLost, or whatever went wrong. No note sounds after it."""
        try:
            source = self.ports.open_in(self.names[0], self._arrived)
            try:
                self._play()
            finally:
                source.close()
        finally:
            self.close()
            self.voice.port.close()

    def close(self) -> None:
        """Ends every note at once, stops the clock that is sent, and ends what is written of notes."""
        self.voice.close([mido.Message("stop")] if self.manner.clock == OUT and self.line else [])
        self.player.end()
        if self.line is not None:
            position = self.line.position(time.monotonic())
            self.hearing.fall_silent(position)
            self.turns.stop(position)
        self._asked.put(None)

    def punctuality(self) -> str:
        """How exactly messages went out, for people; '' where none did."""
        late = sorted(1000 * seconds for _, seconds in self.player.lateness)
        if not late:
            return ""
        left_out = f"; {self.player.stale:,} notes came so late that they were left out" if self.player.stale else ""
        half, all_of_it = late[len(late) // 2], late[-1]
        return f"Half of what I sent went out within {half:.1f} ms, all of it within {all_of_it:.0f} ms{left_out}."

    def _play(self) -> None:
        self.player.start()
        threading.Thread(target=self._answer_all, daemon=True, name="answerer").start()
        if self.manner.program:
            change = mido.Message("program_change", channel=self.manner.channel - 1, program=self.manner.program - 1)
            self.voice.send(change, ANSWER)
        if self.manner.click and self.manner.clock != IN:
            self.start(time.monotonic() + LEAD_IN)
        while True:
            try:
                act, given = self._events.get(timeout=self._patience(time.monotonic()))
                act(*given)
            except queue.Empty:
                pass
            self._advance(time.monotonic())

    def _arrived(self, when: float, message: mido.Message) -> None:
        """From the port's own thread: what is played goes on at once, all else is the main thread's."""
        try:
            if self.voice.is_echo(message):
                self._events.put((self._tell_echo, ()))
                return
            if self.manner.thru and hasattr(message, "channel"):
                self.voice.send(message, THRU)
        except Exception as error:
            self.fail(error)
        self._events.put((self._hear, (when, message)))

    def _tell_echo(self) -> None:
        """Once."""
        if not self._has_echo:
            self._has_echo = True
            self.say(f"What I play on {self.names[1]} comes back on {self.names[0]}; I do not listen to it.")

    def fail(self, error: Exception) -> None:
        """Ends `run` by this error, from any thread."""
        self._events.put((_raise, (error,)))

    def _hear(self, when: float, message: mido.Message) -> None:
        if message.type in CLOCK:
            if self.manner.clock == IN:
                self._follow(when, message)
            return
        begins = message.type == "note_on" and message.velocity and message.channel in self.manner.heard
        if self.line is None and begins and self.manner.clock != IN:
            self.start(when)  # the first note is a downbeat
        if self.line is None:
            return
        position = self.line.position(when)
        self._turn(position)
        note = self.hearing.hear(message, position)
        if note is not None and self.turns.begins(note.start):
            self.player.drop(ANSWER)
            self.say("You play: the answer stops. Your call begins with this bar.")

    def start(self, when: float) -> None:
        """The first bar line is at a time, at the tempo of the manner."""
        self.line = steady(self.manner.tempo, self.manner.quarter, when)
        self.player.follow(self.line)
        if self.manner.clock == OUT:
            self.player.add(BEAT, [(0.0, mido.Message("start"))])

    def _follow(self, when: float, message: mido.Message) -> None:
        """The clock of another device."""
        before = self.line
        self._follower.hear(message.type, when, getattr(message, "pos", 0))
        if before is not None and self._follower.line is None:
            self._stand_still(before.position(when))
        self.line = self._follower.line
        if before is None and self.line is not None:
            position = self.line.position(when)
            self._bar = math.ceil(position / self.manner.steps - 0.01)
            self.say(f"The clock runs, at {self.line.tempo(self.manner.quarter):.0f} quarters a minute.")
        if self.line is not None:
            self.tempo = self.line.tempo(self.manner.quarter)
        self.player.follow(self.line)

    def _stand_still(self, position: float) -> None:
        self.hearing.fall_silent(position)
        self.turns.stop(position)
        self.player.follow(None)
        self.player.drop()
        self.say("The clock stands still.")

    def _advance(self, now: float) -> None:
        if now >= self._looks_at:
            self._looks_at = now + LOOKS
            self._look(now)
        if self.line is None:
            return
        position = self.line.position(now)
        self._turn(position)
        self._bar = max(self._bar, math.floor(position / self.manner.steps))  # the machine may have slept
        while self.line.time(self._bar * self.manner.steps) < now + AHEAD:
            self.player.add(BEAT, bar_events(self._bar * self.manner.steps, self.manner))
            self._bar += 1

    def _turn(self, position: float) -> None:
        """What is due by this position."""
        line = self.line
        assert line is not None
        due = self.turns.advance(position, self.hearing.notes, ahead(self.seconds, line.step))
        if isinstance(due, Ask):
            self._asked.put(due)
        elif isinstance(due, Answer):
            self.player.add(ANSWER, as_messages(due.notes, self.manner.channel - 1))
            late = f", late by {due.late} bar{'s' * (due.late > 1)}" if due.late else ""
            self.say(f"Answer {due.number}{late}." if due.notes else f"Answer {due.number}{late}: silence.")

    def _look(self, now: float) -> None:
        """PortLost where a port is not there any more; a clock that has gone stands still."""
        for name, names in zip(self.names, self.ports.names(), strict=True):
            if name not in names:
                raise PortLost(lost(name))
        if self._follower.is_lost(now) and self.line is not None:
            self._follower.hear("stop", now)
            self._stand_still(self.line.position(now))
            self.line = None

    def _patience(self, now: float) -> float:
        """Seconds until something is due."""
        times = [self._looks_at]
        if self.line is not None:
            times.append(self.line.time(self._bar * self.manner.steps) - AHEAD)
            at = self.turns.wakes_at(self.line.position(now), ahead(self.seconds, self.line.step))
            if at is not None:
                times.append(self.line.time(at))
        return max(0.001, min(times) - now)

    def _answer_all(self) -> None:
        """The thread that composes."""
        while (ask := self._asked.get()) is not None:
            started = time.monotonic()
            try:
                bars = self.compose(ask.bars, ask.wanted, ask.number)
            except UserError as error:
                self._events.put((self._refused, (ask.number, str(error))))
            except Exception as error:
                self.fail(error)
            else:
                self._events.put((self._answered, (ask.number, bars, time.monotonic() - started)))

    def _refused(self, number: int, why: str) -> None:
        self.turns.refused(number)
        self.say(f"No answer to this: {why}")

    def _answered(self, number: int, bars: np.ndarray, seconds: float) -> None:
        self.seconds = seconds
        self.turns.answered(number, bars)


def _raise(error: Exception) -> None:
    raise error
