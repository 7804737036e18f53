"""Written songs: what a notation program sees in them, and that a corpus reads the same music back."""

import json
import signal
import subprocess
import sys
import time

import mido
import numpy as np
import pytest

from mcvae_jax import versions
from mcvae_jax.corpus.read import read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import bars_to_score, bars_to_tokens
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from mcvae_jax.sampling import results
from mcvae_jax.sampling.preview import render_wav
from mcvae_jax.sampling.results import write_results
from mcvae_jax.sampling.song import ComposedSong, Setting, check_song, read_back, write_song

pytestmark = pytest.mark.usefixtures("read_here")

METRES = [(4, 4), (2, 2), (2, 4), (1, 4), (8, 4), (4, 2), (4, 8), (8, 8), (16, 16), (1, 2), (1, 1), (2, 1), (2, 8)]
KEYS = "Cb Gb Db Ab Eb Bb F C G D A E B F# C# Abm Ebm Bbm Fm Cm Gm Dm Am Em Bm F#m C#m G#m D#m A#m".split()


def song_of(bars, metre=(4, 4), given=(), **fields):
    bars = np.asarray(bars, np.uint8).reshape(-1, 16)
    marks = np.arange(len(bars)) < (given or 0)
    setting = Setting(fields.pop("tempo", 110.0), metre, fields.pop("key", ""))
    return ComposedSong("x", fields.pop("title", "A title"), bars, marks, setting, {}, **fields)


def random_bars(seed, n=6):
    """Tokens of every kind, many of them without meaning (a second NOTE_OFF, one in silence)."""
    random = np.random.default_rng(seed)
    kinds = random.choice(3, (n, 16), p=random.dirichlet([1, 1, 3]))
    pitches = random.integers(0, 128, (n, 16)) if seed % 2 else random.integers(60, 64, (n, 16))
    return np.choose(kinds, [pitches, NOTE_OFF, NO_EVENT]).astype(np.uint8)


def starting_at(step):
    tokens = np.full(64, NO_EVENT, np.uint8)
    tokens[step::5] = 60 + np.arange(len(tokens[step::5])) % 9
    return tokens.reshape(-1, 16)


