"""MIDI bytes -> Score (symusic) and Score -> MIDI file (mido): the only file that reads or writes MIDI.

A track here is the notes of one channel in one track chunk. Notes are paired first in, first out: a note-off
(or a note-on of velocity 0) ends the oldest sounding note of its pitch. A note-on that nothing ends is no
note; a note-off at the tick of its note-on makes a note of zero ticks, which the grid then gives one step.
"""

import itertools
import os
import re
import struct
from collections import defaultdict
from collections.abc import Sequence

import mido
import numpy as np
import symusic

from mcvae_jax.music.score import Reason, Score, Skip, Track

MAX_BYTES = 4 << 20  # bounds a file to about 200 MB of memory and 2 s
MAX_TRACKS = 1024
_MAJOR_KEYS = tuple("Cb Gb Db Ab Eb Bb F C G D A E B F# C#".split())  # by sharps, from -7 to 7
_MINOR_KEYS = tuple(f"{tonic}m" for tonic in "Ab Eb Bb F C G D A E B F# C# G# D# A#".split())
_KEY_COLUMNS = ("time", "key", "tonality")
_PROGRAM, _PRESSURE = 0xC0, 0xD0  # the two kinds of channel message with one data byte
_TEMPO = re.compile(rb"\xff\x51\x03.{3}", re.DOTALL)

_Event = tuple[int, mido.Message | mido.MetaMessage]  # with its tick


def read_midi(data: bytes, channels: bool = False) -> Score:
    """The score that the bytes of a MIDI file hold.

    Args: channels fills in Track.channel, which costs a second pass over the bytes.
    Raises Skip with its reason; nothing else.
    """
    ticks_per_quarter = _check_header(data)
    parsed = _parse(data)
    numbers: list[int] | None = None
    if channels or _may_overflow(data) or _may_split(parsed, data):
        try:
            numbers, plain = _walk(data)
        except (IndexError, struct.error):  # damaged in a way that symusic forgives
            pass
        else:
            parsed = _parse(plain)
    tracks = [_track(track) for track in parsed.tracks if len(track.notes)]
    if not tracks:
        raise Skip(Reason.NO_NOTES)
    if any(track.start.min() < 0 or track.end.min() < 0 for track in tracks):
        raise Skip(Reason.TOO_LONG, "a note beyond tick 2^31")
    if numbers is not None and len(numbers) == len(tracks):
        tracks = [track._replace(channel=channel) for track, channel in zip(tracks, numbers, strict=True)]
    return Score(
        tracks=tuple(tracks),
        ticks_per_quarter=ticks_per_quarter,
        time_signatures=_time_signatures(parsed),
        tempos=_tempos(parsed),
        keys=_keys(parsed),
        title=tracks[0].name if len(tracks) == 1 else "",
    )


def _check_header(data: bytes) -> int:
    """Ticks per quarter, after the checks that need no parsing."""
    if not data:
        raise Skip(Reason.EMPTY)
    if len(data) > MAX_BYTES:
        raise Skip(Reason.TOO_LARGE, f"{len(data):,} bytes, over {MAX_BYTES:,}")
    if not data.startswith(b"MThd"):
        raise Skip(Reason.NOT_MUSIC, "no MIDI header")
    if len(data) < 14:
        raise Skip(Reason.DAMAGED, "the header ends early")
    _, tracks, division = struct.unpack_from(">HHH", data, 8)
    if tracks > MAX_TRACKS:
        raise Skip(Reason.TOO_MANY_TRACKS, f"{tracks:,}, over {MAX_TRACKS:,}")
    if division & 0x8000:
        raise Skip(Reason.SMPTE, "ticks are not parts of a quarter")
    if division == 0:
        raise Skip(Reason.DAMAGED, "zero ticks per quarter")
    return division


def _parse(data: bytes) -> symusic.core.ScoreTick:
    try:
        return symusic.Score.from_midi(data)
    except Exception as error:  # symusic raises RuntimeError, ValueError and others
        raise Skip(Reason.DAMAGED, str(error).splitlines()[0][:200]) from error


def _track(track) -> Track:
    notes = track.notes.numpy()
    start = notes["time"].astype(np.int64)
    return Track(
        name=track.name.strip("\0 "),
        channel=-1,
        is_drum=track.is_drum,
        start=start,
        end=start + notes["duration"],
        pitch=notes["pitch"].astype(np.int64),
    )


def _time_signatures(parsed) -> np.ndarray:
    columns = parsed.time_signatures.numpy()
    table = np.stack([columns[k].astype(np.int64) for k in ("time", "numerator", "denominator")], axis=1)
    return table[(table[:, 1] > 0) & (table[:, 2] > 0)]


def _tempos(parsed) -> np.ndarray:
    columns = parsed.tempos.numpy()
    stated = columns["mspq"] > 0
    return np.stack([columns["time"][stated].astype(float), 60e6 / columns["mspq"][stated]], axis=1)


def _keys(parsed) -> tuple[tuple[int, str], ...]:
    columns = parsed.key_signatures.numpy()
    return tuple(
        (time, (_MINOR_KEYS if minor else _MAJOR_KEYS)[sharps + 7])
        for time, sharps, minor in zip(*(columns[k].tolist() for k in _KEY_COLUMNS), strict=True)
        if -7 <= sharps <= 7
    )


def _may_overflow(data: bytes) -> bool:
    """Whether a track may pass tick 2^31, where symusic's counter wraps round without a word."""
    return _most_ticks(data) >= 1 << 31 and _most_ticks(_TEMPO.sub(b"", data)) >= 1 << 31


