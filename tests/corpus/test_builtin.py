"""The built-in sources: our own tunes, the fiddle collections, and the cache."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from mcvae_jax.corpus import builtin, datasets
from mcvae_jax.corpus.build import source_fingerprint
from mcvae_jax.corpus.read import read_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.measures import TICKS_PER_QUARTER
from mcvae_jax.music.score import Reason, Score, Skip

SIXTEENTH = TICKS_PER_QUARTER // 4
TUNES = dict(builtin.own_tunes())


def plain(score: Score) -> list:
    """A score as values that compare: arrays become their type and numbers."""
    values = [*score._replace(tracks=()), *(value for track in score.tracks for value in track)]
    return [(v.dtype, v.tolist()) if isinstance(v, np.ndarray) else v for v in values]


def test_own_tunes_are_about_twenty_and_state_their_source():
    text = (Path(builtin.__file__).parent / "tunes" / "tunes.txt").read_text(encoding="utf-8")
    assert 20 <= len(TUNES) <= 25
    sources = re.findall("^source: (.*)", text, re.M)
    assert len(sources) == len(TUNES)
    assert all(re.search(r"\b1[5-9]\d\d|1[89]th century", source) for source in sources)


@pytest.mark.parametrize("name", TUNES)
def test_own_tune(name):
    """Complete bars, a singer's range, no note that hides another, and at least 15 bars of 16 steps."""
    score = TUNES[name]
    (track,) = score.tracks
    assert score.time_signatures[:, 0].tolist() == [0]  # a bar that does not fit would add another
    assert 55 <= track.pitch.min() and track.pitch.max() <= 76
    assert (track.start[1:] >= track.end[:-1]).all()
    assert not (track.start % SIXTEENTH).any() and not (track.end % SIXTEENTH).any()
    assert track.end[-1] - score.pickup >= 15 * 16 * SIXTEENTH


def test_own_tunes_have_complete_bars():
    """Read apart from the code under test: within a section only the first and the last bar may be short."""
    text = (Path(builtin.__file__).parent / "tunes" / "tunes.txt").read_text(encoding="utf-8")
    for tune in text.split("title: ")[1:]:
        numerator, denominator = map(int, re.search(r"metre: (\d)/(\d)", tune).groups())
        for section in re.findall("^[A-Z]: (.*)", tune, re.M):
            lengths = [sum(map(int, re.findall(r":(\d+)", bar))) for bar in section.split("|")]
            full = 16 * numerator // denominator
            assert set(lengths[1:-1]) <= {full}, tune
            assert (lengths[0] == lengths[-1] == full) or lengths[0] + lengths[-1] == full, tune


