"""The table of collections: each row is read from a small archive in its own layout, from a server on loopback."""

import csv
import hashlib
import io
import json
import re
import tarfile
import zipfile

import pytest

from mcvae_jax.corpus import __main__ as command
from mcvae_jax.corpus import transfer
from mcvae_jax.corpus.build import build_corpus, ensure_corpus, source_fingerprint, what_changed
from mcvae_jax.corpus.datasets import DATA_SETS
from mcvae_jax.corpus.read import Song, read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import Skipped
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from tests import midi_oracle as raw
from tests.file_server import serving

REMOTE = [row for row in DATA_SETS.values() if row.remote]


def tune(first: int) -> bytes:
    """A file of MIDI: two bars of quarters upwards."""
    return raw.midi(raw.melody(range(first, first + 8), 480))


def band(first: int) -> bytes:
    """A file as those of POP909: its melody has less notes than what accompanies it, and a name."""
    parts = {b"BRIDGE": (40, 240, 16), b"MELODY": (first, 480, 8), b"PIANO": (60, 240, 16)}
    tracks = []
    for name, (low, length, count) in parts.items():
        notes = [event for p in range(low, low + count) for event in ((0, raw.on(p)), (length, raw.off(p)))]
        tracks.append(raw.chunk([(0, raw.name(name)), *notes]))
    return raw.midi(*tracks)


def abc(title: str, notes: str) -> str:
    return f"X:1\nT:{title}\nM:4/4\nL:1/4\nK:C\n{notes}\n"


KERN = "**kern\n*M4/4\n4c\n4d\n4e\n4f\n=2\n4g\n4a\n4b\n4cc\n==\n*-\n"
DUMP = [
    ["tune_id", "setting_id", "name", "type", "meter", "mode", "abc", "date", "username", "composer"],
    ["1", "10", "One, The", "reel", "4/4", "Gmajor", '"G"|:GABc dedB|\n\ndedB dedB:|', "2020-01-01 00:00:00", "x", ""],
    ["1", "11", "One, The", "reel", "4/4", "Edorian", "EFGA BAGF|\nE2E2 E4|", "2020-01-01 00:00:00", "y", ""],
    ["2", "20", "Two", "jig", "6/8", "Amixolydian", "ABc def|edc BAG|", "2020-01-01 00:00:00", "z", "Somebody"],
]
LAYOUTS = {  # members of each archive, with the pitch of the first note where they are songs of the collection
    "essen": {
        "esac/erk.abc": (abc("a", "CDEF|GABc|") + "\n" + abc("b", "DEFG|ABcd|")).encode(),
        "esac/readme.txt": b"",
    },
    "essen-kern": {
        "essen-folksong-collection-bc6aff985c0d826abd710638f6588fa814606c18/europa/czech/czech01.krn": KERN.encode(),
        "essen-folksong-collection-bc6aff985c0d826abd710638f6588fa814606c18/license.txt": b"no",
    },
    "lakh-clean": {"clean_midi/ABBA/Waterloo.mid": tune(60), "clean_midi/ABBA/Waterloo.1.mid": tune(62)},
    "lakh-full": {"lmd_full/0/0a.mid": tune(60), "lmd_full/f/ff.mid": b"damaged"},
    "lakh-matched": {"lmd_matched/A/A/A/TRAAAAA/0a.mid": tune(60)},
    "maestro": {
        "maestro-v3.0.0/2004/MIDI-Unprocessed_01.midi": tune(60),
        "maestro-v3.0.0/maestro-v3.0.0.csv": b"canonical_composer\n",
    },
    "nottingham": {"NMD/jigs.abc": abc("a", "CDEF|GABc|").encode(), "NMD/reels.abc": abc("b", "DEFG|ABcd|").encode()},
    "nottingham-midi": {
        "nottingham-dataset-master/MIDI/melody/jigs1.mid": tune(60),
        "nottingham-dataset-master/MIDI/jigs1.mid": tune(40),
        "nottingham-dataset-master/MIDI/chords/jigs1.mid": tune(30),
        "nottingham-dataset-master/ABC_cleaned/jigs.abc": abc("a", "CDEF|").encode(),
    },
    "pop909": {
        "POP909-Dataset-master/POP909/001/001.mid": band(60),
        "POP909-Dataset-master/POP909/001/versions/001-v1.mid": band(70),
        "POP909-Dataset-master/POP909/001/beat_midi.txt": b"0.0 1.0 0.0",
        "POP909-Dataset-master/data_process/sample.mid": band(50),
    },
    "thesession": {},
}
SONGS = {
    "essen": {"esac/erk.abc#1": 60, "esac/erk.abc#2": 62},
    "essen-kern": {
        f"essen-folksong-collection-{'bc6aff985c0d826abd710638f6588fa814606c18'}/europa/czech/czech01.krn": 60
    },
    "lakh-clean": {"clean_midi/ABBA/Waterloo.1.mid": 62, "clean_midi/ABBA/Waterloo.mid": 60},
    "lakh-full": {"lmd_full/0/0a.mid": 60},
    "lakh-matched": {"lmd_matched/A/A/A/TRAAAAA/0a.mid": 60},
    "maestro": {"maestro-v3.0.0/2004/MIDI-Unprocessed_01.midi": 60},
    "nottingham": {"NMD/jigs.abc": 60, "NMD/reels.abc": 62},
    "nottingham-midi": {"nottingham-dataset-master/MIDI/melody/jigs1.mid": 60},
    "pop909": {"POP909-Dataset-master/POP909/001/001.mid": 60},
    "thesession": {"1/10": 67, "1/11": 64},
}


