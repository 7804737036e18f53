"""Corpora of other bars than 16 steps: what is kept, skipped and recorded, and in which metre songs are written."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from mcvae_jax.corpus.build import build_corpus, ensure_corpus
from mcvae_jax.corpus.metres import bar_facts, commonest_metre, song_metre
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from tests.small_models import save_corpus

pytestmark = pytest.mark.usefixtures("read_here")

TUNE = "X:{}\nT:Tune {}\nM:{}\nL:1/8\nK:C\n{}|]\n"
KINDS = {"6/8": "c2e gec", "3/4": "c2 e2 g2", "3/8": "ceg", "4/4": "c2e2 g2c'2", "2/4": "c2e2", "9/8": "ceg ceg ceg"}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Three jigs, two waltzes, and a tune each in 3/8, 4/4, 2/4 and 9/8, all different."""
    tunes = []
    for metre, times in {"6/8": 3, "3/4": 2, "3/8": 1, "4/4": 1, "2/4": 1, "9/8": 1}.items():
        for _ in range(times):
            number = len(tunes) + 1
            bars = [KINDS[metre], KINDS[metre].replace("e", "d'" if number % 2 else "f")] * (3 + number)
            tunes.append(TUNE.format(number, number, metre, "|".join(bars)))
    folder = tmp_path_factory.mktemp("book")
    (folder / "book.abc").write_text("\n".join(tunes))
    return folder


def build(book, place, **fields):
    return build_corpus(CorpusSettings(str(book), held_out=0.3, **fields), place, workers=1, pictures=False)


def test_what_a_corpus_of_12_steps_holds(book, tmp_path):
    corpus = build(book, tmp_path / "c", steps_per_bar=12)
    assert corpus.steps_per_bar == 12 and corpus.tokens.shape[1] == corpus.distinct.shape[1] == 12
    assert Counter(record.get("metre") for record in corpus.records()) == {"6/8": 3, "3/4": 2, "3/8": 1}
    report = json.loads((corpus.folder / "report.json").read_text())
    assert report["left_out"] == {"metre does not fill the bar of 12 steps": 3}
    assert "Quantisation to bars of 12 sixteenths" in (corpus.folder / "report.txt").read_text()
    skipped = [json.loads(line)["detail"] for line in (corpus.folder / "skipped.jsonl").open()]
    assert sorted(skipped) == ["2/4, not 12 steps", "4/4, not 12 steps", "9/8, not 12 steps"]
    assert Corpus.open(corpus.folder).settings.steps_per_bar == 12


@pytest.mark.parametrize(
    ("steps", "metres"), [(16, {None: 1, "2/4": 1}), (18, {"9/8": 1, "3/8": 1}), (24, {None: 1, "2/4": 1})]
)
def test_the_metres_of_other_widths(book, tmp_path, steps, metres):
    corpus = build(book, tmp_path / "c", steps_per_bar=steps)
    assert Counter(record.get("metre") for record in corpus.records()) == metres


def test_another_width_is_another_corpus(book, tmp_path):
    corpus, lines = build(book, tmp_path / "c"), []
    assert ensure_corpus(corpus.settings, corpus.folder, 1, lines.append).identity == corpus.identity
    assert not any("again" in line for line in lines)
    settings = dataclasses.replace(corpus.settings, steps_per_bar=12)
    assert ensure_corpus(settings, corpus.folder, 1, lines.append).steps_per_bar == 12
    assert any("steps_per_bar was 16, is 12" in line for line in lines)


def test_the_commonest_metre_of_training_songs(tmp_path):
    """Songs 0 to 3 are to learn from; 3/8 counts as 6/8, what fits no bar not at all; equals go by numbers."""

    def commonest(*metres):
        return commonest_metre(save_corpus(tmp_path / "c", steps=12, metres=metres))

    assert commonest("3/4", "3/8", "6/8", "3/4", "3/4", "3/4", "3/4") == (3, 4)
    assert commonest("3/4", "3/8", "6/8", "6/8", "3/4", "3/4", "3/4") == (6, 8)
    assert commonest("4/4", "4/4", "4/4", "6/8") == (6, 8)
    assert commonest() == (3, 4)  # fixed16, or songs of 4/4: none fits


def test_what_a_record_of_a_run_says(tmp_path):
    jigs = save_corpus(tmp_path / "c", steps=12, metres=["6/8"] * 7)
    assert bar_facts(jigs) == {"steps_per_bar": 12, "metre": "6/8"}
    assert bar_facts(save_corpus(tmp_path / "d", steps=12, metres=["3/4"] * 7)) == {"steps_per_bar": 12}
    assert bar_facts(save_corpus(tmp_path / "e", metres=["2/2"] * 7)) == {"steps_per_bar": 16}


def test_bars_of_16_are_written_in_four():
    assert song_metre({"metre": "2/2"}, 16) == song_metre({}, 16) == song_metre({}, 24) == (4, 4)
    assert song_metre({"metre": "2/2"}, 24) == (2, 2)


@pytest.mark.slow
def test_built_in_jigs_and_waltzes(tmp_path):
    """Against the metre that each tune states, counted apart: 6/8 is the metre of most."""
    pytest.importorskip("music21")
    from mcvae_jax.corpus.builtin import fiddle_tunes
    from mcvae_jax.music.score import Score

    settings = CorpusSettings("builtin", steps_per_bar=12, dedupe="none")
    corpus = build_corpus(settings, tmp_path / "c", pictures=False)
    alone, anywhere = Counter(), Counter()
    for _, score in fiddle_tunes():
        if isinstance(score, Score):
            stated = {f"{n}/{d}" for _, n, d in score.time_signatures.tolist()}
            alone.update(stated if len(stated) == 1 else ())
            anywhere.update(stated)
    found = Counter(record.get("metre") for record in corpus.records())
    for metre in ("6/8", "3/4"):
        assert alone[metre] <= found[metre] <= anywhere[metre]
    assert found["6/8"] > 700 and found["3/4"] > 150 and commonest_metre(corpus) == (6, 8)
    jig = next(i for i, r in enumerate(corpus.records()) if r["name"].endswith("TopOfCorkRoadJig.abc"))
    assert np.count_nonzero(corpus.song(jig) < 128) > 100
