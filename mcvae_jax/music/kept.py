"""A musician's own MIDI file as it is kept beside the bars that a model reads of it, and what is known of it.

`splice.py` puts composed bars into it.
"""

import io
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mido
import numpy as np

from mcvae_jax.music import midi_bytes
from mcvae_jax.music.midi import to_midi
from mcvae_jax.music.score import Score, Track
from mcvae_jax.text import printable

MAX_BYTES = 1 << 20  # of a file that is kept: mido takes seconds for more
DIVISIONS = (480, 960, 1440, 3360, 5040, 10080)  # ticks of a quarter, as many as the notes of a notation need
Voice = tuple[int, int]  # the number of a track chunk, and a channel in it
Event = tuple[int, mido.Message]  # with its tick


class NotKept(Exception):
    """A file cannot be written again as it was; the reason in words."""


class NoteOfFile(NamedTuple):
    """A note, by the places of its two messages among the events of its chunk."""

    start: int  # tick
    end: int  # tick
    pitch: int
    velocity: int
    on: int
    off: int


class Kept(NamedTuple):
    """The file, and where in it the melody and its bars stand. n is the number of bars."""

    data: bytes  # MIDI of format 0 or 1
    starts: np.ndarray  # int64 (n + 1,), the ticks at which the bars of the melody begin, and the last one ends
    voices: tuple[Voice, ...]  # which hold the melody; composed notes go into the first
    only: frozenset[tuple[int, int]] | None  # its notes there, (tick, pitch); None for all of them
    velocity: int  # the median of the melody's
    ends: bool = False  # whether the file ends with these bars, whatever follows

    def up_to(self, bars: int) -> "Kept":
        """The file as far as so many of its bars."""
        return self._replace(starts=self.starts[: bars + 1], ends=True)

    def is_melody(self, voice: Voice, note: NoteOfFile) -> bool:
        """Whether a note is one of the melody's."""
        return voice in self.voices and (self.only is None or (note.start, note.pitch) in self.only)


def keep_midi(data: bytes, piece: int, melody: Track, starts: np.ndarray) -> Kept:
    """Keeps a MIDI file, of format 2 that piece of it (from 0). Raises NotKept."""
    data = midi_bytes.find_header(data)
    header = midi_bytes.read_header(data)
    tracks = midi_bytes.find_tracks(data, header)
    if header.kind == 2:
        header, tracks = header._replace(kind=1), tracks[piece : piece + 1]
    return _keep(midi_bytes.with_tracks(data, header, tracks), melody, starts)


def keep_score(score: Score, melody: Track, starts: np.ndarray) -> Kept:
    """Keeps what was read of a notation, as a MIDI file of all its parts. Raises NotKept."""
    times = np.concatenate([np.append(track.start, track.end) for track in score.tracks])
    exact = [d for d in DIVISIONS if not np.any(times * d % score.ticks_per_quarter)]
    division = exact[0] if exact else DIVISIONS[-1]
    file = io.BytesIO()
    to_midi(_at(score, division)).save(file=file)
    melody = melody._replace(start=_scaled(melody.start, score, division))
    return _keep(file.getvalue(), melody, _scaled(starts, score, division))


def _scaled(ticks: np.ndarray, score: Score, division: int) -> np.ndarray:
    return np.rint(np.asarray(ticks) * (division / score.ticks_per_quarter)).astype(np.int64)


def _at(score: Score, division: int) -> Score:
    """The score in other ticks; a pickup is a short bar of its own, as notation programs write it."""
    signatures, scale = score.time_signatures.copy(), division / score.ticks_per_quarter
    if score.pickup > 0 and len(signatures) and signatures[0, 0] == 0 and not np.any(signatures[1:, 0] <= score.pickup):
        denominator = max(4, int(signatures[0, 2]))
        beats, rest = divmod(score.pickup * denominator, 4 * score.ticks_per_quarter)
        if beats and not rest:
            first = [[0, beats, denominator], [score.pickup, *signatures[0, 1:]]]
            signatures = np.concatenate([np.array(first), signatures[1:]])
    signatures[:, 0] = _scaled(signatures[:, 0], score, division)
    tempos = score.tempos.copy() if len(score.tempos) else np.array([[0.0, 110.0]])
    tempos[:, 0] = _scaled(tempos[:, 0], score, division)
    return score._replace(
        tracks=tuple(
            t._replace(start=_scaled(t.start, score, division), end=_scaled(t.end, score, division))
            for t in score.tracks
        ),
        ticks_per_quarter=division,
        time_signatures=signatures,
        tempos=tempos,
        keys=tuple((round(tick * scale), name) for tick, name in score.keys),
        chords=tuple((round(tick * scale), printable(text)) for tick, text in score.chords),
    )


def _keep(data: bytes, melody: Track, starts: np.ndarray) -> Kept:
    if len(data) > MAX_BYTES:
        raise NotKept(f"it has over {MAX_BYTES:,} bytes")
    wanted = sorted(zip(melody.start.tolist(), melody.pitch.tolist(), strict=True))
    places = frozenset(wanted)
    voices: list[tuple[int, Voice, list[int]]] = []
    for chunk, events in enumerate(events_of(parse(data))):
        for channel, notes in notes_of(events).items():
            if channel == 9 and not melody.is_drum:
                continue
            if sorted((note.start, note.pitch) for note in notes) == wanted:
                return Kept(data, starts, ((chunk, channel),), None, _middle([note.velocity for note in notes]))
            loud = [note.velocity for note in notes if (note.start, note.pitch) in places]
            voices.append((len(loud), (chunk, channel), loud))
    voices = sorted((row for row in voices if row[0]), key=lambda row: -row[0])
    if not voices:
        raise NotKept("its melody stands in none of its tracks")
    loud = [velocity for row in voices for velocity in row[2]]
    return Kept(data, starts, tuple(row[1] for row in voices), places, _middle(loud))


def parse(data: bytes) -> mido.MidiFile:
    """The file as mido has it, whose texts keep their bytes. Raises NotKept where mido cannot read it."""
    try:
        return mido.MidiFile(file=io.BytesIO(data), clip=True)
    except Exception as error:  # mido raises EOFError, OSError, ValueError, KeySignatureError and others
        raise NotKept(f"it is damaged ({type(error).__name__})") from error


def events_of(file: mido.MidiFile) -> Iterator[list[Event]]:
    """The messages of each track chunk with their ticks, without its end."""
    for track in file.tracks:
        now, events = 0, []
        for message in track:
            now += message.time
            if message.type != "end_of_track":
                events.append((now, message))
        yield events


def notes_of(events: Sequence[Event]) -> dict[int, list[NoteOfFile]]:
    """The finished notes of a chunk by channel, paired first in, first out."""
    found: dict[int, list[NoteOfFile]] = defaultdict(list)
    sounding: dict[Voice, deque[int]] = defaultdict(deque)
    for at, (tick, message) in enumerate(events):
        if message.type not in ("note_on", "note_off"):
            continue
        waiting = sounding[message.channel, message.note]
        if message.type == "note_on" and message.velocity:
            waiting.append(at)
        elif waiting:
            on = waiting.popleft()
            start, begin = events[on]
            found[message.channel].append(NoteOfFile(start, tick, message.note, begin.velocity, on, at))
    return found


def _middle(values: list[int]) -> int:
    return int(np.median(values))
