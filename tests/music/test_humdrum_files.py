"""Humdrum files as they are found: a public collection against an independent reader."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.readers.humdrum import our_notes, pieces
from tests.oracles.make_humdrum import sums

ORACLE = json.loads((Path(__file__).parents[1] / "oracles" / "humdrum.json").read_text())


@pytest.fixture(scope="module")
def corpus() -> Path:
    """Where music21 keeps its files."""
    spec = importlib.util.find_spec("music21")
    if not spec:
        pytest.skip("the files are those that music21 carries")
    return Path(spec.submodule_search_locations[0]) / "corpus"


def assert_same_notes(corpus: Path, names: list[str]) -> None:
    for name in names:
        (text,) = pieces((corpus / name).read_bytes(), with_repeats=False)
        notes = our_notes(text)
        early = [0, 0, 0, len(notes) / 120, 0]  # by which verovio ends notes; it also rounds to 120ths of a quarter
        slack = np.array([0, 0, 2e-4, 1e-3, 1e-2]) * len(notes) + 0.01
        assert (np.abs(np.subtract(sums(notes), ORACLE[name]) - early) <= slack).all(), name


@pytest.mark.more
def test_public_files_agree_with_verovio(corpus):
    assert_same_notes(corpus, sorted(ORACLE)[::15])


@pytest.mark.slow
def test_all_public_files_agree_with_verovio(corpus):
    assert len(ORACLE) > 1300
    assert_same_notes(corpus, sorted(ORACLE))
