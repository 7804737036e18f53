"""The bytes of a MIDI file, mended where symusic would misread or refuse them; most files pass as they are.

The Standard MIDI Files 1.0 specification (1996) allows headers longer than 6 bytes, chunks of other kinds, and
packets (F7) of anything; beyond it go RIFF around the file, bytes before it, a wrong number of tracks, and running
status that goes on after a system exclusive message.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from mcvae_jax.music.score import Reason, Skip

MAX_TRACKS = 1024
MAX_JUNK = 4096  # bytes that may stand before the header, as the 128 of MacBinary or the lines of a mail do
MAX_DELTA = (1 << 28) - 1
EMPTY_TRACK = 4  # bytes of a track that holds its end and nothing else
_PROGRAM, _PRESSURE = 0xC0, 0xD0  # the two kinds of channel message with one data byte

_DELTA = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_LENGTHS = b"|".join(b"\\x%02x[\\x00-\\xff]{%d}" % (n, n) for n in range(128))
_META = rb"\xff[\x00-\x7f](?:" + _LENGTHS + rb")"
_TWO = rb"[\x80-\xbf\xe0-\xef][\x00-\x7f]{2}(?:" + _DELTA + rb"(?:[\x00-\x7f]{2}|" + _META + rb"))*+"
_ONE = rb"[\xc0-\xdf][\x00-\x7f](?:" + _DELTA + rb"(?:[\x00-\x7f]|" + _META + rb"))*+"
_PLAIN = re.compile(rb"(?:" + _DELTA + rb"(?:" + _TWO + rb"|" + _ONE + rb"|" + _META + rb"))*+")
Span = tuple[int, int]  # where the events of a track begin and end


class Header(NamedTuple):
    """What stands before the tracks."""

    kind: int  # 0, 1 or, for tracks that are pieces of their own, 2
    claimed: int  # tracks, which need not be as many as there are
    ticks_per_quarter: int
    size: int


def find_header(data: bytes) -> bytes:
    """`data` from its MIDI header on, before which RIFF or MAX_JUNK bytes may stand. Raises Skip without one."""
    if data.startswith(b"MThd"):
        return data
    if not data:
        raise Skip(Reason.EMPTY)
    is_riff = data.startswith(b"RIFF") and data[8:12] == b"RMID"
    at = data.find(b"MThd", 0, len(data) if is_riff else MAX_JUNK)
    if at < 0:
        raise Skip(Reason.NOT_MUSIC, "no MIDI header")
    end = len(data)
    if is_riff and data[at - 8 : at - 4] == b"data":
        end = at + struct.unpack_from("<I", data, at - 4)[0]
    return data[at:end]


def read_header(data: bytes) -> Header:
    """The header with which `data` begins. Raises Skip where ticks are not parts of a quarter, or it is damaged."""
    if len(data) < 14:
        raise Skip(Reason.DAMAGED, "the header ends early")
    size, kind, tracks, division = struct.unpack_from(">IHHH", data, 4)
    if size < 6:
        raise Skip(Reason.DAMAGED, f"a header of {size} bytes")
    if tracks > MAX_TRACKS:
        raise Skip(Reason.TOO_MANY_TRACKS, f"{tracks:,}, over {MAX_TRACKS:,}")
    if division & 0x8000:
        raise Skip(Reason.SMPTE, "ticks are not parts of a quarter")
    if division == 0:
        raise Skip(Reason.DAMAGED, "zero ticks per quarter")
    return Header(kind, tracks, division, 8 + size)


def find_tracks(data: bytes, header: Header) -> list[Span]:
    """The events of each track that has any; chunks of other kinds, and what is no chunk at the end, are passed over.

    The last track ends beyond `data` where that breaks off. Raises Skip where there are too many.
    """
    tracks: list[Span] = []
    at = header.size
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(">4sI", data, at)
        at += 8 + size
        if kind == b"MTrk":
            if size > EMPTY_TRACK:
                tracks.append((at - size, at))
        elif at > len(data) or not kind.isalnum():
            break
    if len(tracks) > MAX_TRACKS:
        raise Skip(Reason.TOO_MANY_TRACKS, f"{len(tracks):,}, over {MAX_TRACKS:,}")
    return tracks


def with_tracks(data: bytes, header: Header, tracks: list[Span]) -> bytes:
    """A file of these tracks, whose header says how many they are; they may end beyond `data`, as they did before."""
    chunks = (b"MTrk" + struct.pack(">I", end - begin) + data[begin:end] for begin, end in tracks)
    return struct.pack(">4sIHHH", b"MThd", 6, header.kind, len(tracks), header.ticks_per_quarter) + b"".join(chunks)


def has_packets(data: bytes, tracks: list[Span]) -> bool:
    """Whether a track holds what symusic misreads: an F7 packet, or running status after a system exclusive message."""
    if b"\xf0" not in data and b"\xf7" not in data:
        return False
    suspects = [at for status in (0xF0, 0xF7) for at in _places(data, status)]
    for begin, end in tracks if suspects else ():
        last = max((at for at in suspects if begin < at < end), default=begin)
        if _has_packets(data, begin, last + 1):
            return True
    return False


def _places(data: bytes, status: int) -> Iterator[int]:
    """Where `status` may begin a message that symusic misreads, rather than stand within another, or in a delta."""
    at = data.find(status, 1)
    while at > 0:
        if data[at - 1] < 0x80 and (status == 0xF7 or _is_running(data, at)):
            yield at
        at = data.find(status, at + 1)


def _is_running(data: bytes, at: int) -> bool:
    """Whether running status follows the system message at `at`, if that is one."""
    try:
        return data[variable_length(data, _after_system_message(data, at))[1]] < 0x80
    except (IndexError, ValueError):  # damaged, as symusic will say
        return False


def _after_plain(data: bytes, at: int, end: int) -> int:
    """Where the plain events from data[at] on end; at itself where there are none."""
    plain = _PLAIN.match(data, at, end)
    return plain.end() if plain else at


def _has_packets(data: bytes, at: int, end: int) -> bool:
    """The same of the events from data[at] on whose status stands before data[end]."""
    while at < end and (at := _after_plain(data, at, end)) < end:
        try:
            event = variable_length(data, at)[1]
            at = _after_system_message(data, event)
        except (IndexError, ValueError):  # damaged, or a message that `end` cuts
            return False
        if data[event] == 0xF7 or _is_running(data, event):
            return True
    return False


def _after_system_message(data: bytes, at: int) -> int:
    """Where the system message at `at` ends. Raises ValueError where none is there."""
    status = data[at]
    if status in (0xF0, 0xF7):
        size, at = variable_length(data, at + 1)
        return at + size
    if status == 0xFF:
        size, at = variable_length(data, at + 2)
        return at + size
    if status < 0xF0:
        raise ValueError(f"{status} is no system message")
    return at + {0xF1: 2, 0xF2: 3, 0xF3: 2}.get(status, 1)


def rewrite(data: bytes, header: Header, tracks: list[Span]) -> tuple[list[int], bytes]:
    """The same music in plain messages: each with its status, program 0, without system messages but FF.

    Returns the channel of every track that holds notes, in symusic's order, and the file.
    Raises Skip beyond tick 2^31, IndexError or ValueError where the bytes do not follow the format.
    """
    channels: list[int] = []
    chunks = []
    for begin, end in tracks:
        if end > len(data):
            raise IndexError("the last track breaks off")
        found, chunk = _rewrite_track(data, begin, end)
        channels += sorted(found)
        chunks.append(chunk)
    spans, at = [], 0
    for chunk in chunks:
        spans.append((at, at := at + len(chunk)))
    return channels, with_tracks(b"".join(chunks), header, spans)


def _rewrite_track(data: bytes, at: int, end: int) -> tuple[set[int], bytes]:
    """The channels with at least one finished note in data[at:end], and its events anew."""
    out = bytearray()
    tick, before, status = 0, 0, 0  # before is the tick of the last event that was written
    sounding: set[tuple[int, int]] = set()
    channels: set[int] = set()
    while at < end:
        delta, at = variable_length(data, at)
        tick += delta
        if tick >= 1 << 31:
            raise Skip(Reason.TOO_LONG, "an event beyond tick 2^31")
        begin = at
        if data[at] >= 0xF0:
            at = _after_system_message(data, at)
            if data[begin] == 0xFF and data[begin + 1] == 0x2F:  # the end of the track
                break
            if data[begin] == 0xFF:
                out += _delta(tick - before) + data[begin:at]
                before = tick
            continue
        if data[at] >= 0x80:
            status, at = data[at], at + 1
        elif not status:
            raise ValueError("data without a status")
        kind, channel = status & 0xF0, status & 0x0F
        size = 1 if kind in (_PROGRAM, _PRESSURE) else 2
        values = bytes(size) if kind == _PROGRAM else data[at : at + size]
        at += size
        out += _delta(tick - before) + bytes([status]) + values
        before = tick
        if kind == 0x90 and values[1]:
            sounding.add((channel, values[0]))
        elif kind in (0x80, 0x90) and (channel, values[0]) in sounding:
            channels.add(channel)
    return channels, bytes(out + _delta(tick - before) + b"\xff\x2f\x00")


def variable_length(data: bytes, at: int) -> tuple[int, int]:
    """A number of MIDI's variable length at `at`, and where it ends. Raises ValueError where it has over 4 bytes."""
    value = 0
    for end in range(at + 1, at + 5):
        byte = data[end - 1]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end
    raise ValueError("a number of over 4 bytes")


def _delta(ticks: int) -> bytes:
    """Ticks to the next event in MIDI's variable length, with an empty text wherever they are too many for one."""
    out = b""
    while ticks > MAX_DELTA:
        out += b"\xff\xff\xff\x7f\xff\x01\x00"
        ticks -= MAX_DELTA
    groups = [ticks & 0x7F]
    while ticks := ticks >> 7:
        groups.append(ticks & 0x7F | 0x80)
    return out + bytes(reversed(groups))