def test_ode_to_joy_by_hand():
    track = TUNES["tunes/Ode to Joy"].tracks[0]
    assert track.pitch[:15].tolist() == [66, 66, 67, 69, 69, 67, 66, 64, 62, 62, 64, 66, 66, 64, 64]
    assert (np.diff(track.start[:16]) // SIXTEENTH).tolist() == [4] * 12 + [6, 2, 8]


def test_auld_lang_syne_starts_before_the_bar():
    score = TUNES["tunes/Auld Lang Syne"]
    assert score.pickup == 4 * SIXTEENTH
    assert score.tracks[0].pitch[:6].tolist() == [60, 65, 65, 65, 69, 67]
    assert score.keys == ((0, "F"),)


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """A small collection of two files in place of music21's, and an empty cache."""
    folder = tmp_path / "music21" / "corpus" / "ryansMammoth"
    folder.mkdir(parents=True)
    tune = "X:{}\nT:Tune {}\nM:2/4\nL:1/16\nQ:1/4=100\nK:Dm\nA2|:dcde f2{}|\n"
    book = [tune.format(1, 1, "A2"), tune.format(2, 2, "[A2"), tune.format(3, 3, "g2")]
    (folder / "Book.abc").write_text("\n".join(book))
    (folder / "One.abc").write_text("X:1\nT:One\nM:C|\nK:G\nGABc d4:|\n")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "music21")]})
    monkeypatch.setattr(builtin.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_names_skips_and_cache_round_trip(collection, monkeypatch):
    pytest.importorskip("music21")
    first = list(builtin.fiddle_tunes())
    names = [name for name, _ in first]
    assert names == [*(f"ryansMammoth/Book.abc#{k}" for k in (1, 2, 3)), "ryansMammoth/One.abc"]
    assert isinstance(first[1][1], Skip) and first[1][1].reason == Reason.DAMAGED
    assert first[2][1].title == "Tune 3" and first[2][1].tempos.tolist() == [[0, 100]]

    monkeypatch.setattr(builtin, "read_collections", None)  # from here on only the cache can answer
    second = list(builtin.fiddle_tunes())
    assert [name for name, _ in second] == names
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert str(a) == str(b) if isinstance(a, Skip) else plain(a) == plain(b)


@pytest.mark.parametrize("kind", ["half", "empty", "other"])
def test_damaged_cache_is_built_again(collection, kind):
    pytest.importorskip("music21")
    first = [name for name, _ in builtin.fiddle_tunes()]
    (file,) = (collection / "cache").iterdir()
    whole = file.read_bytes()
    damaged = {"half": whole[: len(whole) // 2], "empty": b"", "other": gzip.compress(b'[{"name": 1}]')}
    file.write_bytes(damaged[kind])
    assert [name for name, _ in builtin.fiddle_tunes()] == first
    assert file.read_bytes() == whole
    assert list((collection / "cache").iterdir()) == [file]


def test_no_place_for_a_cache(collection, monkeypatch):
    pytest.importorskip("music21")
    (collection / "file").write_text("")
    monkeypatch.setenv("MCVAE_CACHE", str(collection / "file" / "below"))
    assert len(list(builtin.fiddle_tunes())) == 4


def test_a_few_tunes_of_the_real_collections():
    music21 = pytest.importorskip("music21")
    folder = Path(music21.__file__).parent / "corpus"
    ((name, score),) = builtin.read_book(folder / "ryansMammoth" / "AfterTheHareReel.abc")
    assert name == "ryansMammoth/AfterTheHareReel.abc" and score.title == "After the Hare -- Reel"
    bar = 8 * SIXTEENTH
    track = score.tracks[0]
    # Two parts of 8 bars, each twice. The pickup to the second finds no room at first (the bar before it is
    # full and ends with a note as short), but the second time it completes the part's short last bar.
    assert score.pickup == 0 and track.end[-1] == 32 * bar - 2 * SIXTEENTH
    assert track.pitch[:8].tolist() == [64, 69, 73, 69, 76, 69, 73, 69]
    books = builtin.read_book(folder / "oneills1850" / "0487-0500.abc")
    assert books[0][0] == "oneills1850/0487-0500.abc#1" and all(isinstance(s, Score) for _, s in books)


@pytest.mark.slow
def test_the_whole_of_both_collections(tmp_path, monkeypatch):
    """One of 3,068 tunes is damaged; 19 in 20 of those in 4/4, 2/2 and 2/4 keep their downbeats on a grid."""
    pytest.importorskip("music21")
    monkeypatch.setenv("MCVAE_CACHE", str(tmp_path))
    entries = list(builtin.fiddle_tunes())
    scores = [score for _, score in entries if isinstance(score, Score)]
    assert (len(entries), len(scores)) == (3068, 3067)
    fitting = [s for s in scores if tuple(s.time_signatures[0, 1:]) in ((4, 4), (2, 2), (2, 4))]
    regular = sum(len(score.time_signatures) == 1 for score in fitting)
    assert len(fitting) > 1800 and regular / len(fitting) > 0.94


def test_a_data_set_is_a_row(monkeypatch):
    """A row added is a source like the others: read, recorded by its state, and built again when that changes."""
    here = "tests.corpus.test_builtin"
    row = datasets.DataSet("mine", "one tune", "mine", f"{here}:one_tune", f"{here}:state")
    monkeypatch.setitem(datasets.DATA_SETS, "mine", row)
    settings = CorpusSettings("mine", held_out=0.0)
    songs = [song.name for song in read_songs(settings)]
    assert songs == ["tunes/one"]
    assert source_fingerprint(settings) == "first" and source_fingerprint(CorpusSettings("tunes")) == ""


def one_tune():
    yield "tunes/one", next(iter(TUNES.values()))


def state():
    return "first"