def packed(name: str, file: str) -> bytes:
    """The small archive of a collection."""
    data = io.BytesIO()
    if file.endswith(".csv"):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(DUMP)
        return text.getvalue().encode()
    if file.endswith(".zip"):
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in LAYOUTS[name].items():
                archive.writestr(member, content)
    else:
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for member, content in LAYOUTS[name].items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The rows of the table with the addresses of a server on loopback, which gives a small archive for each."""
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSES", ())
    with serving() as (files, address):
        for row in REMOTE:
            data = packed(row.name, row.remote.file)
            path = f"/{row.name}/{row.remote.file}"
            files.files[path] = data
            sha256 = hashlib.sha256(data).hexdigest() if row.remote.sha256 else ""
            remote = row.remote._replace(address=address + path, size=len(data) if sha256 else 0, sha256=sha256)
            monkeypatch.setitem(DATA_SETS, row.name, row._replace(remote=remote))
        yield files


@pytest.mark.parametrize("name", [row.name for row in REMOTE])
def test_each_collection_is_read_in_its_own_layout(served, name):
    settings = CorpusSettings(name, min_pulse=0.0)
    items = list(read_songs(settings, 1))
    songs = {item.name: int(item.bars[0, 0]) for item in items if isinstance(item, Song)}
    assert songs == SONGS[name]
    skipped = [item for item in items if isinstance(item, Skipped)]
    assert [(skip.name, skip.reason) for skip in skipped] == {
        "lakh-full": [("lmd_full/f/ff.mid", "not a music file")],
        "thesession": [("2/20", "metre does not fill the bar")],
    }.get(name, [])
    assert source_fingerprint(settings) == hashlib.sha256(DATA_SETS[name].place.read_bytes()).hexdigest()


def test_the_melody_of_pop909_is_the_track_of_that_name(served):
    (song,) = read_songs(CorpusSettings("pop909"), 1)
    pitches = song.bars[song.bars < 128].tolist()
    assert pitches == list(range(60, 68))


def test_a_setting_of_the_session_has_its_fields(served):
    first = next(iter(read_songs(CorpusSettings("thesession"), 1)))
    assert (first.name, first.title, first.metre) == ("1/10", "One, The", (4, 4))
    assert len(first.bars) == 4  # the repeat is played, and the blank line within does not end the tune
    assert first.bars[0, ::2].tolist() == [67, 69, 71, 72, 74, 76, 74, 71]  # eighths
    jig = [song for song in read_songs(CorpusSettings("thesession", steps_per_bar=12), 1) if isinstance(song, Song)]
    assert [song.name for song in jig] == ["2/20"]
    assert jig[0].bars[0, ::2].tolist() == [69, 71, 73, 74, 76, 78]  # A mixolydian has a c sharp


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "is no dump of The Session: it has no column 'tune_id'"),
        ("", "is no dump of The Session"),
        ("tune_id,setting_id,name,type,meter,mode,abc\n", "holds no music"),
    ],
)
def test_another_table_is_no_dump_of_the_session(served, text, words):
    served.files["/thesession/tunes.csv"] = text.encode()
    with pytest.raises(UserError, match=words if text else "an empty file came|is no whole file"):
        list(read_songs(CorpusSettings("thesession"), 1))


def test_a_row_that_is_none_costs_itself_alone(served):
    text = io.StringIO(newline="")
    rows = [*DUMP[:2], ["3", "30"], ["4", "40", "x", "reel", "4/4", "C", "C" * 200_000], DUMP[2]]
    csv.writer(text, lineterminator="\n").writerows(rows)
    served.files["/thesession/tunes.csv"] = text.getvalue().encode()
    items = list(read_songs(CorpusSettings("thesession"), 1))
    assert {item.name for item in items if isinstance(item, Song)} == {"1/10", "1/11"}
    assert [(item.reason, item.detail) for item in items if isinstance(item, Skipped)] == [
        ("damaged or truncated", "it has too few columns"),
        ("damaged or truncated", "field larger than field limit (131072)"),
    ]


def test_licence_and_citation_are_said_and_recorded(served, tmp_path):
    settings, lines = CorpusSettings("lakh-clean", held_out=0.0), []
    corpus = build_corpus(settings, tmp_path / "corpus", 1, lines.append, pictures=False)
    row = DATA_SETS["lakh-clean"]
    first, *terms = lines[0].split("\n")
    assert first == f"lakh-clean: downloading what is there from {row.remote.address}"
    assert terms == [f"  licence: {row.licence}", f"  cite: {row.citation}", f"  note: {row.note}"]
    record = row.record()
    expected = {"name": "lakh-clean", "licence": row.licence, "citation": row.citation, "sha256": record["sha256"]}
    expected |= {"address": row.remote.address, "bytes": str(record["bytes"]), "fetched": record["fetched"]}
    assert corpus.provenance == expected == Corpus.open(tmp_path / "corpus").provenance
    report = json.loads((tmp_path / "corpus" / "report.json").read_text())
    assert report["provenance"] == expected
    text = (tmp_path / "corpus" / "report.txt").read_text()
    assert text.startswith("Corpus of lakh-clean\n") and f"\nlicence: {row.licence}\n" in text
    assert f"\ncitation: {row.citation}\n" in text
    tunes = build_corpus(CorpusSettings("tunes", held_out=0.0), tmp_path / "tunes", pictures=False)
    assert tunes.provenance == {"name": "tunes", "licence": DATA_SETS["tunes"].licence}


def test_offline_use(served, tmp_path):
    settings = CorpusSettings("nottingham", held_out=0.0)
    first = build_corpus(settings, tmp_path / "one", 1, pictures=False)
    served.files.clear()
    assert build_corpus(settings, tmp_path / "two", 1, pictures=False).identity == first.identity
    DATA_SETS["nottingham"].place.unlink()
    assert ensure_corpus(settings, tmp_path / "one").identity == first.identity  # a corpus travels alone
    with pytest.raises(UserError, match="^nottingham was not downloaded: 127.0.0.1 answers 404"):
        build_corpus(settings, tmp_path / "one", 1, pictures=False)
    assert Corpus.open(tmp_path / "one").identity == first.identity


def test_a_corpus_is_built_again_where_the_collection_is_another(served, tmp_path):
    settings = CorpusSettings("lakh-matched", held_out=0.0)
    row = DATA_SETS["lakh-matched"]
    corpus = build_corpus(settings, tmp_path / "corpus", 1, pictures=False)
    assert what_changed(corpus, settings) == ""
    (row.place.parent / f"{row.place.name}.json").unlink()
    data = packed("lakh-clean", row.place.name)
    row.place.write_bytes(data)
    DATA_SETS[row.name] = row._replace(remote=row.remote._replace(sha256="", size=len(data)))  # `served` restores it
    DATA_SETS[row.name].fetch(lambda _: None)
    assert what_changed(corpus, settings) == "what is read as lakh-matched changed"


def test_performances_are_refused_before_anything_is_downloaded(served, tmp_path):
    with pytest.raises(UserError, match="^maestro holds performances .*; min_pulse=0 takes them all the same"):
        build_corpus(CorpusSettings("maestro"), tmp_path / "corpus")
    assert not served.asked and not (tmp_path / "corpus").exists()


def test_a_hostile_archive_stays_within_its_limits(served, monkeypatch):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../NMD/escape.abc", abc("a", "CDEF|"))
        archive.writestr("NMD/bomb.abc", b"\0" * (64 << 20))
    row = DATA_SETS["nottingham"]
    served.files["/nottingham/nottingham_database.zip"] = data.getvalue()
    remote = row.remote._replace(sha256="", size=len(data.getvalue()))
    monkeypatch.setitem(DATA_SETS, "nottingham", row._replace(remote=remote))
    song, skipped = read_songs(CorpusSettings("nottingham"), 1)
    assert isinstance(song, Song) and (skipped.name, skipped.reason) == ("NMD/bomb.abc", "file too large")
    assert sorted(path.name for path in row.place.parent.iterdir()) == [
        ".lock",
        row.place.name,
        f"{row.place.name}.json",
    ]


def test_the_table_is_printed(served, capsys):
    DATA_SETS["pop909"].fetch(lambda _: None)
    with pytest.raises(SystemExit, match="0"):
        command.main(["--list"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for row in DATA_SETS.values():
        assert f"{row.name} {row.description} licence: {row.licence}" in text
        assert not row.remote or f"place: {row.place} (" in text
    assert text.count("not fetched yet") == len(REMOTE) - 1


def test_the_facts_of_the_table_have_their_form():
    """A published hash has an exact size with it; every collection says its terms, and whose it is."""
    for row in REMOTE:
        assert row.licence and row.citation and row.remote.address.startswith(("http://", "https://"))
        assert re.fullmatch("([0-9a-f]{64})?", row.remote.sha256) and (row.remote.size > 0 or not row.remote.sha256)
        assert row.remote.file.endswith((".zip", ".tar.gz", ".csv"))
    assert sorted(DATA_SETS) == sorted(DATA_SETS, key=str.lower) and set(LAYOUTS) == {row.name for row in REMOTE}
