"""How two sets of songs differ: distances, a classifier that tries to tell them apart, intervals by the bootstrap.

Nothing here knows what a song is. Letters: S and R songs of two sets, F figures of a song, T bars, Z latent size.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95  # of the intervals
FOLDS = 5
NEWTON_STEPS = 30
BANDWIDTH_BARS = 1000  # whose distances make the median


def interval(
    statistic: Callable[..., float], sizes: Sequence[int], seed: int = 0, resamples: int = 1000
) -> tuple[float, float]:
    """The percentile bootstrap (Efron 1979) at 95 %, over songs.

    Args:
      statistic: takes for each set the indices of the songs drawn from it, int64 (its size,).
      sizes: songs of each set.
      seed: of the draws.

    A distance of two finite sets is never below zero, and resampling adds noise of its own: where two sets hardly
    differ, the interval lies above the figure that it belongs to.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(*(rng.integers(n, size=n) for n in sizes)) for _ in range(resamples)]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples on a line, (S,) and (R,): the area between their distribution functions."""
    both = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(x), both[:-1], side="right") / len(x) for x in (a, b)]
    return float(np.sum(np.diff(both) * np.abs(below[0] - below[1])))


def told_apart(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545).

    Logistic regression on the figures and their squares, standardised, with both sets weighing the same, is fitted to
    four fifths of the songs and asked which set each of the others is from, five times.

    Args:
      a, b: the figures of the songs of two sets, (S, F) and (R, F), S and R at least FOLDS.
      seed: of who is in which fifth.

    Returns: whether each song was told rightly, float64 (S,) and (R,). Means of about 0.5: nothing tells them apart.
    """
    rng = np.random.default_rng(seed)
    fold = [rng.permutation(len(x)) % FOLDS for x in (a, b)]
    right = [np.zeros(len(x)) for x in (a, b)]
    for held in range(FOLDS):
        fitted = [x[f != held] for x, f in zip((a, b), fold, strict=True)]
        features = _features(np.concatenate(fitted))
        weights = fit_logistic(*(features(x) for x in fitted))
        for side, x in enumerate((a, b)):
            mine = fold[side] == held
            right[side][mine] = (features(x[mine]) @ weights > 0) == bool(side)
    return right[0], right[1]


def _features(fitted: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The map of figures (N, F) to what a classifier sees, (N, 2 F + 1), standardised as the songs to fit are."""

    def standardise(x, like):
        scale = like.std(axis=0)
        return (x - like.mean(axis=0)) / np.where(scale > 0, scale, 1)

    def features(x):
        linear, of_fitted = standardise(x, fitted), standardise(fitted, fitted)
        return np.hstack([linear, standardise(linear**2, of_fitted**2), np.ones((len(x), 1))])

    return features


def fit_logistic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The weights (F,) of logistic regression: x @ weights > 0 says set b; by Newton's method.

    It minimises the sum of the songs' losses in nats, each set weighing half of all songs, and |weights|^2 / 2.
    """
    x = np.concatenate([a, b])
    label = np.repeat([0.0, 1.0], [len(a), len(b)])
    weight = np.repeat([len(x) / (2 * len(a)), len(x) / (2 * len(b))], [len(a), len(b)])
    found = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 0.5 * (1 + np.tanh(x @ found / 2))
        gradient = x.T @ (weight * (p - label)) + found
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + np.eye(len(found))
        found = found - np.linalg.solve(hessian, gradient)
    return found


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The Frechet distance of the Gaussians of two clouds (N, Z) and (M, Z) (Heusel et al. 2017, arXiv:1706.08500).

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), with the covariances as they are in the samples.
    """
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False, bias=True)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    distance = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return max(0.0, float(distance))


class Kernels(NamedTuple):
    """Mean RBF kernels between the bars of songs: within a set (S, S), within another (R, R), and across (S, R)."""

    aa: np.ndarray
    bb: np.ndarray
    ab: np.ndarray


def median_distance(latents: np.ndarray) -> float:
    """The median distance between bars of latents (S, T, Z), of BANDWIDTH_BARS of them: the usual RBF bandwidth."""
    bars = latents.reshape(-1, latents.shape[-1])
    bars = bars[np.linspace(0, len(bars) - 1, min(len(bars), BANDWIDTH_BARS)).astype(int)]
    distances = np.sqrt(_squared_distances(bars, bars)[np.triu_indices(len(bars), 1)])
    return float(np.median(distances)) or 1.0


def song_kernel(a: np.ndarray, b: np.ndarray, bandwidth: float) -> np.ndarray:
    """The mean of exp(-|x - y|^2 / (2 bandwidth^2)) over the bars x and y of each two songs: (S, T, Z), (R, T, Z) ->
    (S, R)."""
    bars = b.reshape(-1, b.shape[-1])
    rows = [np.exp(-_squared_distances(song, bars) / (2 * bandwidth**2)).mean(axis=0) for song in a]
    return np.array(rows).reshape(len(a), len(b), -1).mean(axis=-1)


def mmd_squared(kernels: Kernels, a: np.ndarray | None = None, b: np.ndarray | None = None) -> float:
    """The squared maximum mean discrepancy (Gretton et al. 2012), without bias: it is around 0 for like sets.

    Songs, not bars, are what is drawn independently, so that pairs of bars of one song do not count.

    Args: a, b: indices of the songs that count, which may repeat; None is all.
    """
    in_a, in_b = (
        np.ones(n) if chosen is None else np.bincount(chosen, minlength=n)
        for chosen, n in zip((a, b), kernels.ab.shape, strict=True)
    )
    within = sum(
        (w @ kernel @ w - np.sum(w**2 * np.diag(kernel))) / (w.sum() ** 2 - np.sum(w**2))
        for kernel, w in ((kernels.aa, in_a), (kernels.bb, in_b))
    )
    return float(within - 2 * (in_a @ kernels.ab @ in_b) / in_a.sum() / in_b.sum())


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, Z), (M, Z) -> (N, M)."""
    return np.maximum(np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T, 0)