@pytest.mark.usefixtures("rendered")
def test_the_picture_of_a_long_song_shows_where_the_composed_bars_begin(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(results, "draw_pianoroll", lambda axis, tokens, *_, **told: seen.append((tokens, told)))
    songs = [song_of(random_bars(n, bars), given=given) for n, bars, given in ((0, 90, 60), (2, 90, 0), (4, 70, 70))]
    results.draw_songs(songs, tmp_path / "songs.png")
    for (tokens, told), song, first in zip(seen, songs, (26, 0, 0), strict=True):
        assert told["numbers"].of(0) == first + 1
        assert np.array_equal(tokens, bars_to_tokens(song.bars[first : first + results.SEEN_BARS]))


def notes_of(bars):
    """(step, end, pitch) by a walk over the tokens, one at a time."""
    notes, sounding = [], None
    tokens = np.asarray(bars).reshape(-1).tolist()
    for step, token in enumerate([*tokens, NOTE_OFF]):
        if token <= NOTE_OFF and sounding is not None:
            notes.append((sounding[0], step, sounding[1]))
            sounding = None
        if token < NOTE_OFF:
            sounding = (step, token)
    return notes


def played(path):
    """(start, end, pitch) in ticks, and the meta messages with their ticks, as mido reads them."""
    notes, metas, sounding = [], [], {}
    file = mido.MidiFile(path, charset="utf-8")
    for track in file.tracks:
        now = 0
        for message in track:
            now += message.time
            if message.is_meta:
                metas.append((now, message))
            elif message.type == "note_on" and message.velocity:
                assert message.note not in sounding
                sounding[message.note] = now
            elif message.type in ("note_on", "note_off"):
                notes.append((sounding.pop(message.note), now, message.note))
    assert not sounding
    return file, notes, metas


@pytest.mark.parametrize("metre", METRES)
def test_a_corpus_reads_back_what_was_written(tmp_path, metre):
    for seed in range(12):
        song = song_of(random_bars(seed), metre, given=2)
        write_song(tmp_path / "x.mid", song)
        assert check_song(tmp_path / "x.mid", song) == ""
        assert played(tmp_path / "x.mid")[1] == [(120 * s, 120 * e, p) for s, e, p in notes_of(song.bars)]


@pytest.mark.parametrize("metre", METRES)
@pytest.mark.parametrize("step", range(0, 20))
def test_wherever_the_first_note_stands(tmp_path, metre, step):
    song = song_of(starting_at(step), metre)
    write_song(tmp_path / "x.mid", song)
    assert check_song(tmp_path / "x.mid", song) == ""


def test_half_a_bar_of_silence_in_two_four_is_written_in_four_four(tmp_path):
    """The reader pairs bars of 2/4 from the first with a note; written in 2/4 the same song would shift."""
    for step, expected in ((0, (2, 4)), (4, (4, 4)), (8, (4, 4)), (12, (2, 4))):
        write_song(tmp_path / "x.mid", song_of(starting_at(step), (2, 4)))
        (signature,) = [m for _, m in played(tmp_path / "x.mid")[2] if m.type == "time_signature"]
        assert (signature.numerator, signature.denominator) == expected, step


def test_a_check_that_can_fail(tmp_path):
    song = song_of(starting_at(0))
    write_song(tmp_path / "x.mid", song._replace(bars=np.roll(song.bars, 1)))
    assert "bar 1 comes back changed" in check_song(tmp_path / "x.mid", song)
    write_song(tmp_path / "x.mid", song._replace(bars=song.bars[:3]))
    assert "3 bars come back of 4" in check_song(tmp_path / "x.mid", song)
    (tmp_path / "x.mid").write_bytes(b"MThd")
    assert "damaged" in check_song(tmp_path / "x.mid", song)


def test_three_four_is_kept_and_read_under_fixed16(tmp_path):
    song = song_of(random_bars(3), (3, 4))
    write_song(tmp_path / "x.mid", song)
    assert check_song(tmp_path / "x.mid", song) == ""
    assert [m.numerator for _, m in played(tmp_path / "x.mid")[2] if m.type == "time_signature"] == [3]


@pytest.mark.parametrize("key", KEYS)
def test_key_tempo_title_and_markers(tmp_path, key):
    tempo = 7.0 + 13.7 * KEYS.index(key)
    song = song_of(random_bars(1), given=2, key=key, tempo=tempo, title="Größe \x00 \udcff 音")
    write_song(tmp_path / "x.mid", song)
    file, _, metas = played(tmp_path / "x.mid")
    said = {message.type: message for _, message in metas}
    assert file.type == 1 and file.ticks_per_beat == 480
    assert said["key_signature"].key == key
    assert 6e7 / said["set_tempo"].tempo == pytest.approx(max(tempo, 10), rel=1e-5)
    assert [m.name for _, m in metas if m.type == "track_name"] == ["Größe \\x00 \\udcff 音", "Melody"]
    assert [(tick, m.text) for tick, m in metas if m.type == "marker"] == [(0, "given"), (3840, "composed")]
    assert check_song(tmp_path / "x.mid", song) == ""


def test_sections_of_their_own_and_gaps_between_given_bars(tmp_path):
    bars = random_bars(5)
    write_song(tmp_path / "a.mid", song_of(bars, sections=((0, "alpha 0.0"), (3, "alpha 0.5"))))
    infill = song_of(bars)._replace(given=np.array([1, 1, 0, 0, 1, 0], bool))
    write_song(tmp_path / "b.mid", infill)
    markers = {
        name: [(tick // 1920, m.text) for tick, m in played(tmp_path / name)[2] if m.type == "marker"]
        for name in ("a.mid", "b.mid")
    }
    assert markers["a.mid"] == [(0, "alpha 0.0"), (3, "alpha 0.5")]
    assert markers["b.mid"] == [(0, "given"), (2, "composed"), (4, "given"), (5, "composed")]


@pytest.mark.parametrize("tempo", [0.0, -1.0, float("nan"), float("inf"), 1e-9, 1e9])
def test_a_tempo_that_nobody_can_play(tmp_path, tempo):
    song = song_of(random_bars(2), tempo=tempo)
    write_song(tmp_path / "x.mid", song)
    assert 10 <= song.quarters_per_minute <= 1000
    assert check_song(tmp_path / "x.mid", song) == ""


def test_songs_without_any_note(tmp_path):
    for bars in (np.full((3, 16), NO_EVENT), np.full((3, 16), NOTE_OFF), np.empty((0, 16))):
        song = song_of(bars)
        write_song(tmp_path / "x.mid", song)
        assert check_song(tmp_path / "x.mid", song) == ""
        assert read_back(tmp_path / "x.mid").shape == (0, 16)


def test_a_score_has_its_defaults():
    score = bars_to_score(starting_at(3), "t")
    assert score.tempos.tolist() == [[0, 110]] and score.time_signatures.tolist() == [[0, 4, 4]]
    assert [track.name for track in score.tracks] == ["Melody"] and score.tracks[0].start[0] == 360


def test_real_songs_come_back(real_midi, tmp_path):
    paths = sorted(real_midi.rglob("*.mid"))[::450]
    for policy, metre in (("metre", (2, 4)), ("fixed16", (4, 4))):
        for path in paths:
            for real in read_songs(CorpusSettings(str(path), bars=policy), workers=1):
                if hasattr(real, "bars"):
                    song = song_of(real.bars, metre, given=1)
                    write_song(tmp_path / "x.mid", song)
                    assert check_song(tmp_path / "x.mid", song) == "", path.name


def songs_of(count, bars=4):
    songs = [song_of(random_bars(n, bars), given=1) for n in range(count)]
    return [song._replace(name=f"{n:02d}-x", notes={"mode": "test"}) for n, song in enumerate(songs)]


def write(folder, songs, about=()):
    said = []
    return write_results(folder, songs, "Songs", dict(about), said.append), said


def test_the_folder_of_a_call(tmp_path):
    songs = songs_of(3)
    record, said = write(tmp_path / "a" / "out", songs, {"seed": 7})
    folder = tmp_path / "a" / "out"
    names = [f"0{n}-x.{kind}" for n in range(3) for kind in ("mid", "wav")]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "songs.json", "songs.png", "index.html"])
    assert (
        said == [] and record["warnings"] == [] and sorted(record["files"]) == sorted(p.name for p in folder.iterdir())
    )
    stored = json.loads((folder / "songs.json").read_bytes())
    assert (
        stored["about"] == {"seed": 7} and stored["songs"][1]["given"] == [0] and stored["songs"][1]["metre"] == [4, 4]
    )
    assert stored["computed_on"] == versions.here()
    assert versions.as_text(versions.here()) in (folder / "index.html").read_text("utf-8")
    assert stored["songs"][1]["sections"] == [[0, "given"], [1, "composed"]]
    np.testing.assert_array_equal(stored["songs"][1]["tokens"], songs[1].bars)
    for song in songs:
        assert check_song(folder / f"{song.name}.mid", song) == ""
        assert (folder / f"{song.name}.wav").read_bytes() == render_wav(song.bars, 110)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, songs, {"seed": 7})  # the same call again
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    write(folder, songs_of(1))
    assert len(list(folder.iterdir())) == 5 and len(list(folder.parent.iterdir())) == 1


