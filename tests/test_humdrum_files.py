"""Humdrum files as they are found: a public collection against an independent reader, and mutants of its files."""

import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import pytest

from experiments.readers.humdrum import our_notes, pieces
from mcvae_jax.corpus.read import score_to_song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Skip
from tests.mutants import mutate_bytes
from tests.oracles.make_humdrum import sums
from tests.test_humdrum import BAD, PLAYED, SPINES, TOKENS, kern

ORACLE = json.loads((Path(__file__).parent / "oracles" / "humdrum.json").read_text())
SETTINGS = [CorpusSettings("x", bars=bars) for bars in ("metre", "fixed16")]
WORDS = """*^ *v *x *+ *- *** **kern **text *>A *>[A,B,A] *M3/4 *M999/64 *k[f#] *MM0 *S/a *S- *clefX = =:|! =|!|: == .
4c [4c 4c] 4r 0 % 1%32 999999999 # - q !! !!!OTL:""".split()


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


def test_public_files_agree_with_verovio(corpus):
    assert_same_notes(corpus, sorted(ORACLE)[::15])


@pytest.mark.slow
def test_all_public_files_agree_with_verovio(corpus):
    assert len(ORACLE) > 1300
    assert_same_notes(corpus, sorted(ORACLE))


def mutate_lines(data: bytes, chance: random.Random) -> bytes:
    """Lines and tokens left out, doubled, exchanged or put in, from one to ten times."""
    lines = [line.split("\t") for line in data.decode("latin-1").split("\n")]
    for _ in range(chance.randint(1, 10)):
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0 and len(lines) > 1:
            del lines[one]
        elif kind == 1:
            lines[one], lines[other] = lines[other], lines[one]
        elif kind == 2:
            lines.insert(one, list(lines[other]))
        else:
            at = chance.randrange(len(lines[one]) + 1)
            lines[one][at : at + chance.randrange(2)] = [chance.choice(WORDS)] * chance.choice([0, 1, 1, 2])
    return "\n".join("\t".join(line) for line in lines).encode("latin-1")


def assert_only_skips(seeds: list[bytes], suffix: str, count: int, mutate) -> None:
    """Nothing but Skip comes out of `count` mutants, and what is read makes sense."""
    chance = random.Random(0)
    for _ in range(count):
        data = mutate(chance.choice(seeds), chance)
        try:
            scores = read_scores(data, suffix)
        except Skip:
            continue
        for score in scores:
            if isinstance(score, Skip):
                assert "Error" not in score.detail, (score, data)  # a damaged piece is told, not stumbled over
                continue
            for track in score.tracks:
                assert (track.start >= 0).all() and (track.end >= track.start).all()
                assert ((track.pitch >= 0) & (track.pitch <= 127)).all()
            for settings in SETTINGS:
                score_to_song(score, "x", b"", settings)


def seeds() -> list[bytes]:
    small = [kern(*lines) for lines, _ in [*TOKENS.values(), *SPINES.values(), *PLAYED.values()]]
    return small + [data for data, _, _ in BAD.values() if len(data) < 2000]


@pytest.mark.parametrize("mutate", [mutate_bytes, mutate_lines])
def test_mutants_raise_nothing_but_skip(mutate):
    assert_only_skips(seeds(), ".krn", 1000, mutate)


@pytest.mark.slow
@pytest.mark.parametrize("mutate", [mutate_bytes, mutate_lines])
def test_ten_thousands_of_mutants_raise_nothing_but_skip(mutate, corpus):
    files = [path.read_bytes() for path in sorted(corpus.rglob("*.krn"))[::20]]
    assert_only_skips([data for data in files if len(data) < 20_000] + seeds() * 3, ".krn", 25_000, mutate)
