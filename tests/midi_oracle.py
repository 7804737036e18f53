"""An independent reader of MIDI (mido, plain Python) and a writer of raw bytes, for the tests and the
benchmark."""

import io
import struct
from collections import defaultdict, deque
from collections.abc import Iterable

import mido

Note = tuple[int, int, int]  # start and end in ticks, pitch


def read_notes(data: bytes) -> list[tuple[int, list[Note]]]:
    """Channel and sorted notes of every channel, of every track chunk, that has notes.

    First in, first out: a note-off ends the oldest sounding note of its channel and pitch.
    """
    tracks = []
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        tick = 0
        sounding: dict[tuple[int, int], deque[int]] = defaultdict(deque)
        notes: dict[int, list[Note]] = defaultdict(list)
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                sounding[message.channel, message.note].append(tick)
            elif message.type in ("note_on", "note_off") and sounding[message.channel, message.note]:
                start = sounding[message.channel, message.note].popleft()
                notes[message.channel].append((start, tick, message.note))
        tracks += [(channel, sorted(notes[channel])) for channel in sorted(notes)]
    return tracks


def variable_length(value: int) -> bytes:
    """A number in MIDI's variable length."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def chunk(events: Iterable[tuple[int, bytes]]) -> bytes:
    """A track chunk of (delta ticks, message bytes), with its end."""
    body = b"".join(variable_length(delta) + message for delta, message in events) + b"\0\xff\x2f\0"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi(*chunks: bytes, division: int = 480, tracks: int | None = None, kind: int = 1) -> bytes:
    """A MIDI file; `tracks` is what its header claims."""
    return (
        b"MThd" + struct.pack(">IHHH", 6, kind, len(chunks) if tracks is None else tracks, division) + b"".join(chunks)
    )


def on(pitch: int, channel: int = 0, velocity: int = 80) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, 0])


def program(number: int, channel: int = 0) -> bytes:
    return bytes([0xC0 | channel, number])


def name(text: bytes) -> bytes:
    return b"\xff\x03" + variable_length(len(text)) + text


def melody(pitches: Iterable[int], length: int = 240, channel: int = 0) -> bytes:
    """A track chunk of one note after the other, each `length` ticks."""
    return chunk(event for p in pitches for event in ((0, on(p, channel)), (length, off(p, channel))))