def test_a_song_that_does_not_come_back_is_named(tmp_path, monkeypatch):
    wrong = lambda path, song: write_song(path, song._replace(bars=song.bars[::-1]))  # noqa: E731
    monkeypatch.setattr("mcvae_jax.sampling.song.write_song", wrong)
    record, said = write(tmp_path / "out", songs_of(1))
    assert said == [f"Warning: {record['warnings'][0]}"]
    assert "00-x.mid does not read back" in said[0] and "00-x.mid does not" in (tmp_path / "out/index.html").read_text()


def test_folders_that_are_not_ours(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.mid").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        UserError, match="holds 'song.mid', which this program did not write there; choose another --out"
    ):
        write(tmp_path / "mine", songs_of(1))
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(UserError, match="choose another"):
            write(place, songs_of(1))
    write(tmp_path / "out", songs_of(1))
    (tmp_path / "out" / "lyrics.txt").write_text("la")
    with pytest.raises(UserError, match="'lyrics.txt'"):
        write(tmp_path / "out", songs_of(1))
    for damage in ("[]", "{", '{"format": "another", "files": ["songs.json"]}'):
        (tmp_path / "out" / "songs.json").write_text(damage)
        with pytest.raises(UserError, match="choose another --out"):
            write(tmp_path / "out", songs_of(1))
    assert (tmp_path / "mine" / "song.mid").read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_known_before_any_song_is_made(tmp_path, monkeypatch):
    results.check_folder(tmp_path / "a" / "b" / "out")
    assert not list(tmp_path.iterdir())

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(UserError, match=r"Cannot write .*out: you have no permission; .*; or choose another --out"):
        results.check_folder(tmp_path / "out")