def _most_ticks(data: bytes) -> int:
    """No less than the ticks of all tracks together: a delta of n bytes has n - 1 that are 128 or more."""
    high = np.frombuffer(data, np.uint8) >= 128
    high2 = high[1:] & high[:-1]
    high3 = high2[1:] & high2[:-1]
    return (len(data) << 14) + (np.count_nonzero(high2) << 21) + (np.count_nonzero(high3) << 28)


def _may_split(parsed, data: bytes) -> bool:
    """Whether symusic may have cut a channel's notes in two because its program changes.

    It orders the tracks of a chunk, which share a name, by channel, then by program, which is 0 until set.
    """
    pairs = [(a.program, b.program) for a, b in itertools.pairwise(parsed.tracks) if a.name == b.name]
    pairs = [(a, b) for a, b in pairs if a < b]
    if not pairs:
        return False
    values = np.frombuffer(data, np.uint8)
    at = np.flatnonzero((values[:-1] & 0xF0) == _PROGRAM)
    programs: dict[int, set[int]] = defaultdict(lambda: {0})
    for status, program in zip(values[at].tolist(), values[at + 1].tolist(), strict=True):
        programs[status].add(program)
    return any(a in of_channel and b in of_channel for of_channel in programs.values() for a, b in pairs)


def _walk(data: bytes) -> tuple[list[int], bytes]:
    """The channel of every track that holds notes, in symusic's order, and `data` with all programs set to 0.

    Raises Skip beyond tick 2^31, IndexError or struct.error where the bytes do not follow the format.
    """
    out = bytearray(data)
    channels: list[int] = []
    chunks = struct.unpack_from(">H", data, 10)[0]
    at = 8 + struct.unpack_from(">I", data, 4)[0]
    while chunks and at < len(data):
        kind, size = struct.unpack_from(">4sI", data, at)
        if kind == b"MTrk":
            chunks -= 1
            channels += sorted(_walk_track(out, at + 8, at + 8 + size))
        at += 8 + size
    return channels, bytes(out)


def _walk_track(data: bytearray, at: int, end: int) -> set[int]:
    """The channels with at least one finished note in data[at:end]; sets every program there to 0."""
    tick, status = 0, 0
    sounding: set[tuple[int, int]] = set()
    channels: set[int] = set()
    while at < end:
        delta, at = _variable_length(data, at)
        tick += delta
        if tick >= 1 << 31:
            raise Skip(Reason.TOO_LONG, "an event beyond tick 2^31")
        if data[at] >= 0xF0:
            meta = data[at] == 0xFF
            if meta and data[at + 1] == 0x2F:  # the end of the track
                break
            size, at = _variable_length(data, at + 1 + meta)
            at += size
            continue
        if data[at] >= 0x80:
            status, at = data[at], at + 1
        kind, channel = status & 0xF0, status & 0x0F
        if kind == _PROGRAM:
            data[at] = 0
        elif kind == 0x90 and data[at + 1]:
            sounding.add((channel, data[at]))
        elif kind in (0x80, 0x90) and (channel, data[at]) in sounding:
            channels.add(channel)
        at += 1 if kind in (_PROGRAM, _PRESSURE) else 2
    return channels


def _variable_length(data: bytearray, at: int) -> tuple[int, int]:
    """A number of MIDI's variable length at `at`, and where it ends."""
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at


def write_midi(
    path: str | os.PathLike,
    score: Score,
    markers: Sequence[tuple[int, str]] = (),
    programs: Sequence[int] = (),
) -> None:
    """Write `score` as a MIDI file of format 1; the same arguments give the same bytes.

    The first track chunk holds title, metre, keys, tempos and markers (tick, text); each track gets one of
    its own, on its channel (counted up, past the drums', where it has none), with its program (0 where none
    is given).
    """
    file = mido.MidiFile(type=1, ticks_per_beat=score.ticks_per_quarter, charset="utf-8")
    file.tracks.append(_messages(_conductor_events(score, markers)))
    free = [channel for channel in range(16) if channel != 9]
    for i, track in enumerate(score.tracks):
        channel = 9 if track.is_drum else track.channel if track.channel >= 0 else free[i % len(free)]
        program = programs[i] if i < len(programs) else 0
        file.tracks.append(_messages(_track_events(track, channel, program)))
    file.save(os.fspath(path))


def _conductor_events(score: Score, markers: Sequence[tuple[int, str]]) -> list[_Event]:
    events = [(0, mido.MetaMessage("track_name", name=score.title))] if score.title else []
    for tick, numerator, denominator in score.time_signatures.tolist():
        message = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        events.append((tick, message))
    events += [(tick, mido.MetaMessage("key_signature", key=name)) for tick, name in score.keys]
    for tick, quarters_per_minute in score.tempos.tolist():
        events.append((int(tick), mido.MetaMessage("set_tempo", tempo=round(60e6 / quarters_per_minute))))
    return events + [(tick, mido.MetaMessage("marker", text=text)) for tick, text in markers]


def _track_events(track: Track, channel: int, program: int) -> list[_Event]:
    events: list[_Event] = []
    for start, end, pitch in zip(track.start.tolist(), track.end.tolist(), track.pitch.tolist(), strict=True):
        events.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=80)))
        events.append((max(end, start + 1), mido.Message("note_off", channel=channel, note=pitch)))
    # at one tick, notes end before others start
    events.sort(key=lambda event: (event[0], event[1].type == "note_on", event[1].note))
    name = mido.MetaMessage("track_name", name=track.name)
    return [(0, name), (0, mido.Message("program_change", channel=channel, program=program)), *events]


def _messages(events: list[_Event]) -> mido.MidiTrack:
    """A track of `events`, each with its tick; events of one tick keep their order."""
    track = mido.MidiTrack()
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        message.time = tick - now  # the messages were made for this track; copying them would double the time
        track.append(message)
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
