"""The files of a corpus: what goes in comes out; nothing half, damaged or foreign is taken for one."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import (
    EXCLUDED,
    HELD_OUT,
    TRAIN,
    Corpus,
    distinct_bars,
    write_corpus,
)
from mcvae_jax.errors import UserError
from mcvae_jax.storage.jsonfile import read_json_lines, write_json_lines

SETTINGS = CorpusSettings("source", held_out=0.25)
NASTY_NAMES = ["../../etc/passwd", 'a"b\n\x1b[2J', "not \udcff utf-8", "日本"]


def example_songs(seed=0):
    rng = np.random.default_rng(seed)
    bars = rng.integers(0, 130, (6, 16)).astype(np.uint8)
    return [bars[rng.integers(0, 6, n)] for n in (5, 1, 7, 3)]


def write(folder, songs=None, sides=(TRAIN, HELD_OUT, TRAIN, EXCLUDED), finish=lambda _: None):
    records = [{"name": name, "title": ""} for name in NASTY_NAMES]
    skipped = [{"name": "bad.mid", "reason": "not MIDI", "detail": ""}]
    songs = example_songs() if songs is None else songs
    return write_corpus(folder, SETTINGS, "print", songs, np.array(sides), records, skipped, finish)


def test_round_trip(tmp_path):
    write(tmp_path / "a" / "corpus")
    corpus, songs = Corpus.open(tmp_path / "a" / "corpus"), example_songs()
    assert len(corpus) == 4 and corpus.settings == SETTINGS and corpus.fingerprint == "print"
    np.testing.assert_array_equal(corpus.lengths, [5, 1, 7, 3])
    for i, song in enumerate(songs):
        np.testing.assert_array_equal(corpus.song(i), song)
        np.testing.assert_array_equal(corpus.distinct[corpus.song_bar_ids(i)], song)
    assert len(corpus.distinct) == len({bar.tobytes() for song in songs for bar in song})
    assert [corpus.songs(side).tolist() for side in (TRAIN, HELD_OUT, EXCLUDED)] == [[0, 2], [1], [3]]
    assert corpus.bars(TRAIN).tolist() == [*range(5), *range(6, 13)]
    assert isinstance(corpus.tokens, np.memmap) and corpus.tokens.dtype == np.uint8
    assert [record["name"] for record in corpus.records()] == NASTY_NAMES
    assert sorted(os.listdir(tmp_path / "a")) == ["corpus"]


def test_a_corpus_from_before_a_setting_opens_with_its_default(tmp_path):
    write(tmp_path / "corpus")
    header = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    del header["settings"]["max_moved"], header["settings"]["steps_per_bar"], header["check"]
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps(header))
    assert Corpus.open(tmp_path / "corpus").settings == SETTINGS


def test_distinct_bars_against_a_loop():
    bars = np.random.default_rng(1).integers(0, 2, (300, 16)).astype(np.uint8) * np.array([0] * 9 + [127] * 7, np.uint8)
    distinct, ids = distinct_bars(bars)
    assert [row.tobytes() for row in distinct] == sorted({bar.tobytes() for bar in bars})
    np.testing.assert_array_equal(distinct[ids], bars)


def test_identity_is_that_of_the_content(tmp_path):
    songs = example_songs()
    identity = write(tmp_path / "a").identity
    assert len(identity) == 32 and write(tmp_path / "b").identity == identity
    changed = [song.copy() for song in songs]
    changed[2][3, 4] ^= 1
    joined = [np.concatenate(songs[:2])[:4], np.concatenate(songs[:2])[4:], *songs[2:]]
    others = [
        write(tmp_path / "c", changed).identity,
        write(tmp_path / "d", sides=(TRAIN, TRAIN, TRAIN, EXCLUDED)).identity,
        write(tmp_path / "e", joined).identity,
    ]
    assert len({identity, *others}) == 4


def test_a_crash_leaves_no_corpus_and_no_litter(tmp_path):
    def crash(place):
        assert (place / "tokens.npy").exists()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write(tmp_path / "new", finish=crash)
    assert os.listdir(tmp_path) == []
    before = write(tmp_path / "old").identity
    with pytest.raises(RuntimeError):
        write(tmp_path / "old", example_songs(5), finish=crash)
    assert Corpus.open(tmp_path / "old").identity == before and os.listdir(tmp_path) == ["old"]


def test_every_file_but_the_last_is_written_before_the_header(tmp_path):
    def killed(place):
        os.rename(place, tmp_path / "half")  # what a kill at this moment would leave
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "corpus", finish=killed)
    assert (tmp_path / "half" / "tokens.npy").exists()
    with pytest.raises(UserError, match="holds no corpus"):
        Corpus.open(tmp_path / "half")


def test_a_corpus_is_replaced_whole(tmp_path):
    write(tmp_path / "corpus", finish=lambda place: (place / "report.txt").write_text("old"))
    new = write(tmp_path / "corpus", example_songs(5))
    np.testing.assert_array_equal(new.song(0), example_songs(5)[0])
    assert not (tmp_path / "corpus" / "report.txt").exists() and os.listdir(tmp_path) == ["corpus"]


def test_a_corpus_stays_when_its_successor_cannot_take_its_place(tmp_path, monkeypatch):
    before, rename = write(tmp_path / "corpus").identity, Path.rename

    def no_room(path, target):
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", no_room)
    with pytest.raises(UserError, match="disk of .* is full .*the same command goes on"):
        write(tmp_path / "corpus", example_songs(5))
    assert Corpus.open(tmp_path / "corpus").identity == before and os.listdir(tmp_path) == ["corpus"]


@pytest.mark.parametrize("names", [["thesis.doc"], ["corpus.json", "tokens.npy"], ["report.png"]])
def test_what_is_no_corpus_is_never_replaced(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text('{"format": "mine"}')
    with pytest.raises(UserError, match="choose another folder"):
        write(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_a_corpus_with_something_of_the_users_in_it_is_not_replaced(tmp_path):
    write(tmp_path / "corpus")
    (tmp_path / "corpus" / "my notes.txt").write_text("dear")
    with pytest.raises(UserError, match="my notes.txt"):
        write(tmp_path / "corpus")
    assert (tmp_path / "corpus" / "my notes.txt").read_text() == "dear"


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError):
            write(place)


def damage_header(**changes):
    """As by hand: without the check."""

    def damage(folder):
        header = json.loads((folder / "corpus.json").read_text())
        del header["check"]
        (folder / "corpus.json").write_text(json.dumps(header | changes))

    return damage


def flip_a_bit(folder):
    data = bytearray((folder / "tokens.npy").read_bytes())
    data[-5] ^= 1
    (folder / "tokens.npy").write_bytes(data)


def change_text(name, old, new):
    def damage(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


def replaced_by_a_folder(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def of_earlier_versions(folder):
    """Without digests of the text files, and one of these with a line that is no song."""
    damage_header(digests={})(folder)
    lines = (folder / "songs.jsonl").read_text().splitlines()
    (folder / "songs.jsonl").write_text("\n".join([*lines[:-1], '{"name": 7}', ""]))


class Explosive:
    def __reduce__(self):
        return pytest.fail, ("a corpus was unpickled",)


def pickle_inside(folder):
    (folder / "sides.npy").write_bytes(pickle.dumps(Explosive()))


def pickled_array_inside(folder):
    np.save(folder / "sides.npy", np.array([Explosive()], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "corpus.json").unlink(), "holds no corpus; build one"),
        (lambda folder: (folder / "corpus.json").write_text('{"format": "mcv'), "damaged"),
        (lambda folder: (folder / "corpus.json").write_bytes(b"\xff\x00"), "damaged"),
        (lambda folder: (folder / "corpus.json").write_text("[]"), "holds no object"),
        (lambda folder: (folder / "corpus.json").write_text("[" * 100_000), "nested too deep"),
        (replaced_by_a_folder("corpus.json"), "Is a directory"),
        (replaced_by_a_folder("tokens.npy"), "Is a directory"),
        (replaced_by_a_folder("songs.jsonl"), "not what was written"),
        (change_text("corpus.json", '"held_out": 0.25', '"held_out": 0.35'), "not what was written"),
        (change_text("songs.jsonl", "passwd", "passwc"), "songs.jsonl: it is not what was written"),
        (damage_header(identity="0" * 32), "corpus.json is not what was written"),
        (damage_header(fingerprint=7), "Expected `str`"),
        (damage_header(settings={"source": "a", "bars": "none"}), "bars='none' is unknown"),
        (damage_header(format="other"), "no corpus"),
        (damage_header(version=99), "version 99"),
        (damage_header(settings={"colour": "red"}), "damaged"),
        (damage_header(checksums=None), "damaged"),
        (lambda folder: (folder / "offsets.npy").unlink(), "damaged"),
        (lambda folder: os.truncate(folder / "tokens.npy", 130), "damaged"),
        (lambda folder: os.truncate(folder / "tokens.npy", 0), "damaged"),
        (lambda folder: (folder / "songs.jsonl").unlink(), "damaged"),
        (lambda folder: os.truncate(folder / "songs.jsonl", 10), "songs.jsonl: it is not what was written"),
        (of_earlier_versions, "songs.jsonl has not a line for each song"),
        (flip_a_bit, "damaged"),
        (pickle_inside, "damaged"),
        (pickled_array_inside, "damaged"),
    ],
)
def test_damage_is_one_clear_line(tmp_path, damage, message):
    write(tmp_path / "corpus")
    damage(tmp_path / "corpus")
    with pytest.raises(UserError, match=message) as caught:
        Corpus.open(tmp_path / "corpus")
    assert "\n" not in str(caught.value)


def test_jsonl_is_a_line_for_each_row(tmp_path):
    rows = [{"name": name} for name in NASTY_NAMES]
    write_json_lines(tmp_path / "x", rows)
    assert len((tmp_path / "x").read_bytes().splitlines()) == len(NASTY_NAMES)
    assert read_json_lines(tmp_path / "x") == (rows, [])