def test_a_call_that_fails_leaves_the_earlier_songs(tmp_path, monkeypatch):
    write(tmp_path / "out", songs_of(1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(results, "write_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", songs_of(2))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_many_and_long_songs(tmp_path, monkeypatch):
    """MIDI for all, previews for the first, and for no song that alone lasts over an hour."""
    monkeypatch.setattr(results, "HEARD", 3)
    record, said = write(tmp_path / "many", songs_of(15, bars=1))
    assert len(list((tmp_path / "many").glob("*.mid"))) == 15
    assert sorted(path.name for path in (tmp_path / "many").glob("*.wav")) == ["00-x.wav", "01-x.wav", "02-x.wav"]
    assert [song["wav"] for song in record["songs"]] == [True] * 3 + [False] * 12
    assert said == ["MIDI: all 15 songs; previews: 3 (of the first 3, an hour at most)"]
    record, _ = write(tmp_path / "long", [song_of(np.tile(starting_at(0), (500, 1))), *songs_of(1)])
    assert record["warnings"] == [] and [song["wav"] for song in record["songs"]] == [False, True]


def test_songs_without_bars_or_notes(tmp_path):
    silent = [song_of(np.full((2, 16), NO_EVENT)), song_of(np.empty((0, 16)))._replace(name="y")]
    record, said = write(tmp_path / "out", silent)
    assert record["warnings"] == [] and [song["wav"] for song in record["songs"]] == [True, False]


WRITE_MANY = """
import sys
from mcvae_jax.command import run_command
from tests.sampling.test_song_files import songs_of, write_results
run_command(lambda argv: write_results(argv[0], songs_of(3000, 25), "Songs", {}, print) and 0)
"""


@pytest.mark.more
def test_a_stop_keeps_the_songs_that_are_written(tmp_path):
    command = [sys.executable, "-u", "-c", WRITE_MANY, str(tmp_path / "songs")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".songs.*/new/*5-x.mid")):
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in err
    record = json.loads((tmp_path / "songs" / "songs.json").read_text())
    written = len(record["songs"])
    assert 5 <= written < 3000 == record["unfinished"] and f"Stopped after {written:,} of 3,000 songs" in out
    assert {path.name for path in (tmp_path / "songs").iterdir()} == set(record["files"])
    assert f"Stopped after {written:,} of 3,000" in (tmp_path / "songs" / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["songs"]
