"""Times -> positions in the music: at a tempo of its own, or by the MIDI clock of another device.

A time is one of `time.monotonic()`, in seconds. A position is in steps of the bars' grid (music/grid.py), from the
first bar line, and is no whole number. Nothing here looks at a clock.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

PULSES = 24  # of MIDI clock in a quarter
WINDOW = 24  # intervals between pulses by which tempo and position are estimated
CHANGED = 4  # pulses in a row, all early or all late by more than both of these: another tempo, and no jitter
STRAY, JITTER = 0.2, 0.004  # of a pulse; seconds
LOST = 2.0  # seconds without a pulse after which a running clock is taken for gone


class Line(NamedTuple):
    """A steady tempo: the position is a linear function of the time."""

    origin: float  # the time of position 0
    step: float  # seconds

    def position(self, time: float) -> float:
        """In steps."""
        return (time - self.origin) / self.step

    def time(self, position: float) -> float:
        """In seconds."""
        return self.origin + position * self.step

    def tempo(self, quarter: int) -> float:
        """Quarters a minute, of so many steps each."""
        return 60 / (self.step * quarter)


def steady(tempo: float, quarter: int, origin: float) -> Line:
    """The line of a tempo in quarters a minute, of so many steps each, that begins at a time."""
    return Line(origin, 60 / (tempo * quarter))


class Follower:
    """Follows MIDI clock: `line` is None while it stands still.

    Start begins at a bar line, Continue goes on where it was, a song position is counted in sixteenths (MIDI 1.0,
    "System Real Time"). Positions only ever grow, so that what was played stays where it was: after a start they go on
    from a bar line that has not been reached yet.
    """

    def __init__(self, steps: int, quarter: int, tempo: float) -> None:
        self.steps, self.quarter = steps, quarter
        self.line: Line | None = None
        self._pulse = 60 / (tempo * PULSES)  # seconds; a guess until two pulses have come
        self._times: deque[float] = deque(maxlen=WINDOW + 1)
        self._is_running = False
        self._next = 0  # the number of the next pulse of the song
        self._base = 0.0  # the position of pulse 0

    def hear(self, kind: str, time: float, sixteenths: int = 0) -> None:
        """A message of the clock, by mido's name of its type; others mean nothing."""
        match kind:
            case "clock":
                self._tick(time)
            case "start":
                self._begin(time, 0)
            case "continue":
                self._is_running = True
            case "stop":
                self._stop(time)
            case "songpos":
                self._begin(time, sixteenths * PULSES // 4, self._is_running)

    def is_lost(self, time: float) -> bool:
        """Whether a clock that runs has not been heard for LOST."""
        return self.line is not None and time - self._times[-1] > LOST

    def _begin(self, time: float, pulse: int, runs: bool = True) -> None:
        reached = self._base + self._next * self._per_pulse
        if self.line is not None:
            reached = max(reached, self.line.position(time))
        within = pulse * self._per_pulse % self.steps
        self._base = -(-(reached - 1e-6) // self.steps) * self.steps + within - pulse * self._per_pulse
        self._next, self._is_running = pulse, runs
        self.line = None

    def _stop(self, time: float) -> None:
        self._is_running, self.line = False, None

    def _tick(self, time: float) -> None:
        if self._times and time - self._times[-1] > LOST:
            self._times.clear()
        self._times.append(time)
        if _has_strayed(np.array(self._times)):
            self._times = deque(list(self._times)[-CHANGED:], maxlen=WINDOW + 1)
        latest = time
        if len(self._times) > 1:
            self._pulse, mean = _straight(np.array(self._times))
            latest = mean + self._pulse * (len(self._times) - 1) / 2
        if not self._is_running:
            return
        seconds = self._pulse / self._per_pulse
        self.line = Line(latest - (self._base + self._next * self._per_pulse) * seconds, seconds)
        self._next += 1

    @property
    def _per_pulse(self) -> float:
        return self.quarter / PULSES


def _has_strayed(times: np.ndarray) -> bool:
    """Whether the latest pulses all came too early, or too late, for the straight line through those before them."""
    before = len(times) - CHANGED
    if before < CHANGED:
        return False
    pulse, mean = _straight(times[:before])
    due = mean + pulse * (np.arange(before, len(times)) - (before - 1) / 2)
    stray, allowed = times[before:] - due, max(STRAY * pulse, JITTER)
    return bool(stray.min() > allowed or stray.max() < -allowed)


def _straight(times: np.ndarray) -> tuple[float, float]:
    """Slope and mean of the line of least squares through equally spaced times, (n,), n >= 2."""
    away = np.arange(len(times)) - (len(times) - 1) / 2
    return max(float(away @ times / (away @ away)), 1e-4), float(times.mean())
