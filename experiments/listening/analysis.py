"""What the answers of a listening test say: the listener is the unit of every test and interval.

Answers of one listener are not independent of each other, so each listener gives one number to each test, and chance is
what exchanging two models' answers of a listener does (paired tests, exact up to 13 listeners and drawn beyond).
Wilcoxon 1945 with zero differences left out and ties at their mean rank; the effect size is the matched-pairs
rank-biserial correlation (Kerby 2014): +1 where every listener that differs prefers the first. Holm 1979 corrects
within a family of tests. Intervals are 95 % bootstraps over listeners.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.listening.answers import Listener
from mcvae_jax.evaluation.sets import interval

DRAWS = 10_000  # of a permutation test; all 2^n ways are taken where there are fewer
EFFECT, SHARE, TAKEN_FOR_REAL, D = "rank-biserial", "share for the first", "taken for real", "d prime"  # columns


def bounds(column: str) -> tuple[str, str]:
    """The columns of the interval of what `column` holds."""
    return f"{column}, 95 % low", f"{column}, 95 % high"


def likert(listeners: Sequence[Listener], models: Sequence[str], statements: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each statement and each two models; p is corrected over all rows."""
    rows = []
    for statement, (a, b) in itertools.product(statements, itertools.combinations(models, 2)):
        x, y = (np.array([each.ratings[model][statement] for each in listeners], float) for model in (a, b))
        rows.append({"statement": statement} | _described(a, b, x, y) | signed_rank(x - y))
    return _corrected(rows)


def counts(listeners: Sequence[Listener], model: str, statements: Sequence[str]) -> np.ndarray:
    """int (statements, 5): how many people chose SD, D, N, A and SA (Figs 6.4 and 6.5)."""
    ratings = [[each.ratings[model][statement] for each in listeners] for statement in statements]
    return np.stack([np.bincount(row, minlength=6)[1:] for row in ratings])


def preferences(listeners: Sequence[Listener], models: Sequence[str]) -> list[dict[str, Any]]:
    """For each two models the share of choices for the first: a mean of listeners' shares, tested by sign flips.

    Choices of one listener go together, so a binomial test over all choices would find too much.
    """
    rows = []
    for a, b in itertools.combinations(models, 2):
        shares = np.array([_share(each, a, b) for each in listeners])
        choices = [choice for each in listeners for choice in each.choices if {choice.better, choice.worse} == {a, b}]
        rows.append(
            {
                "first": a,
                "second": b,
                "choices": len(choices),
                "for the first": sum(choice.better == a for choice in choices),
            }
            | _mean(SHARE, shares)
            | {"p": sign_flip(shares - 0.5)}
        )
    return _corrected(rows)


def judged(listeners: Sequence[Listener], models: Sequence[str]) -> list[dict[str, Any]]:
    """For each model the share of its clips that was taken for real songs, a mean over listeners."""
    rows = []
    for model in models:
        shares = np.array([np.mean(each.judged_real[model]) for each in listeners])
        rows.append({"model": model} | _mean(TAKEN_FOR_REAL, shares))
    return rows


def detected(listeners: Sequence[Listener], models: Sequence[str], real: str) -> list[dict[str, Any]]:
    """For each model how well it is told from real songs: the share of right answers, and d', means over listeners.

    d' = Phi^-1(real taken for real) - Phi^-1(composed taken for real), of a listener's rates with half an answer added
    to each side (Hautus 1995), since a rate of 0 or 1 has no finite d'. It is 0 where the two cannot be told apart, and
    that is what is tested. With 5 clips each it reaches 2.76 at most.
    """
    rows = []
    for model in (model for model in models if model != real):
        both = [(each.judged_real[real], each.judged_real[model]) for each in listeners]
        right = np.array([np.mean([*hits, *np.logical_not(alarms)]) for hits, alarms in both])
        d = np.array([_z(hits) - _z(alarms) for hits, alarms in both])
        rows.append({"model": model, "right answers": right.mean()} | _mean(D, d) | {"p": sign_flip(d)})
    return _corrected(rows)


def signed_rank(differences: np.ndarray) -> dict[str, float]:
    """Wilcoxon's test of paired differences (n,): effect with its interval, and p (1 where nobody differs)."""
    effect = _estimated(EFFECT, rank_biserial, differences)
    if not differences.any():
        return effect | {"p": 1.0}
    method = stats.PermutationMethod(n_resamples=DRAWS, rng=np.random.default_rng(0))
    return effect | {"p": float(stats.wilcoxon(differences, method=method).pvalue)}


def rank_biserial(differences: np.ndarray) -> float:
    """(sum of the ranks of positive differences - that of negative ones) / their sum; 0 where all are 0."""
    differing = differences[differences != 0]
    if not len(differing):
        return 0.0
    ranks = stats.rankdata(np.abs(differing))
    return float(np.sum(ranks * np.sign(differing)) / np.sum(ranks))


def sign_flip(values: np.ndarray) -> float:
    """p of a mean as far from 0 as that of `values` (n,), if each value had either sign by chance."""
    if not values.any():
        return 1.0
    test = stats.permutation_test(
        (values,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=DRAWS,
        rng=np.random.default_rng(0),
    )
    return float(min(test.pvalue, 1.0))


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for how many there are (Holm 1979); scipy corrects false discovery rates alone."""
    order = np.argsort(p)
    stepped = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected.tolist()


def _described(a: str, b: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    return {
        "first": a,
        "second": b,
        "median of the first": float(np.median(x)),
        "median of the second": float(np.median(y)),
        "mean difference": float(np.mean(x - y)),
        "listeners who rated the first higher": int(np.sum(x > y)),
        "listeners who rated the first equal": int(np.sum(x == y)),
        "listeners who rated the first lower": int(np.sum(x < y)),
    }


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"p (Holm)": p} for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True)]


def _share(listener: Listener, a: str, b: str) -> float:
    of_both = [choice.better == a for choice in listener.choices if {choice.better, choice.worse} == {a, b}]
    return float(np.mean(of_both))


def _z(real: Sequence[bool]) -> float:
    return float(stats.norm.ppf((np.sum(real) + 0.5) / (len(real) + 1)))


def _mean(column: str, values: np.ndarray) -> dict[str, float]:
    """The mean over listeners with its interval."""
    return _estimated(column, lambda of: float(np.mean(of)), values)


def _estimated(column: str, statistic: Callable[[np.ndarray], float], values: np.ndarray) -> dict[str, float]:
    """A statistic of one value for each listener, and its interval, as columns."""
    low, high = bounds(column)
    ends = interval(lambda i: statistic(values[i]), [len(values)])
    return {column: statistic(values), low: ends[0], high: ends[1]}
