"""The report's numbers against counts made by hand or by Python's statistics module."""

import json
import statistics

import matplotlib.image
import numpy as np
import pytest

from mcvae_jax.corpus.clean import clean
from mcvae_jax.corpus.pictures import draw, read_report
from mcvae_jax.corpus.read import Skipped, Song
from mcvae_jax.corpus.report import (
    commonest_tokens,
    describe,
    make_report,
    report_text,
    token_name,
    write_report,
)
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.bars import MOVE_BINS, Stats
from mcvae_jax.storage.jsonfile import DamagedFile, write_json
from tests.small_models import edit_json, save_corpus

SETTINGS = CorpusSettings("a source", max_bars=400, held_out=0.3)


def bar(*tokens):
    return [*tokens, *[129] * (16 - len(tokens))]


def song(name, bars, onsets=4, moved=1):
    moves = [onsets - moved, moved] + [0] * (MOVE_BINS - 2)
    counts = {"out_of_range": 2, "covered": 1, "shortened": 3, "padded": 2, "cut": 1, "left_out": 3}
    stats = Stats(onsets=onsets, moved=moved, moves=tuple(moves), **counts)
    return Song(name, name.encode().ljust(16)[:16], np.array(bars, np.uint8), stats, "")


def example():
    """Songs of 1, 2, 2 (a transposed copy), 300 and 500 bars."""
    a, b = bar(60, 129, 128, 62), bar(64)
    return [
        song("one", [a]),
        song("two", [a, b]),
        song("two again", [bar(65, 129, 128, 67), bar(69)]),
        song("long", [a] * 300, onsets=600, moved=0),
        song("too long", [a] * 500),
    ]


def example_report():
    skipped = [
        Skipped("x.mid", "no notes", ""),
        Skipped("y.mid", "no notes", ""),
        Skipped("z", "empty file", ""),
    ]
    return make_report(example(), clean(example(), SETTINGS), skipped, SETTINGS)


def test_describe_by_hand():
    a, b = bar(60, 129, 128, 62), bar(64)
    numbers = describe([np.array(bars, np.uint8) for bars in ([a], [a, b], [a, a, a, a])])
    assert (numbers["songs"], numbers["bars"], numbers["distinct_bars"], numbers["notes"]) == (3, 7, 2, 13)
    assert numbers["repeated_share"] == pytest.approx(5 / 7)
    lengths = [1, 2, 4]
    assert numbers["bars_per_song"] == {
        "mean": pytest.approx(statistics.mean(lengths)),
        "median": statistics.median(lengths),
        "standard_deviation": pytest.approx(statistics.pstdev(lengths)),
        "minimum": 1,
        "maximum": 4,
    }
    counts = numbers["token_counts"]
    assert len(counts) == 130
    assert {t: n for t, n in enumerate(counts) if n} == {60: 6, 62: 6, 64: 1, 128: 6, 129: 6 * 13 + 15}
    assert commonest_tokens(counts, 3) == [(129, 93), (60, 6), (62, 6)]


def test_before_and_after_cleaning():
    report = example_report()
    assert (report["as_read"]["songs"], report["as_read"]["bars"]) == (5, 805)
    assert (report["cleaned"]["songs"], report["cleaned"]["bars"]) == (3, 303)
    assert (report["cleaned_to_226"]["songs"], report["cleaned_to_226"]["bars"]) == (2, 3)
    assert report["as_read"]["songs_of_length"] == {"1": 1, "2": 2, "300": 1, "500": 1}
    assert report["left_out"] == {"no notes": 2, "empty file": 1, "duplicate tune": 1, "too many bars": 1}
    assert sum(side["songs"] for side in report["split"].values()) == 3
    assert sum(side["bars"] for side in report["split"].values()) == 303


def test_quantisation_by_hand():
    counts = example_report()["quantisation"]
    assert (counts["onsets"], counts["moved"]) == (616, 4)
    assert counts["share_moved"] == pytest.approx(4 / 616)
    assert counts["moves"][:3] == [612, 4, 0] and len(counts["moves"]) == MOVE_BINS
    assert (counts["out_of_range"], counts["covered"], counts["shortened"]) == (10, 5, 15)


def test_excluded_songs_are_named_with_their_training_song():
    tune = [bar(*np.random.default_rng(1).integers(60, 72, 16)) for _ in range(3)]
    songs = [song(f"{i}", [*tune, bar(50 + i)]) for i in range(12)]
    settings = CorpusSettings("s", held_out=0.4, dedupe="file")
    cleaned = clean(songs, settings)
    report = make_report(songs, cleaned, [], settings)
    assert len(report["excluded"]) == report["split"]["excluded"]["songs"] > 0
    training = {cleaned.songs[i].name for i in np.flatnonzero(cleaned.sides == 0)}
    for leak in report["excluded"]:
        assert leak["training_song"] in training and leak["name"] not in training and leak["similarity"] > 0.5
    assert f"like {report['excluded'][0]['training_song']}" in report_text(report)


@pytest.mark.usefixtures("rendered")
def test_files(tmp_path):
    report = example_report()
    write_report(report, tmp_path)
    draw(report, tmp_path / "report.png")
    assert json.loads((tmp_path / "report.json").read_text()) == report
    text = (tmp_path / "report.txt").read_text("utf-8")
    bars = ("10 too short", "5 too long", "left out: 15")
    for expected in ("805", "303", "no notes", "duplicate tune", "NO EVENT", "0.6% of 616 onsets", *bars):
        assert expected in text
    assert matplotlib.image.imread(tmp_path / "report.png").std() > 0.05


@pytest.mark.parametrize("max_bars", [0, 1])
@pytest.mark.usefixtures("rendered")
def test_pictures_of_odd_corpora(tmp_path, max_bars):
    """No limit, and a corpus of which cleaning leaves one song."""
    settings = CorpusSettings("s", max_bars=max_bars)
    draw(make_report(example(), clean(example(), settings), [], settings), tmp_path / "x.png")
    only_long = [song("long", [bar(60)] * 300)]
    draw(make_report(only_long, clean(only_long, SETTINGS), [], SETTINGS), tmp_path / "y.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000 and (tmp_path / "y.png").stat().st_size > 10_000


def test_names_cannot_act_on_a_terminal():
    songs = [s._replace(name=s.name + "\x1b[2J\n") for s in example()]
    report = make_report(songs, clean(songs, SETTINGS), [], CorpusSettings("evil\x1b[2J"))
    assert "\x1b" not in report_text(report)


def test_token_names():
    assert [token_name(t) for t in (69, 60, 21, 108, 0, 128, 129)] == [
        "A4", "C4", "A0", "C8", "C-1", "NOTE OFF", "NO EVENT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("as_read", {"songs_of_length": {"5": 2**53}}),
        ("as_read", {"songs_of_length": {}}),
        ("cleaned", {"repeated_share": "half"}),
        ("quantisation", {"share_moved": None}),
    ],
)
def test_a_report_that_cannot_be_drawn_is_damaged(tmp_path, part, fields):
    report = example_report()
    save_corpus(tmp_path / "corpus")
    write_json(tmp_path / "corpus" / "report.json", report | {part: report[part] | fields})
    edit_json(tmp_path / "corpus" / "corpus.json", lambda header: header.update(digests={}))
    with pytest.raises(DamagedFile, match=f"report.json is damaged .*{part}"):
        read_report(tmp_path / "corpus")


@pytest.mark.usefixtures("rendered")
def test_signs_of_mathematics_are_drawn_as_they_are(tmp_path):
    draw(example_report() | {"left_out": {"$x^$": 3}}, tmp_path / "x.png")
