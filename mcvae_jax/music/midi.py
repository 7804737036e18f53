"""MIDI bytes -> Score (symusic) and Score -> MIDI file (mido). Beside it kept.py and splice.py use mido.

A track here is the notes of one channel in one track chunk. Notes are paired first in, first out: a note-off
(or a note-on of velocity 0) ends the oldest sounding note of its pitch. A note-on that nothing ends is no
note; a note-off at the tick of its note-on makes a note of zero ticks, which the grid then gives one step.
"""

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Sequence

import mido
import numpy as np
from symusic.core import ScoreTick, TrackTick

from mcvae_jax.music import midi_bytes
from mcvae_jax.music.score import Reason, Score, Skip, Track

MAX_BYTES = 4 << 20  # bounds a file to about 200 MB of memory and 2 s
_MAJOR_KEYS = tuple("Cb Gb Db Ab Eb Bb F C G D A E B F# C#".split())  # by sharps, from -7 to 7
_MINOR_KEYS = tuple(f"{tonic}m" for tonic in "Ab Eb Bb F C G D A E B F# C# G# D# A#".split())
_KEY_COLUMNS = ("time", "key", "tonality")
_TEMPO = re.compile(rb"\xff\x51\x03.{3}", re.DOTALL)

_Event = tuple[int, mido.Message | mido.MetaMessage]  # with its tick


def read_midi_file(data: bytes, channels: bool = False) -> list[Score | Skip]:
    """The pieces of a MIDI file: one, or in format 2 as many as it has tracks, each its own metre, tempo and clock.

    Args and exceptions are those of read_midi.
    """
    data, header = _begin(data)
    if header.kind != 2:
        return [_read(data, header, channels)]
    header, tracks = header._replace(kind=1), midi_bytes.find_tracks(data, header)
    return [_read_or_skip(midi_bytes.with_tracks(data, header, [track]), channels) for track in tracks]


def read_midi(data: bytes, channels: bool = False) -> Score:
    """The score that the bytes of a MIDI file hold, all tracks together.

    Args: channels fills in Track.channel, which costs a second pass over the bytes.
    Raises Skip with its reason; nothing else.
    """
    return _read(*_begin(data), channels)


def _begin(data: bytes) -> tuple[bytes, midi_bytes.Header]:
    """A MIDI file from its header on, and what that says."""
    if len(data) > MAX_BYTES:
        raise Skip(Reason.TOO_LARGE, f"{len(data):,} bytes, over {MAX_BYTES:,}")
    data = midi_bytes.find_header(data)
    return data, midi_bytes.read_header(data)


def _read_or_skip(data: bytes, channels: bool) -> Score | Skip:
    try:
        return read_midi(data, channels)
    except Skip as skip:
        return skip


def _read(data: bytes, header: midi_bytes.Header, channels: bool) -> Score:
    """The score of a file that begins with its header."""
    tracks = midi_bytes.find_tracks(data, header)
    if header.size != 14 or len(tracks) > header.claimed:  # symusic would refuse it, or pass over tracks
        data = midi_bytes.with_tracks(data, header, tracks)
        header = midi_bytes.read_header(data)
        tracks = midi_bytes.find_tracks(data, header)
    numbers, parsed = _parse_tracks(data, header, tracks, channels)
    found = [_track(track) for track in parsed.tracks if len(track.notes)]
    if not found:
        raise Skip(Reason.NO_NOTES)
    if any(track.start.min() < 0 or track.end.min() < 0 for track in found):
        raise Skip(Reason.TOO_LONG, "a note beyond tick 2^31")
    if len(numbers) == len(found):
        found = [track._replace(channel=channel) for track, channel in zip(found, numbers, strict=True)]
    return Score(
        tracks=tuple(found),
        ticks_per_quarter=header.ticks_per_quarter,
        time_signatures=_time_signatures(parsed),
        tempos=_tempos(parsed),
        keys=_keys(parsed),
        title=found[0].name if len(found) == 1 else "",
    )


def _parse_tracks(
    data: bytes, header: midi_bytes.Header, tracks: list[midi_bytes.Span], channels: bool
) -> tuple[list[int], ScoreTick]:
    """What symusic reads, of bytes written anew where it would misread these, and then the channels of its tracks."""
    parsed, damage = None, None
    try:
        parsed = _parse(data)
    except Skip as skip:
        damage = skip
    has_packets = midi_bytes.has_packets(data, tracks)  # asked when the bytes are in the processor's cache
    if damage and not has_packets:
        raise damage
    if parsed is None or has_packets or channels or _may_overflow(data) or _may_split(parsed, data):
        try:
            numbers, plain = midi_bytes.rewrite(data, header, tracks)
        except (IndexError, ValueError) as error:
            if parsed is None or has_packets:
                raise Skip(Reason.DAMAGED, str(error)) from None
        else:  # otherwise it is damaged in a way that symusic forgives
            return numbers, _parse(plain)
    return [], parsed


