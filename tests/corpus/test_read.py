"""From a source to songs: folders, archives, bad input, and workers that die."""

import io
import os
import random
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from mcvae_jax.corpus import sources
from mcvae_jax.corpus.read import Skipped, Song, read_file, read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.music import readers
from mcvae_jax.music.bars import bars_to_tokens, tokens_to_bars
from mcvae_jax.music.midi import write_midi
from mcvae_jax.music.score import Reason, Score, Track
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, canonical, tokens_to_notes
from tests import midi_oracle as raw

GOOD = {
    "a.mid": raw.midi(raw.melody(range(60, 76), 480)),
    "deep/er/b.MIDI": raw.midi(raw.melody(range(60, 64), 480)),
    "deep/c.kar": raw.midi(raw.melody([60, 62], 480), kind=0),
}
BAD = {
    "bad/cut.mid": (raw.midi(raw.melody([60]))[:-5], Reason.DAMAGED),
    "bad/drums.mid": (raw.midi(raw.melody([38], channel=9)), Reason.DRUMS_ONLY),
    "bad/empty.mid": (b"", Reason.EMPTY),
    "bad/far.mid": (
        raw.midi(raw.chunk([(2**28 - 1, b"\xb0\1\1")] * 8 + [(9, raw.on(60)), (9, raw.off(60))])),
        Reason.TOO_LONG,
    ),
    "bad/none.mid": (raw.midi(raw.chunk([])), Reason.NO_NOTES),
    "bad/smpte.mid": (raw.midi(raw.melody([60]), division=0xE250), Reason.SMPTE),
    "bad/text.mid": (b"not MIDI", Reason.NOT_MUSIC),
    "bad/tracks.mid": (raw.midi(tracks=65535) + raw.chunk([]) * 70_000, Reason.TOO_MANY_TRACKS),
}  # fmt: skip


def all_files():
    return GOOD | {name: data for name, (data, _reason) in BAD.items()} | {"readme.txt": b"not music"}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "music"
    for name, data in all_files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def read(source, workers=1, **settings):
    return list(read_songs(CorpusSettings(str(source), **settings), workers))


def assert_is_everything(results):
    assert [r.name for r in results] == sorted(name for name in all_files() if name != "readme.txt")
    songs = [r for r in results if isinstance(r, Song)]
    assert {s.name: len(s.bars) for s in songs} == {"a.mid": 4, "deep/er/b.MIDI": 1, "deep/c.kar": 1}
    assert songs[0].bars.dtype == np.uint8 and songs[0].bars[0].tolist() == [
        60, 129, 129, 129, 61, 129, 129, 129, 62, 129, 129, 129, 63, 129, 129, 129,
    ]  # fmt: skip
    assert len({s.checksum for s in songs}) == 3 and all(len(s.checksum) == 16 for s in songs)
    reasons = {r.name: r.reason for r in results if isinstance(r, Skipped)}
    assert reasons == {name: reason for name, (_data, reason) in BAD.items()}


def contents(results):
    return [(r.name, r.bars.tobytes(), r.checksum) if isinstance(r, Song) else r for r in results]


