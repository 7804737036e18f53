"""What every reader of music returns: tracks of notes in ticks, with the metre and tempo that the file states."""

from typing import NamedTuple

import numpy as np


class Track(NamedTuple):
    """One track (or staff) of a score; notes are sorted by onset, then pitch. N is the number of notes."""

    name: str
    channel: int  # MIDI channel 0-15; -1 where the source has none
    is_drum: bool
    start: np.ndarray  # int64 (N,), ticks
    end: np.ndarray  # int64 (N,), ticks
    pitch: np.ndarray  # int64 (N,), MIDI pitch 0-127


class Score(NamedTuple):
    """A piece of music as its file tells it."""

    tracks: tuple[Track, ...]
    ticks_per_quarter: int
    time_signatures: np.ndarray  # int64 (M, 3): tick, numerator, denominator; empty where none is stated
    tempos: np.ndarray  # float64 (M, 2): tick, quarter notes per minute; empty where none is stated
    keys: tuple[tuple[int, str], ...] = ()  # tick and name ('G', 'Em'); empty where none is stated
    title: str = ""
    pickup: int = -1  # ticks before the first downbeat where the source states it (notation); -1: not stated
