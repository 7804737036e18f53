"""The two-sample test: what it must find, what it must not, and the ends of its intervals."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from mcvae_jax.evaluation import classifiers
from mcvae_jax.evaluation.classifiers import simple, strong
from mcvae_jax.evaluation.figures import Figures
from mcvae_jax.music.tokens import NO_EVENT


def boosted(a, b, seed=0):
    """The strong one on figures that are no n-grams."""
    return strong(*(Figures([{"same": 1.0}] * len(x), x) for x in (a, b)), seed)


BOTH = pytest.mark.parametrize("tell", [simple, boosted])


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    monkeypatch.setattr(classifiers, "ROUNDS", 1)


@BOTH
def test_sets_alike_are_not_told_apart_and_others_are(tell):
    rng = np.random.default_rng(5)
    real, like = rng.normal(size=(150, 4)), rng.normal(size=(120, 4))
    found = tell(real, like)
    assert found["value"] == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(240))
    assert found["interval"][0] < 0.5 < found["interval"][1]
    # two normal distributions, d apart in one figure: the best that can be done is Phi(d / 2)
    assert tell(real, like + [2, 0, 0, 0])["value"] == pytest.approx(stats.norm.cdf(1), abs=0.07)
    # the same mean and a third of the spread
    assert tell(real, like / 3)["value"] > 0.8
    # separable, and a figure that never changes
    far = np.hstack([like + 50, np.zeros((120, 1))])
    assert tell(np.hstack([real, np.zeros((150, 1))]), far)["value"] == 1


def test_only_the_strong_one_sees_two_figures_that_go_together():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(150, 2)), rng.normal(size=(150, 2))
    b[:, 1] = np.abs(b[:, 1]) * np.sign(b[:, 0])  # each figure alone is as it was
    assert simple(a, b)["value"] < 0.6
    assert boosted(a, b)["value"] > 0.65


@BOTH
def test_each_song_is_judged_by_a_classifier_that_did_not_see_it(tell):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 90)), rng.normal(size=(40, 90))  # more figures than songs: what is seen is told apart
    assert tell(a, b)["value"] < 0.7


@pytest.mark.parametrize("seen, share", [(1, 0.5), (2, 1)])
def test_the_strong_one_sees_the_commonest_n_grams_of_both_sets(monkeypatch, seen, share):
    monkeypatch.setattr(classifiers, "COMMONEST", seen)
    some = [{"in all": 0.5, f"in one {n}": 0.4} for n in range(20)]
    others = [{"in all": 0.5, "in the others": 0.1}] * 20
    nothing = np.zeros((20, 1))
    assert strong(Figures(some, nothing), Figures(others, nothing))["value"] == share


@BOTH
def test_a_larger_set_is_no_advantage(tell):
    """Who always answers with the larger set would be right about 9 of 10 songs."""
    rng = np.random.default_rng(1)
    found = tell(rng.normal(size=(10, 3)), rng.normal(size=(90, 3)))
    assert found["value"] < 0.75 and found["interval"][0] < 0.5


@BOTH
def test_the_interval_is_that_of_so_many_songs(tell):
    a, b = np.zeros((8, 2)), np.ones((40, 2))
    found = tell(a, b)
    assert found["value"] == 1
    assert found["interval"] == (pytest.approx(0.025 ** (1 / 16)), 1)  # 16 of 16 are right with this chance in 40 cases
    assert tell(a, b, seed=3) == found


@pytest.mark.parametrize("steps", [12, 24])
def test_songs_of_the_same_making_are_not_told_apart_and_their_shuffled_bars_are(steps, monkeypatch):
    """Songs whose second half repeats the first, in a random walk that goes on over the bar lines."""
    monkeypatch.setattr(classifiers, "COMMONEST", 60)
    rng = np.random.default_rng(steps)

    def song():
        bars = np.full((12, steps), NO_EVENT, np.uint8)
        bars[:, ::3] = np.clip(66 + np.cumsum(rng.integers(-2, 3, 12 * steps // 3)), 40, 90).reshape(12, -1)
        return np.concatenate([bars[:6], bars[:6]])

    a, b, c = ([song() for _ in range(25)] for _ in range(3))
    like = strong(Figures.of(a), Figures.of(b))
    assert like["interval"][0] < 0.5 < like["interval"][1]
    shuffled = strong(Figures.of(a), Figures.of([rng.permutation(each) for each in c]))
    assert shuffled["value"] > 0.9


def test_silence_is_not_told_from_silence():
    silence = Figures.of([np.full((8, 16), NO_EVENT, np.uint8)] * 5)
    assert strong(silence, silence)["value"] == 0.5


@pytest.mark.more
def test_scikit_learn_is_imported_when_it_is_asked():
    script = "import sys, mcvae_jax.evaluate as e; e.parse(['--workdir=x', '--out=y']); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
