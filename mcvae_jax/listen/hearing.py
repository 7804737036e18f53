"""MIDI messages at positions -> notes, and notes -> bars as a model reads them. Positions are in steps (clock.py)."""

import bisect
import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import mido
import numpy as np

from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.melody import choose_melody
from mcvae_jax.music.score import Score, Track
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, notes_to_steps, steps_to_tokens

SUSTAIN, PEDAL_DOWN = 64, 64  # the controller, and the value from which the pedal counts as down
DRUMS = 9  # the channel of drums, from 0
LEGATO = 1.0  # steps by which a note may reach into the next one and is still one voice with it
_TICKS = 480  # of a step: as fine as a position has to be


class Note(NamedTuple):
    """A note that was heard or played."""

    start: float  # position
    up: float  # where its key was let go; infinite while it is down
    end: float  # where it fell silent: later than that under a pedal; infinite while it sounds
    pitch: int
    velocity: int


class Hearing:
    """What a musician plays, note by note."""

    def __init__(self, channels: Collection[int]) -> None:
        self.channels = channels  # that are heard, from 0
        self.notes: list[Note] = []  # in the order in which they began
        self._sounding: dict[tuple[int, int], int] = {}  # channel and pitch -> number of the note
        self._pedals: set[int] = set()  # channels whose pedal is down

    def hear(self, message: mido.Message, position: float) -> Note | None:
        """Takes a message that came at a position; the note that it begins, where it does."""
        if getattr(message, "channel", -1) not in self.channels:
            return None
        match message.type:
            case "note_on" if message.velocity:
                return self._begin(message, position)
            case "note_on" | "note_off":
                self._let_go(message, position)
            case "control_change" if message.control == SUSTAIN:
                self._pedal(message.channel, message.value >= PEDAL_DOWN, position)
        return None

    def fall_silent(self, position: float) -> None:
        """All that sounds ends here: the musician's port, or the clock, has gone."""
        self._pedals.clear()
        for key in list(self._sounding):
            self._end(key, position)

    def _begin(self, message: mido.Message, position: float) -> Note:
        key = message.channel, message.note
        if key in self._sounding:
            self._end(key, position)
        note = Note(position, math.inf, math.inf, message.note, message.velocity)
        self._sounding[key] = len(self.notes)
        self.notes.append(note)
        return note

    def _let_go(self, message: mido.Message, position: float) -> None:
        key = message.channel, message.note
        number = self._sounding.get(key)
        if number is None:
            return
        if self.notes[number].up == math.inf:
            self.notes[number] = self.notes[number]._replace(up=position)
        if message.channel not in self._pedals:
            self._end(key, position)

    def _pedal(self, channel: int, is_down: bool, position: float) -> None:
        if is_down:
            self._pedals.add(channel)
            return
        self._pedals.discard(channel)
        for key, number in list(self._sounding.items()):
            if key[0] == channel and self.notes[number].up < math.inf:
                self._end(key, position)

    def _end(self, key: tuple[int, int], position: float) -> None:
        number = self._sounding.pop(key)
        note = self.notes[number]
        self.notes[number] = note._replace(up=min(note.up, position), end=position)


def as_bars(voices: Iterable[Iterable[Note]], first: int, count: int, steps: int) -> np.ndarray:
    """The bars from number `first` on, uint8 (count, steps), of the one melody that voices make together.

    Onsets go to the nearest step, so that a note a little before a bar line belongs to the bar. Of notes of a voice
    that begin in a step the highest is the melody, and what begins under a higher key that is held is none of it.
    A note that reaches into the next by less than LEGATO, or by the pedal alone, ends there. Each onset cuts the note
    before it, of whichever voice; in one step the first voice wins. What sounds before the first bar is left out.
    """
    begin, end, grid = first * steps, (first + count) * steps, grid_of(steps)
    found: dict[int, tuple[int, int]] = {}  # first step -> end and pitch
    for notes in voices:
        near = sorted(note for note in notes if begin - 1 < note.start < end)
        for start, last, pitch in _melody(near, end, grid.quarter):
            if begin <= start < end:
                found.setdefault(start, (min(last, end), pitch))
    bars = np.full(count * steps, NO_EVENT, np.uint8)
    if found:
        starts, (ends, pitches) = np.array([*found]), np.array([*found.values()]).T
        tokens = steps_to_tokens(starts - begin, ends - begin, pitches)
        bars[: len(tokens)] = tokens
        if len(tokens) < len(bars):
            bars[len(tokens)] = NOTE_OFF
    return bars.reshape(count, steps)


def _melody(notes: Sequence[Note], until: float, quarter: int) -> list[tuple[int, int, int]]:
    """First step, end and pitch of the melody's notes; what still sounds lasts `until` a position."""
    if not notes:
        return []
    starts = [note.start for note in notes]
    up = [_without_legato(note, starts) for note in notes]
    first, held = _on_steps(starts, up, until, quarter)
    _, sounds = _on_steps(starts, [note.end for note in notes], until, quarter)
    pitch = np.array([note.pitch for note in notes], np.int64)
    order = np.argsort(first, kind="stable")
    track = Track("", 0, False, first[order], held[order], pitch[order])
    melody = choose_melody(Score((track,), quarter, np.empty((0, 3), np.int64), np.empty((0, 2))), "skyline")
    ends: dict[tuple[int, int], int] = {}
    for start, end, each in zip(first.tolist(), sounds.tolist(), pitch.tolist(), strict=True):
        ends[start, each] = max(end, ends.get((start, each), end))
    kept = zip(melody.start.tolist(), melody.pitch.tolist(), strict=True)
    return [(start, ends[start, each], each) for start, each in kept]


def _without_legato(note: Note, starts: list[float]) -> float:
    """Where its key was let go, or where the next note began shortly before that; starts: of all notes, in order."""
    following = bisect.bisect_right(starts, max(note.start + 0.5, note.up - LEGATO))
    return min(note.up, starts[following]) if following < len(starts) else note.up


def _on_steps(starts: list[float], ends: list[float], until: float, quarter: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps on which notes start, and at which they end."""
    start, end = (np.rint(_TICKS * np.minimum(each, until)).astype(np.int64) for each in (starts, ends))
    return notes_to_steps(start, end, _TICKS * quarter, quarter)
