"""A source becomes a corpus folder, once, and again when something changed; the command says what it did."""

import dataclasses
import json
import os
import re

import numpy as np
import pytest

from mcvae_jax.command import run_command
from mcvae_jax.corpus import __main__ as command
from mcvae_jax.corpus import build, builtin
from mcvae_jax.corpus.build import build_corpus, ensure_corpus
from mcvae_jax.corpus.few import lacking
from mcvae_jax.corpus.read import Song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import Skipped
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.music.bars import MOVE_BINS, Stats


def fake_songs(count=30, names="song {}.mid"):
    stats = Stats(onsets=16, moved=0, moves=(16,) + (0,) * (MOVE_BINS - 1), out_of_range=0, covered=0, shortened=0)
    bars = np.random.default_rng(0).integers(60, 80, (count, 4, 16)).astype(np.uint8)
    return [Song(names.format(i), bytes([i]) * 16, bars[i], stats, f"title {i}") for i in range(count)]


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with one file to look at, and a reader that returns `items` and counts its calls."""

    class Source:
        items = [*fake_songs(), Skipped("bad.mid", "no notes", "0 notes")]
        calls = 0
        folder = tmp_path / "music"

        def read(self, settings, workers=None):
            self.calls += 1
            yield from self.items

    source = Source()
    source.folder.mkdir()
    (source.folder / "song.mid").write_bytes(b"MThd")
    monkeypatch.setattr(build, "read_songs", source.read)
    return source


def settings_of(source, **fields):
    return CorpusSettings(str(source.folder), **fields)


def test_a_corpus_holds_what_was_read(source, tmp_path):
    lines = []
    corpus = build_corpus(settings_of(source), tmp_path / "corpus", progress=lines.append)
    assert len(corpus) == 30 and {TRAIN, HELD_OUT} == set(corpus.sides)
    by_name = {song.name: song for song in fake_songs()}
    for i, record in enumerate(corpus.records()):
        song = by_name[record["name"]]
        np.testing.assert_array_equal(corpus.song(i), song.bars)
        assert (record["title"], record["bars"]) == (song.title, 4)
        assert record["side"] == {TRAIN: "train", HELD_OUT: "held out"}[corpus.sides[i]]
    (skipped,) = [json.loads(line) for line in open(tmp_path / "corpus" / "skipped.jsonl")]
    assert skipped == {"name": "bad.mid", "reason": "no notes", "detail": "0 notes"}
    assert {"report.txt", "report.json", "report.png"} < set(os.listdir(tmp_path / "corpus"))
    assert any(line.startswith("read 31 files, 1 skipped") for line in lines)


def test_songs_in_free_tempo_are_a_warning(source, tmp_path):
    lines = []
    build_corpus(settings_of(source), tmp_path / "corpus", progress=lines.append, pictures=False)
    assert not any("onsets" in line for line in lines)
    free = Stats(onsets=16, moved=16, moves=(0,) * 4 + (8, 8, 0, 0), out_of_range=0, covered=0, shortened=0)
    source.items = [*fake_songs(), fake_songs()[0]._replace(name="free.mid", stats=free)]
    build_corpus(settings_of(source), tmp_path / "corpus", progress=lines.append, pictures=False)
    (warning,) = [line for line in lines if line.startswith("warning") and "onsets" in line]
    assert "3.2% of all onsets" in warning and "in 1 of 31 songs" in warning and "'free.mid'" in warning


def test_identity_depends_on_the_music_and_not_on_the_order_of_the_files(source, tmp_path):
    def identity(items):
        source.items = items
        return build_corpus(settings_of(source), tmp_path / "corpus", pictures=False).identity

    songs = fake_songs()
    first = identity(songs)
    assert identity(songs[::-1]) == first
    assert identity(songs[1:]) != first
    higher = songs[3]._replace(bars=(songs[3].bars + 1).astype(np.uint8))
    assert identity([*songs[:3], higher, *songs[4:]]) != first


def test_nothing_is_written_outside_whatever_the_names_are(source, tmp_path):
    source.items = fake_songs(names="../../{}/\x1b[2J\udcff.mid")
    place = tmp_path / "deep" / "corpus"
    corpus = build_corpus(settings_of(source), place)
    assert {r["name"] for r in corpus.records()} == {s.name for s in source.items}
    assert sorted(os.listdir(tmp_path)) == ["deep", "music"] and os.listdir(tmp_path / "deep") == ["corpus"]


def test_an_empty_result_is_one_line_with_the_reasons(source, tmp_path):
    source.items = [Skipped(f"{i}.mid", "no notes", "") for i in range(3)] + [Skipped("x", "empty file", "")]
    with pytest.raises(UserError, match="no notes: 3, empty file: 1"):
        build_corpus(settings_of(source), tmp_path / "corpus")
    source.items = fake_songs()
    with pytest.raises(UserError, match="too many bars: 30"):
        build_corpus(settings_of(source, max_bars=2), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_place_that_is_taken_is_refused_before_reading(source, tmp_path):
    with pytest.raises(UserError, match="neither empty nor a corpus"):
        build_corpus(settings_of(source), source.folder)
    assert source.calls == 0 and os.listdir(source.folder) == ["song.mid"]


def test_ensure_builds_once_and_again_when_something_changed(source, tmp_path):
    place, lines = tmp_path / "corpus", []

    def ensure(**fields):
        lines.clear()
        before = source.calls
        settings = settings_of(source, held_out=0.3, **fields)
        corpus = ensure_corpus(settings, place, progress=lines.append)
        assert corpus.settings == settings
        return source.calls - before

    assert ensure() == 1
    assert ensure() == 0 and lines == []
    assert ensure(max_bars=100) == 1
    assert "max_bars was 339, is 100" in lines[0]
    assert ensure(max_bars=100) == 0
    (source.folder / "new.mid").write_bytes(b"MThd")
    assert ensure(max_bars=100) == 1 and "changed" in lines[0]
    (place / "tokens.npy").write_bytes(b"")
    assert ensure(max_bars=100) == 1 and "damaged" in lines[0]
    assert ensure(max_bars=100) == 0


def test_the_built_in_tunes_are_built_again_when_they_are_read_otherwise(source, tmp_path, monkeypatch):
    settings = CorpusSettings("builtin")
    old = ensure_corpus(settings, tmp_path / "corpus")
    assert ensure_corpus(settings, tmp_path / "corpus").identity == old.identity and source.calls == 1
    monkeypatch.setattr(builtin, "CACHE_FORMAT", builtin.CACHE_FORMAT + 1)
    assert Corpus.open(tmp_path / "corpus").identity == old.identity  # what was trained on it can go on
    lines = []
    ensure_corpus(settings, tmp_path / "corpus", progress=lines.append)
    assert source.calls == 2 and "what is read as builtin changed" in lines[0]


def test_a_file_that_is_no_music_does_not_change_the_source(source, tmp_path):
    ensure_corpus(settings_of(source), source.folder / "corpus")
    (source.folder / "notes.txt").write_text("remember the milk")
    ensure_corpus(settings_of(source), source.folder / "corpus")
    assert source.calls == 1


def test_a_corpus_travels_without_its_source(source, tmp_path):
    identity = ensure_corpus(settings_of(source), tmp_path / "corpus").identity
    source.folder.rename(tmp_path / "elsewhere")
    assert ensure_corpus(settings_of(source), tmp_path / "corpus").identity == identity and source.calls == 1


def test_command(source, tmp_path, capsys):
    place = tmp_path / "corpus"
    command.main([f"--source={source.folder}", f"--out={place}", "--bars=fixed16", "--no-pictures"])
    out, err = capsys.readouterr()
    assert "as read" in out and "read 31 files" in err
    assert Corpus.open(place).settings == settings_of(source, bars="fixed16")
    assert not (place / "report.png").exists()


def run(arguments, monkeypatch, capsys):
    """Exit status and lines on stderr of the command as it is typed."""
    monkeypatch.setattr("sys.argv", ["corpus", *arguments])
    with pytest.raises(SystemExit) as end:
        run_command(command.main)
    return end.value.code, capsys.readouterr().err.splitlines()


def test_command_says_mistakes_in_one_line(source, tmp_path, capsys, monkeypatch):
    flags = [f"--source={source.folder}", f"--out={tmp_path / 'corpus'}"]
    for mistake in (
        [*flags, "--held_out=7"],
        [flags[0], f"--out={source.folder}"],
        [*flags, "--bars=waltz"],
        flags[:1],
    ):
        status, lines = run(mistake, monkeypatch, capsys)
        assert status == 2 and len(lines) == 1 and lines[0].startswith("Error: ")


def test_command_when_interrupted(source, tmp_path, capsys, monkeypatch):
    def interrupted(settings, workers=None):
        yield fake_songs()[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "read_songs", interrupted)
    status, lines = run([f"--source={source.folder}", f"--out={tmp_path / 'corpus'}"], monkeypatch, capsys)
    assert status == 130 and lines[-1] == "Stopped. The same command again goes on."
    assert os.listdir(tmp_path) == ["music"]


def test_every_setting_is_a_flag_with_its_comment_as_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for field in dataclasses.fields(CorpusSettings):
        assert f"--{field.name} " in text
    assert "songs over this are dropped (thesis 7.1.1: 3 x 113); 0 is no limit (default: 339)" in text


REAL = [("nottingham", 1034, 35076, 12384), ("pop909", 909, 65352, 28943)]


@pytest.mark.more
@pytest.mark.parametrize(("folder", "songs", "bars", "distinct"), REAL)
def test_real_music_has_the_counts_of_an_independent_reader(real_midi, tmp_path, folder, songs, bars, distinct):
    """The counts stand in the README of the test music; chords in a melody leave room for two readings."""
    settings = CorpusSettings(str(real_midi / folder), bars="fixed16", min_pulse=0.0)
    corpus = build_corpus(settings, tmp_path / "corpus", workers=1, pictures=False)
    read = json.loads((tmp_path / "corpus" / "report.json").read_text())["as_read"]
    assert read["songs"] == songs
    assert abs(read["bars"] - bars) <= 2 and abs(read["distinct_bars"] - distinct) <= 10
    assert 0.98 * songs < len(corpus) < songs and corpus.tokens.max() == 129


# ---- few songs


def build_few(source, tmp_path, count, alike=False, **fields):
    """A corpus of the first songs, or of as many times the first one, and the warnings on the way."""
    songs = fake_songs(count)
    source.items = [song._replace(bars=songs[0].bars) for song in songs] if alike else songs
    lines = []
    corpus = build_corpus(settings_of(source, **fields), tmp_path / "corpus", progress=lines.append, pictures=False)
    return corpus, [line for line in lines if line.startswith("warning")]


def test_five_songs_can_be_trained_on_and_what_they_are_worth_is_said_once(source, tmp_path):
    corpus, warnings = build_few(source, tmp_path, 5, held_out=1e-6)
    assert sorted(corpus.sides.tolist()) == [TRAIN] * 4 + [HELD_OUT]
    (moved,) = [record for record in corpus.records() if "moved" in record]
    assert moved["side"] == "held out" and len(warnings) == 1
    assert f"{moved['name']!r} was moved" in warnings[0] and "4 songs to learn from and 1 held out" in warnings[0]
    assert "10 or more to learn from and 2 or more held out" in warnings[0]
    assert moved["name"] in (corpus.folder / "report.txt").read_text()
    assert json.loads((corpus.folder / "report.json").read_text())["moved"] == moved["name"]


def test_a_corpus_of_few_songs_warns_when_it_is_opened_too(source, tmp_path):
    lines = []
    settings = settings_of(source, held_out=0.4)
    source.items = fake_songs(5)
    for _ in range(2):
        ensure_corpus(settings, tmp_path / "corpus", progress=lines.append)
    assert len([line for line in lines if "let all stages run" in line]) == 2 and source.calls == 1


@pytest.mark.parametrize(
    ("count", "fields", "told"),
    [
        (1, {}, "it has 1 song, and a model needs 2"),
        (5, {"held_out": 0.0}, "no song is held out, since held_out is 0"),
        (5, {"held_out": 1.0}, "no song is to learn from, since held_out is 1"),
        (5, {"dedupe": "none"}, "all of its 5 songs are on one side of the split: they are alike"),
    ],
)
def test_what_keeps_models_from_being_trained_is_said_with_what_to_do(source, tmp_path, count, fields, told):
    alike = fields.get("dedupe") == "none"
    corpus, warnings = build_few(source, tmp_path, count, alike, **fields)
    assert len(warnings) == 1 and told in warnings[0]
    assert told in lacking(corpus.sides, corpus.settings)


def test_a_corpus_of_enough_songs_says_nothing(source, tmp_path):
    assert "is like one to learn from" in lacking(np.array([TRAIN, EXCLUDED]), settings_of(source))
    corpus, warnings = build_few(source, tmp_path, 40, held_out=0.3)
    assert not warnings and not any("moved" in record for record in corpus.records())
