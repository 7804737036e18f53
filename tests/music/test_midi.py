"""Reading MIDI against an independent reader, writing it, and what bad bytes do."""

import struct

import mido
import numpy as np
import pytest

from mcvae_jax.music.midi import MAX_BYTES, read_midi, write_midi
from mcvae_jax.music.midi_bytes import MAX_TRACKS
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Reason, Score, Skip, Track
from tests import midi_oracle as raw


def notes_of(score):
    """As the oracle tells them: channel and sorted notes of each track."""
    return [
        (t.channel, sorted(zip(t.start.tolist(), t.end.tolist(), t.pitch.tolist(), strict=True))) for t in score.tracks
    ]


@pytest.fixture
def real_files(real_midi):
    files = sorted(real_midi.rglob("*.mid"))
    assert files, f"no .mid files below {real_midi}"
    return files


def assert_same_notes(files):
    for path in files:
        data = path.read_bytes()
        expected = raw.read_notes(data)
        assert notes_of(read_midi(data, channels=True)) == expected, path
        assert [notes for _channel, notes in notes_of(read_midi(data))] == [notes for _channel, notes in expected], path


@pytest.mark.more
def test_real_files_agree_with_mido(real_files):
    assert_same_notes(real_files[::12])


@pytest.mark.slow
def test_all_real_files_agree_with_mido(real_files):
    assert_same_notes(real_files)