def _parse(data: bytes) -> ScoreTick:
    try:
        return ScoreTick.from_midi(data)
    except Exception as error:  # symusic raises RuntimeError, ValueError and others
        raise Skip(Reason.DAMAGED, str(error).splitlines()[0][:200]) from error


def _track(track: TrackTick) -> Track:
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


def _time_signatures(parsed: ScoreTick) -> np.ndarray:
    columns = parsed.time_signatures.numpy()
    table = np.stack([columns[k].astype(np.int64) for k in ("time", "numerator", "denominator")], axis=1)
    return table[(table[:, 1] > 0) & (table[:, 2] > 0)]


def _tempos(parsed: ScoreTick) -> np.ndarray:
    columns = parsed.tempos.numpy()
    stated = columns["mspq"] > 0
    return np.stack([columns["time"][stated].astype(float), 60e6 / columns["mspq"][stated]], axis=1)


def _keys(parsed: ScoreTick) -> tuple[tuple[int, str], ...]:
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
    return (len(data) << 14) + (int(np.count_nonzero(high2)) << 21) + (int(np.count_nonzero(high3)) << 28)


def _may_split(parsed: ScoreTick, data: bytes) -> bool:
    """Whether symusic may have cut a channel's notes in two because its program changes.

    It orders the tracks of a chunk, which share a name, by channel, then by program, which is 0 until set.
    """
    pairs = [(a.program, b.program) for a, b in itertools.pairwise(parsed.tracks) if a.name == b.name]
    pairs = [(a, b) for a, b in pairs if a < b]
    if not pairs:
        return False
    values = np.frombuffer(data, np.uint8)
    at = np.flatnonzero((values[:-1] & 0xF0) == 0xC0)
    programs: dict[int, set[int]] = defaultdict(lambda: {0})
    for status, program in zip(values[at].tolist(), values[at + 1].tolist(), strict=True):
        programs[status].add(program)
    return any(a in of_channel and b in of_channel for of_channel in programs.values() for a, b in pairs)


def write_midi(
    path: str | os.PathLike,
    score: Score,
    markers: Sequence[tuple[int, str]] = (),
    programs: Sequence[int] = (),
    velocities: Sequence[Sequence[int]] = (),
) -> None:
    """Write `score` as a MIDI file of format 1; the same arguments give the same bytes.

    The first track chunk holds title, metre, keys, tempos and markers (tick, text); each track gets one of
    its own, on its channel (counted up, past the drums', where it has none), with its program (0 where none
    is given) and the velocities of its notes (80 where none are given).
    """
    to_midi(score, markers, programs, velocities).save(os.fspath(path))


def to_midi(
    score: Score,
    markers: Sequence[tuple[int, str]] = (),
    programs: Sequence[int] = (),
    velocities: Sequence[Sequence[int]] = (),
) -> mido.MidiFile:
    """What `write_midi` writes."""
    file = mido.MidiFile(type=1, ticks_per_beat=score.ticks_per_quarter, charset="utf-8")
    file.tracks.append(track_of(_conductor_events(score, markers)))
    free = [channel for channel in range(16) if channel != 9]
    for i, track in enumerate(score.tracks):
        channel = 9 if track.is_drum else track.channel if track.channel >= 0 else free[i % len(free)]
        program = programs[i] if i < len(programs) else 0
        loudness = velocities[i] if i < len(velocities) else [80] * len(track.pitch)
        file.tracks.append(track_of(_track_events(track, channel, program, loudness)))
    return file


def _conductor_events(score: Score, markers: Sequence[tuple[int, str]]) -> list[_Event]:
    events = [(0, mido.MetaMessage("track_name", name=score.title))] if score.title else []
    for tick, numerator, denominator in score.time_signatures.tolist():
        message = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        events.append((tick, message))
    events += [(tick, mido.MetaMessage("key_signature", key=name)) for tick, name in score.keys]
    for tick, quarters_per_minute in score.tempos.tolist():
        events.append((int(tick), mido.MetaMessage("set_tempo", tempo=round(60e6 / quarters_per_minute))))
    events += [(tick, mido.MetaMessage("text", text=text)) for tick, text in score.chords]
    return events + [(tick, mido.MetaMessage("marker", text=text)) for tick, text in markers]


def _track_events(track: Track, channel: int, program: int, velocities: Sequence[int]) -> list[_Event]:
    events: list[_Event] = []
    notes = zip(track.start.tolist(), track.end.tolist(), track.pitch.tolist(), velocities, strict=True)
    for start, end, pitch, velocity in notes:
        events.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        events.append((max(end, start + 1), mido.Message("note_off", channel=channel, note=pitch)))
    # at one tick, notes end before others start
    events.sort(key=lambda event: (event[0], event[1].type == "note_on", event[1].note))
    name = mido.MetaMessage("track_name", name=track.name)
    return [(0, name), (0, mido.Message("program_change", channel=channel, program=program)), *events]


def track_of(events: Sequence[_Event]) -> mido.MidiTrack:
    """A track of `events`, each with its tick; events of one tick keep their order."""
    track = mido.MidiTrack()
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        message.time = tick - now  # the messages were made for this track; copying them would double the time
        track.append(message)
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
