"""Differences and ratios of shares, beside Fieller's interval and the exact cases."""

import numpy as np
import pytest

from mcvae_jax.evaluation.beside import NONE, beside


def counts(hits, of=100.0):
    return np.stack([np.asarray(hits, float), np.full(len(hits), of)], axis=1)


def fieller(a, b):
    """The 95 % interval of mean(a) / mean(b) of pairs (Fieller 1954)."""
    n, z = len(a), 1.96
    va, vb, cov = np.var(a, ddof=1) / n, np.var(b, ddof=1) / n, np.cov(a, b)[0, 1] / n
    ma, mb = a.mean(), b.mean()
    p, q, r = mb**2 - z**2 * vb, ma * mb - z**2 * cov, ma**2 - z**2 * va
    root = np.sqrt(q**2 - p * r)
    return (q - root) / p, (q + root) / p


@pytest.mark.parametrize("paired", [True, False])
def test_times_beside_fiellers_interval(paired):
    rng = np.random.default_rng(0)
    real = rng.binomial(100, rng.uniform(0.1, 0.3, 200))
    own = np.minimum(real * 2 + rng.integers(-3, 4, 200), 100)
    found = beside(counts(own), counts(real), paired, 0)
    assert found["times"]["value"] == pytest.approx(own.sum() / real.sum())
    assert found["beyond"]["value"] == pytest.approx((own.mean() - real.mean()) / 100)
    shuffled = own if paired else rng.permutation(own)
    assert found["times"]["interval"] == pytest.approx(fieller(shuffled, real), abs=0.015 if paired else 0.05)


def test_pairs_that_are_the_same_do_not_differ():
    real = counts(np.arange(20))
    found = beside(real, real, True, 0)
    assert found["beyond"] == {"value": 0, "interval": (0, 0)} and found["times"] == {"value": 1, "interval": (1, 1)}
    low, high = beside(real, real, False, 0)["times"]["interval"]
    assert low < 1 < high


def test_no_ratio_to_next_to_nothing():
    own, none = counts([3] * 30), counts([0] * 30)
    found = beside(own, none, True, 0)
    assert found["times"] == NONE and found["beyond"]["interval"] == pytest.approx((0.03, 0.03))
    one = counts([1] + [0] * 29)  # a third of the resamples lack it
    assert beside(own, one, True, 0)["times"] == NONE
    assert beside(none, own, True, 0)["times"] == {"value": 0, "interval": (0, 0)}
    assert beside(own, counts([0] * 30, 0), True, 0) == {"beyond": NONE, "times": NONE}