# Each a track chunk's events, and what the two readers must make of them.
SEMANTICS = {
    "overlapping equal pitches end in the order in which they began": [
        (0, raw.on(60)), (10, raw.on(60)), (10, raw.off(60)), (10, raw.off(60)),
    ],
    "a note-on without an end is no note": [(0, raw.on(60)), (10, raw.on(62)), (10, raw.off(62))],
    "a note-off without a note is nothing": [(0, raw.off(60)), (10, raw.on(62)), (10, raw.off(62))],
    "velocity 0 ends a note": [(0, raw.on(60)), (10, raw.on(60, velocity=0))],
    "a note of no ticks is one": [(0, raw.on(60)), (0, raw.off(60)), (5, raw.on(62)), (5, raw.off(62))],
    "a repeated note, its end first": [(0, raw.on(60)), (9, raw.off(60)), (0, raw.on(60)), (9, raw.off(60))],
    "a repeated note, its end last": [(0, raw.on(60)), (9, raw.on(60)), (0, raw.off(60)), (9, raw.off(60))],
    "channels are apart": [
        (0, raw.on(60, 3)), (0, raw.on(60, 1)), (9, raw.off(60, 1)), (0, raw.off(60, 3)), (0, raw.on(60, 3)),
    ],
    "running status": [(0, raw.on(60)), (9, bytes([60, 0])), (0, bytes([62, 80])), (9, bytes([62, 0]))],
    "a program change does not cut a track in two": [
        (0, raw.program(5)), (0, raw.on(60)), (9, raw.off(60)),
        (0, raw.program(6)), (0, raw.on(62)), (9, raw.off(62)),
    ],
    "programs of two channels": [
        (0, raw.program(5, 0)), (0, raw.program(3, 1)), (0, raw.on(60)), (0, raw.on(64, 1)),
        (0, raw.program(9, 1)),
        (9, raw.off(60)), (0, raw.off(64, 1)), (0, raw.on(65, 1)), (9, raw.off(65, 1)),
    ],
    "system messages and other channel messages": [
        (0, b"\xf0\x03\x01\x02\xf7"), (0, b"\xe0\x00\x40"), (0, b"\xd0\x10"), (0, b"\xb0\x07\x64"),
        (0, b"\xa0\x3c\x10"), (0, raw.on(60)), (9, raw.off(60)),
    ],
    "a packet takes its time and no more": [
        (0, raw.on(60)), (9, raw.off(60)), (7, b"\xf7\x02\x01\x02"), (5, raw.on(62)), (9, raw.off(62)),
    ],
    "a system exclusive message in two packets": [
        (0, raw.on(60)), (9, raw.off(60)), (7, b"\xf0\x02\x01\x02"), (5, b"\xf7\x02\x03\xf7"),
        (5, raw.on(62)), (9, raw.off(62)),
    ],
    "what looks like a packet within a delta": [
        (0, raw.on(60)), (0x3B81, raw.off(60)), (0, raw.on(2)), (1, raw.off(2)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", SEMANTICS)
def test_semantics(what):
    data = raw.midi(raw.chunk(SEMANTICS[what]), raw.melody([70, 72], channel=5))
    expected = raw.read_notes(data)
    assert len(expected) >= 2
    assert notes_of(read_midi(data, channels=True)) == expected
    assert [notes for _channel, notes in notes_of(read_midi(data))] == [notes for _channel, notes in expected]


def test_random_files_agree_with_mido():
    rng = np.random.default_rng(0)
    for _trial in range(200):
        chunks = []
        for _chunk in range(rng.integers(1, 4)):
            events = []
            for _event in range(rng.integers(0, 60)):
                channel, pitch = int(rng.integers(0, 3)), int(rng.integers(60, 64))
                message = [raw.on(pitch, channel), raw.off(pitch, channel), raw.program(pitch, channel)][
                    rng.integers(3)
                ]
                events.append((int(rng.choice([0, 0, 1, 100, 9000, 20000])), message))
            chunks.append(raw.chunk(events))
        data = raw.midi(*chunks)
        expected = raw.read_notes(data)
        if not expected:
            with pytest.raises(Skip, match="no notes"):
                read_midi(data)
            continue
        assert notes_of(read_midi(data, channels=True)) == expected
        assert [notes for _channel, notes in notes_of(read_midi(data))] == [notes for _channel, notes in expected]


PAIR = raw.chunk([(0, raw.on(60)), (9, bytes([60, 0])), (0, bytes([62, 80])), (9, bytes([62, 0]))])
SOUND = [(0, [(0, 9, 60), (9, 18, 62)])]  # of PAIR


def between(message: bytes) -> bytes:
    """PAIR with a message between its notes, after which running status goes on."""
    events = [(0, raw.on(60)), (9, bytes([60, 0])), (0, message), (0, bytes([62, 80])), (9, bytes([62, 0]))]
    return raw.midi(raw.chunk(events))


def riff(data: bytes, *before: bytes) -> bytes:
    """RIFF around a MIDI file, with other chunks before it; chunks have an even size."""
    chunks = b"".join(name + struct.pack("<I", len(text)) + text for name, text in [*before, (b"data", data)])
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"RMID" + chunks + bytes(len(data) % 2)


def longer_header(data: bytes, more: bytes) -> bytes:
    return data[:4] + struct.pack(">I", 6 + len(more)) + data[8:14] + more + data[14:]


ALIEN = b"XFIH" + struct.pack(">I", 4) + b"abcd"
# Files that are not as the standard has them, or are so seldom; all hold the notes of PAIR, and some hold them twice.
UNUSUAL = {
    "a header of 8 bytes": (longer_header(raw.midi(PAIR), b"\0\0"), 1),
    "a header of 200 bytes": (longer_header(raw.midi(PAIR, PAIR), bytes(194)), 2),
    "RIFF": (riff(raw.midi(PAIR)), 1),
    "RIFF, with a list of 8,000 bytes before": (riff(raw.midi(PAIR), (b"LIST", b"INFO" + bytes(7996))), 1),
    "128 bytes before, as of MacBinary": (bytes(128) + raw.midi(PAIR), 1),
    "the lines of a mail before": (b"Content-Type: audio/midi\r\n\r\n" + raw.midi(PAIR), 1),
    "zeros behind": (raw.midi(PAIR) + bytes(37), 1),
    "text behind": (raw.midi(PAIR) + b"\r\n-- \r\nsent from my synthesizer", 1),
    "fewer tracks claimed": (raw.midi(PAIR, PAIR, tracks=1), 2),
    "more tracks claimed": (raw.midi(PAIR, PAIR, tracks=3), 2),
    "no track claimed": (raw.midi(PAIR, tracks=0), 1),
    "format 0 with two tracks": (raw.midi(PAIR, PAIR, kind=0), 2),
    "chunks of another kind": (raw.midi(ALIEN, PAIR, ALIEN, PAIR, ALIEN, tracks=2), 2),
    "chunks of another kind and too few tracks claimed": (raw.midi(ALIEN, PAIR, ALIEN, PAIR, tracks=1), 2),
    "running status after a system exclusive message": (between(b"\xf0\x03\x01\x02\xf7"), 1),
    "running status after a packet": (between(b"\xf7\x01\xfa"), 1),
    "running status after a long text, and a packet": (between(b"\xff\x01\x81\x00" + bytes(128) + b"\0\xf7\0"), 1),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSUAL)
@pytest.mark.parametrize("channels", [False, True])
def test_unusual_files(what, channels):
    data, times = UNUSUAL[what]
    (score,) = read_scores(data, ".mid", channels)
    assert [notes for _channel, notes in notes_of(score)] == [notes for _channel, notes in SOUND * times]
    assert not channels or notes_of(score) == SOUND * times


def test_the_tracks_of_format_2_are_pieces():
    metre = raw.chunk([(0, b"\xff\x58\x04\x03\x02\x18\x08"), *[(0, raw.on(70)), (9, raw.off(70))]])
    first, silent, second = read_scores(
        raw.midi(PAIR, raw.chunk([(0, raw.name(b"silence"))]), metre, kind=2), ".mid", True
    )
    assert notes_of(first) == SOUND and first.time_signatures.tolist() == []
    assert isinstance(silent, Skip) and silent.reason == Reason.NO_NOTES
    assert notes_of(second) == [(0, [(0, 9, 70)])] and second.time_signatures.tolist() == [[0, 3, 4]]


def test_what_a_file_states():
    conductor = raw.chunk([
        (0, raw.name(b"A title")),
        (0, b"\xff\x58\x04\x03\x02\x18\x08"),  # 3/4
        (0, b"\xff\x59\x02\xfd\x01"),  # three flats, minor
        (0, b"\xff\x51\x03\x07\xa1\x20"),  # 120 quarters a minute
        (480, b"\xff\x58\x04\x00\x02\x18\x08"),  # 0/4 is no metre
        (480, b"\xff\x58\x04\x06\x03\x18\x08"),  # 6/8
        (0, b"\xff\x59\x02\x01\x00"),  # one sharp, major
        (0, b"\xff\x51\x03\x0f\x42\x40"),
    ])  # fmt: skip
    score = read_midi(raw.midi(conductor, raw.melody([60]), raw.melody([38], channel=9), division=96))
    assert score.ticks_per_quarter == 96
    assert score.time_signatures.tolist() == [[0, 3, 4], [960, 6, 8]]
    assert score.tempos.tolist() == [[0, 120], [960, 60]]
    assert score.keys == ((0, "Cm"), (960, "G"))
    assert [track.is_drum for track in score.tracks] == [False, True]


FAR = [(2**28 - 1, b"\xb0\x01\x01")]  # the longest delta that MIDI has

# The bad input that a run must survive, each with the reason it is skipped for.
BAD = {
    "empty": (b"", Reason.EMPTY),
    "not MIDI": (b"<html>404</html>" * 10, Reason.NOT_MUSIC),
    "zeros": (bytes(1000), Reason.NOT_MUSIC),
    "a header alone": (b"MThd", Reason.DAMAGED),
    "a header cut short": (raw.midi(raw.melody([60]))[:13], Reason.DAMAGED),
    "truncated": (raw.midi(raw.melody(range(40, 80)))[:-100], Reason.DAMAGED),
    "a data byte over 127": (raw.midi(raw.chunk([(0, b"\x90\xc8\x50"), (9, raw.off(72))])), Reason.DAMAGED),
    "no track": (raw.midi(), Reason.NO_NOTES),
    "no notes": (raw.midi(raw.chunk([(0, raw.name(b"silence"))])), Reason.NO_NOTES),
    "SMPTE": (raw.midi(raw.melody([60]), division=0xE728), Reason.SMPTE),
    "zero ticks per quarter": (raw.midi(raw.melody([60]), division=0), Reason.DAMAGED),
    "tick 2^31": (
        raw.midi(raw.chunk(FAR * 8 + [(8, raw.on(60)), (9, raw.off(60))])), Reason.TOO_LONG,
    ),
    "tick 2^32": (
        raw.midi(raw.chunk(FAR * 16 + [(18, raw.on(60)), (9, raw.off(60))])), Reason.TOO_LONG,
    ),
    "a note of 2^31 ticks": (
        raw.midi(raw.chunk([(0, raw.on(60)), *FAR * 8, (9, raw.off(60))])), Reason.TOO_LONG,
    ),
    "65,535 tracks": (raw.midi(raw.melody([60]) * 65535, tracks=65535), Reason.TOO_MANY_TRACKS),
    "a claim of too many tracks": (raw.midi(raw.melody([60]), tracks=MAX_TRACKS + 1), Reason.TOO_MANY_TRACKS),
    "too many tracks that no header claims": (
        raw.midi(*[raw.melody([60])] * (MAX_TRACKS + 1), tracks=1), Reason.TOO_MANY_TRACKS,
    ),
    "5,000 bytes before": (bytes(5000) + raw.midi(raw.melody([60])), Reason.NOT_MUSIC),
    "a header of 4 bytes": (b"MThd" + struct.pack(">IHH", 4, 1, 1) + raw.melody([60]), Reason.DAMAGED),
    "a packet, and then a track that breaks off": (
        raw.midi(raw.chunk(SEMANTICS["a packet takes its time and no more"]))[:-9], Reason.DAMAGED,
    ),
    "too large": (raw.midi(raw.melody([60])) + bytes(MAX_BYTES), Reason.TOO_LARGE),
    "a huge chunk length": (
        raw.midi(tracks=1) + b"MTrk" + struct.pack(">I", 2**32 - 1) + raw.melody([60])[8:], Reason.DAMAGED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("channels", [False, True])
def test_bad_bytes_are_skipped_with_a_reason(what, channels):
    data, reason = BAD[what]
    with pytest.raises(Skip) as raised:
        read_midi(data, channels)
    assert raised.value.reason == reason
    assert "\n" not in str(raised.value)


def test_a_million_track_chunks_behind_an_honest_header():
    score = read_midi(raw.midi(raw.melody([60]), *[b"MTrk\0\0\0\x04\0\xff\x2f\0"] * 300_000, tracks=1))
    assert len(score.tracks) == 1


@pytest.mark.parametrize("trials", [600, pytest.param(50_000, marks=pytest.mark.slow)])
def test_mutations_raise_nothing_but_skip(trials):
    """Flipped, deleted, inserted and doubled bytes in files that exercise every kind of event."""
    seeds = [raw.midi(raw.chunk(events), raw.melody(range(50, 70), channel=2)) for events in SEMANTICS.values()]
    seeds += [data for data, _ in UNUSUAL.values()]
    rng = np.random.default_rng(0)
    for trial in range(trials):
        data = bytearray(seeds[trial % len(seeds)])
        for _change in range(rng.integers(1, 6)):
            at = int(rng.integers(0, len(data)))
            kind = rng.integers(0, 4)
            if kind == 0:
                data[at] = rng.integers(0, 256)
            elif kind == 1:
                del data[at : at + int(rng.integers(1, 8))]
            elif kind == 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 8)))
            else:
                data[at:at] = data[at : at + 32]
        for channels in (False, True):
            try:
                score = read_midi(bytes(data), channels)
            except Skip as skip:
                assert skip.reason in Reason
                continue
            for track in score.tracks:
                assert len(track.start) and (track.start >= 0).all() and (track.end >= track.start).all()
                assert ((track.pitch >= 0) & (track.pitch <= 127)).all()


def a_score():
    tune = Track("Tune", -1, False, np.array([0, 480, 480]), np.array([480, 960, 720]), np.array([60, 64, 67]))
    bass = Track("Bass ü", 5, False, np.array([0, 960]), np.array([960, 960]), np.array([36, 43]))
    drums = Track("", -1, True, np.array([0]), np.array([10]), np.array([38]))
    metre = np.array([[0, 4, 4], [1920, 3, 4]])
    return Score((tune, bass, drums), 480, metre, np.array([[0.0, 90.0], [960.0, 120.0]]), ((0, "Ebm"),), "A title")


class TestWrite:
    def test_what_is_written_is_read(self, tmp_path):
        score = a_score()
        write_midi(tmp_path / "a.mid", score, markers=[(0, "seed"), (1920, "new")], programs=[0, 32])
        again = read_midi((tmp_path / "a.mid").read_bytes(), channels=True)
        assert [track.name for track in again.tracks] == ["Tune", "Bass ü", ""]
        assert [track.channel for track in again.tracks] == [0, 5, 9]
        for written, read in zip(score.tracks, again.tracks, strict=True):
            columns = zip(written.start, np.maximum(written.end, written.start + 1), written.pitch, strict=True)
            assert sorted(columns) == sorted(zip(read.start, read.end, read.pitch, strict=True))
        assert again.time_signatures.tolist() == score.time_signatures.tolist()
        assert np.allclose(again.tempos, score.tempos, rtol=1e-5)
        assert again.keys == score.keys

    def test_mido_sees_markers_names_and_programs(self, tmp_path):
        write_midi(tmp_path / "a.mid", a_score(), markers=[(1920, "Thema ä"), (0, "seed")], programs=[0, 32])
        file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
        assert file.type == 1 and file.ticks_per_beat == 480 and file.tracks[0].name == "A title"
        tick, markers = 0, []
        for message in file.tracks[0]:
            tick += message.time
            if message.type == "marker":
                markers.append((tick, message.text))
        assert markers == [(0, "seed"), (1920, "Thema ä")]
        assert [m.program for t in file.tracks for m in t if m.type == "program_change"] == [0, 32, 0]

    def test_same_bytes_each_time(self, tmp_path):
        write_midi(tmp_path / "a.mid", a_score())
        write_midi(tmp_path / "b.mid", a_score())
        assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()

    def test_repeated_and_overlapping_notes_survive(self, tmp_path):
        start = np.array([0, 120, 120, 240])
        end = np.array([120, 240, 360, 480])
        track = Track("t", 0, False, start, end, np.array([60, 60, 62, 60]))
        score = Score((track,), 480, np.empty((0, 3), np.int64), np.empty((0, 2)))
        write_midi(tmp_path / "a.mid", score)
        assert notes_of(read_midi((tmp_path / "a.mid").read_bytes(), True)) == [
            (0, sorted(zip(start.tolist(), end.tolist(), [60, 60, 62, 60], strict=True)))
        ]