class TestSources:
    def test_folder(self, folder):
        assert_is_everything(read(folder))

    def test_workers_change_nothing(self, folder):
        assert contents(read(folder, workers=3)) == contents(read(folder, workers=1))

    def test_zip(self, folder, tmp_path):
        with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in all_files().items():
                archive.writestr(name, data)
        assert_is_everything(read(tmp_path / "m.zip"))

    def test_songs_off_the_grid_are_left_out_where_that_is_asked_for(self, tmp_path):
        free = raw.midi(raw.melody(range(60, 76), 611))
        (tmp_path / "free.mid").write_bytes(free)
        (tmp_path / "strict.mid").write_bytes(raw.midi(raw.melody(range(60, 76), 480)))
        kept = [type(item) for item in read_songs(CorpusSettings(str(tmp_path), min_pulse=0.0), 1)]
        assert kept == [Song, Song]
        first, second = read_songs(CorpusSettings(str(tmp_path), max_moved=0.3, min_pulse=0.0), 1)
        assert first == Skipped("free.mid", Reason.OFF_GRID, "38% move by a quarter of a step or more")
        assert isinstance(second, Song)

    @pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_tar(self, tmp_path, suffix, workers):
        source = tmp_path / f"m{suffix}"
        with tarfile.open(source, "w" if suffix == ".tar" else "w:gz") as archive:
            for name, data in reversed(all_files().items()):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        assert_is_everything(read(source, workers))

    def test_single_file(self, folder):
        (song,) = read(folder / "a.mid")
        assert song.name == "a.mid" and len(song.bars) == 4

    def test_settings_reach_the_songs(self, folder):
        results = read(folder, min_pitch=61, max_pitch=62, metre="3/4")
        assert {r.reason for r in results if isinstance(r, Skipped)} >= {Reason.METRE}
        results = read(folder, min_pitch=61, max_pitch=62, bars="fixed16")
        assert [len(r.bars) for r in results if isinstance(r, Song)] == [1, 1, 1]
        assert read(folder, workers=2, melody="channel:3")[0].reason == Reason.NO_MELODY


class TestUserErrors:
    @pytest.mark.parametrize(
        ("source", "message"),
        [("absent", "there is no"), ("empty", "holds no music files"), ("a.wav", "is no music file")],
    )
    def test_no_music(self, tmp_path, source, message):
        (tmp_path / "empty").mkdir()
        (tmp_path / "a.wav").write_bytes(b"RIFF")
        with pytest.raises(UserError, match=message):
            read(tmp_path / source)

    @pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
    def test_no_archive(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"no archive at all" * 100)
        with pytest.raises(UserError, match="that can be read"):
            read(tmp_path / name)

    @pytest.mark.parametrize("settings", [{"melody": "loudest"}, {"metre": "waltz"}])
    def test_settings_are_checked_before_any_file(self, folder, settings):
        with pytest.raises(UserError, match="|".join(settings)):
            read(folder, **settings)


class TestHostileFolders:
    def test_links_names_and_permissions(self, folder):
        os.symlink(folder / "nowhere.mid", folder / "broken.mid")
        os.symlink("self.mid", folder / "self.mid")
        os.symlink(folder, folder / "deep" / "loop")
        os.symlink(folder / "a.mid", folder / "linked.mid")
        os.mkfifo(folder / "pipe.mid")
        with open(os.fsencode(folder) + b"/caf\xe9\n.mid", "wb") as file:
            file.write(GOOD["a.mid"])
        (folder / "huge.mid").write_bytes(b"MThd" + bytes(5 << 20))
        results = {r.name: r for r in read(folder)}
        assert results["broken.mid"].reason == Reason.BROKEN_LINK
        assert results["self.mid"].reason == Reason.BROKEN_LINK
        assert results["deep/loop"].reason == Reason.LINK_LOOP
        assert results["pipe.mid"].reason == Reason.UNREADABLE
        assert results["huge.mid"].reason == Reason.TOO_LARGE
        assert np.array_equal(results["linked.mid"].bars, results["a.mid"].bars)
        assert isinstance(results[r"caf\udce9\n.mid"], Song)  # it can be read, and its name printed
        assert all(name.isprintable() and name.encode("utf-8") for name in results)

    def test_unreadable(self, folder, monkeypatch):
        def refuse(path, flags):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(sources, "_open_at_once", refuse)
        (song,) = read_file(sources.File("a.mid", ".mid", str(folder / "a.mid")), CorpusSettings(str(folder)))
        assert song == Skipped("a.mid", Reason.UNREADABLE, "Permission denied")

    def test_a_file_that_goes_away(self, folder, monkeypatch):
        files, _sorted = sources.list_files(str(folder))
        monkeypatch.setattr(sources, "_folder", lambda root: list(files))
        (folder / "a.mid").unlink()
        assert read(folder)[0] == Skipped("a.mid", Reason.BROKEN_LINK, "No such file or directory")


