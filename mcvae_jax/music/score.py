"""What every reader of music returns: notes in ticks, with the metre and tempo that the file states."""

import enum
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Track(NamedTuple):
    """One track (or staff) of a score; notes are sorted by onset. N is the number of notes."""

    name: str
    channel: int  # MIDI channel 0-15; -1 where the source has none or the reader was not asked for it
    is_drum: bool
    start: np.ndarray  # int64 (N,), ticks
    end: np.ndarray  # int64 (N,), ticks
    pitch: np.ndarray  # int64 (N,), MIDI pitch 0-127


class Score(NamedTuple):
    """A piece of music as its file tells it; only tracks that hold notes are listed."""

    tracks: tuple[Track, ...]
    ticks_per_quarter: int
    time_signatures: np.ndarray  # int64 (M, 3): tick, numerator, denominator; empty where none is stated
    tempos: np.ndarray  # float64 (M, 2): tick, quarter notes per minute; empty where none is stated
    keys: tuple[tuple[int, str], ...] = ()  # tick and name ('G', 'Em'); empty where none is stated
    title: str = ""
    pickup: int = -1  # ticks before the first downbeat where the source states it (notation); -1: not stated
    left_out: int = 0  # notes of pickups after a bar that has no room for them (notation)
    remarks: tuple[str, ...] = ()  # what was not taken as it is written, in words for the user
    chords: tuple[tuple[int, str], ...] = ()  # tick and text of chord symbols (notation)


class Reason(enum.StrEnum):
    """Why a file or a song is skipped; the report counts by these."""

    UNREADABLE = "unreadable"
    BROKEN_LINK = "broken link"
    LINK_LOOP = "link to a folder above it"
    TOO_LARGE = "file too large"
    EMPTY = "empty file"
    NOT_MUSIC = "not a music file"
    DAMAGED = "damaged or truncated"
    NOT_UNDERSTOOD = "notation that is not understood"
    SMPTE = "SMPTE time division"
    TOO_MANY_TRACKS = "too many tracks"
    TOO_LONG = "too long"
    NO_NOTES = "no notes"
    DRUMS_ONLY = "drums only"
    NO_MELODY = "no such melody track"
    NO_NOTES_IN_RANGE = "no notes in the pitch range"
    METRE = "metre does not fill the bar"
    MIXED_METRES = "metre changes off the bar line"
    OFF_GRID = "too many onsets off the grid"
    NO_PULSE = "a performance without a steady pulse"
    CRASHED = "crashed the reader"
    TOO_SLOW = "took too long to read"
    TOO_MUCH_MEMORY = "took too much memory to read"
    LINK = "link or device in an archive"
    NESTED = "archive within the source"


class Skip(Exception):
    """A file or song that cannot be used; the run goes on without it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is that of memory: readers give names of their own to what they meet."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None


def columns(tracks: Sequence[Track]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and pitch of the notes of all `tracks`, one track after the other."""
    start, end, pitch = (np.concatenate([getattr(t, name) for t in tracks]) for name in Track._fields[3:])
    return start, end, pitch


def merge(tracks: Sequence[Track]) -> Track:
    """The notes of all `tracks`, at least one, under the name and channel of the first."""
    if len(tracks) == 1:
        return tracks[0]
    start, end, pitch = columns(tracks)
    order = np.argsort(start, kind="stable")
    return tracks[0]._replace(start=start[order], end=end[order], pitch=pitch[order])
