"""Distances of sets against scipy, brute force and closed forms; intervals by what they must do."""

import math

import numpy as np
import pytest
from scipy import linalg

from mcvae_jax.evaluation.sets import Kernels, frechet, interval, median_distance, mmd_squared, song_kernel


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    x = np.random.default_rng(0).normal(5, 2, size=400)
    low, high = interval(lambda i: x[i].mean(), [len(x)], seed=1, resamples=4000)
    error = 1.96 * x.std() / math.sqrt(len(x))
    assert (low, high) == pytest.approx((x.mean() - error, x.mean() + error), abs=0.1 * error)
    assert interval(lambda i: x[i].mean(), [len(x)], seed=1, resamples=4000) == (low, high)
    assert interval(lambda i: x[i].mean(), [len(x)], seed=2, resamples=4000) != (low, high)


def test_all_draws_at_once_are_those_one_by_one():
    a, b = np.random.default_rng(0).normal(size=(2, 25))
    one_by_one = interval(lambda i, j: a[i].sum() - b[j].sum(), [25, 25], seed=3)
    at_once = interval(lambda i, j: a[i].sum(axis=-1) - b[j].sum(axis=-1), [25, 25], seed=3, at_once=True)
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-12)


def test_the_interval_resamples_every_set_for_itself():
    a, b = np.arange(30.0), 3 * np.arange(60.0)
    low, high = interval(lambda i, j: b[j].mean() - a[i].mean(), [30, 60], resamples=4000)
    error = math.sqrt(a.var() / 30 + b.var() / 60)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_frechet_of_one_dimension_in_closed_form():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (500, 1)), rng.normal(3, 4, (400, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet(a, b) == pytest.approx(expected)


def test_frechet_against_the_matrix_root_of_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), 1 + rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5))
    covs = [np.cov(x, rowvar=False, bias=True) for x in (a, b)]
    root = linalg.sqrtm(covs[0] @ covs[1]).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(covs[0] + covs[1] - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet(a, a + 2) == pytest.approx(5 * 4)


def test_frechet_of_latents_that_do_not_vary(recwarn):
    a = np.random.default_rng(2).normal(size=(60, 5))
    few = a[:3]  # a covariance without full rank, as a collapsed VAE has
    assert frechet(few, few + 1) == pytest.approx(5)
    assert frechet(np.zeros((4, 5)), a) == pytest.approx(np.sum(a.mean(0) ** 2) + np.sum(a.var(0)))
    assert not recwarn.list


def test_mmd_against_a_loop_over_pairs_of_bars():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, (6, 3, 2)), rng.normal(0.5, 1, (4, 3, 2))
    h = median_distance(a)
    bars = a.reshape(-1, 2)
    assert h == pytest.approx(np.median([np.linalg.norm(x - y) for i, x in enumerate(bars) for y in bars[:i]]))

    def mean_over(x, y, same_set):
        values = [
            math.exp(-np.sum((u - v) ** 2) / (2 * h * h))
            for s, left in enumerate(x)
            for t, right in enumerate(y)
            if not (same_set and s == t)
            for u in left
            for v in right
        ]
        return sum(values) / len(values)

    kernels = Kernels(song_kernel(a, a, h), song_kernel(b, b, h), song_kernel(a, b, h))
    expected = mean_over(a, a, True) + mean_over(b, b, True) - 2 * mean_over(a, b, False)
    assert mmd_squared(kernels) == pytest.approx(expected)
    chosen = np.array([0, 1, 2, 4])
    some = Kernels(kernels.aa[np.ix_(chosen, chosen)], kernels.bb, kernels.ab[chosen])
    assert mmd_squared(kernels, chosen) == pytest.approx(mmd_squared(some))


def test_a_draw_of_one_song_alone_costs_mmd_neither_its_interval_nor_a_warning(recwarn):
    """Of 5 songs, 1 draw in 625 is one song 5 times, which has no pairs; of 2 songs, every other one."""
    rng = np.random.default_rng(5)
    for songs, has_one in ((5, True), (2, False)):
        a, b = rng.normal(size=(2, songs, 3, 2))
        kernels = Kernels(song_kernel(a, a, 2.0), song_kernel(b, b, 2.0), song_kernel(a, b, 2.0))
        assert math.isnan(mmd_squared(kernels, np.zeros(songs, np.int64)))
        low, high = interval(lambda i, j, kernels=kernels: mmd_squared(kernels, i, j), (songs, songs))
        assert (low < high) if has_one else (math.isnan(low) and math.isnan(high))
    assert not recwarn.list


def test_mmd_has_no_bias():
    rng = np.random.default_rng(6)
    found = []
    for _ in range(200):
        a, b = rng.normal(size=(8, 2, 2)), rng.normal(size=(5, 2, 2))
        found.append(mmd_squared(Kernels(song_kernel(a, a, 2.0), song_kernel(b, b, 2.0), song_kernel(a, b, 2.0))))
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(200)
    assert min(found) < 0


def test_the_bandwidth_of_bars_that_are_all_the_same_is_one():
    assert median_distance(np.zeros((4, 3, 2))) == 1.0