def test_titles_and_details_are_bounded(tmp_path):
    (tmp_path / "a.abc").write_text(f"X:1\nT:{'long ' * 10_000}\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n")
    (tmp_path / "b.mid").write_bytes(raw.midi(raw.melody([60]))[:-5] + b"\x1b" * 10**5)
    song, skipped = read(tmp_path)
    assert len(song.title) == 200 and len(skipped.detail) <= 200 and skipped.detail.isprintable()


class TestChildren:
    def test_callers_need_no_main_guard_and_no_jax(self, tmp_path, folder):
        script = tmp_path / "script.py"
        script.write_text(
            "import sys\n"
            "from mcvae_jax.corpus.read import read_songs\n"
            "from mcvae_jax.corpus.settings import CorpusSettings\n"
            f"print(len(list(read_songs(CorpusSettings({str(folder)!r}), 2))), 'jax' in sys.modules)\n"
        )
        out = subprocess.run(
            [sys.executable, script],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        )
        assert out.stdout.split() == ["11", "False"], out.stderr


@pytest.mark.parametrize("policy", ["metre", "fixed16"])
def test_what_is_written_reads_back_as_the_same_bars(tmp_path, policy):
    rng = np.random.default_rng(0)
    written = []
    for trial in range(50):
        tokens = canonical(rng.choice([55, 60, 64, 67, 72, NOTE_OFF, NO_EVENT, NO_EVENT], size=16 * 8))
        tokens[rng.integers(0, 16)] = 60  # the first bar sounds
        bars = tokens_to_bars(canonical(tokens))
        start, end, pitch = (column * 120 for column in tokens_to_notes(bars_to_tokens(bars)))
        track = Track("melody", 0, False, start, end, pitch // 120)
        score = Score((track,), 480, np.array([[0, 4, 4]]), np.array([[0, 100.0]]))
        write_midi(tmp_path / f"{trial:02d}.mid", score)
        written.append(bars.tolist())
    for song, bars in zip(read(tmp_path, bars=policy), written, strict=True):
        assert song.bars.tolist() == bars
        assert song.stats.moved == 0


def test_random_bytes_in_every_format_are_skipped(tmp_path):
    """Whatever stands in a file, its reader answers with a reason."""
    rng = random.Random(0)
    for i, suffix in enumerate([".mid", ".kar"] * 100):
        start = rng.choice([b"", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk"])
        (tmp_path / f"{i}{suffix}").write_bytes(start + rng.randbytes(rng.randrange(200)))
    results = read(tmp_path)
    assert len(results) == 200
    assert all(isinstance(r, Song) or r.reason in Reason for r in results)


def odd(data):
    """A reader that raises what the data say, as a library may."""
    if data == b"memory":
        try:
            raise MemoryError
        except MemoryError:
            raise ValueError("cannot allocate") from None
    raise {b"key": KeyError("x\x1b"), b"recursion": RecursionError(), b"system": SystemError("null")}[data]


@pytest.mark.parametrize("data", [b"key", b"recursion", b"system"])
def test_whatever_a_reader_raises_is_the_reason_of_its_file(tmp_path, monkeypatch, data):
    form = readers.FORMATS[".krn"]._replace(reader="tests.corpus.test_read:odd")
    monkeypatch.setitem(readers.FORMATS, ".krn", form)
    (skipped,) = read_file(sources.File("a.krn", ".krn", data=data), CorpusSettings(""))
    assert skipped.reason == Reason.DAMAGED and skipped.detail.isprintable() and "Error" in skipped.detail


def test_a_lack_of_memory_is_no_damage_whatever_a_library_calls_it(monkeypatch):
    form = readers.FORMATS[".krn"]._replace(reader="tests.corpus.test_read:odd")
    monkeypatch.setitem(readers.FORMATS, ".krn", form)
    with pytest.raises(MemoryError):
        read_file(sources.File("a.krn", ".krn", data=b"memory"), CorpusSettings(""))
