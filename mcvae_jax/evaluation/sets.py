"""How far two sets of songs lie apart in latents, and intervals by the bootstrap.

Nothing here knows what a song is. Letters: S and R songs of two sets, T bars, N and M points, Z latent size.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import DegenerateDataWarning, bootstrap

LEVEL = 0.95  # of the intervals
UNDEFINED = 0.01  # of the draws, at most, that may have no value
BANDWIDTH_BARS = 1000  # whose distances make the median


def interval(
    statistic: Callable[..., float | np.ndarray],
    sizes: Sequence[int],
    seed: int = 0,
    resamples: int = 1000,
    at_once: bool = False,
) -> tuple[float, float]:
    """The percentile bootstrap (Efron 1979) at 95 %, over songs.

    Args:
      statistic: takes for each set the indices of the songs drawn from it, int64 (its size,). What is paired, such as
        two models on the same songs, is one set.
      sizes: songs of each set, two or more.
      seed: of the draws.
      at_once: the statistic takes all draws in one call, indices (draws, size) of each set -> (draws,).

    A draw for which the statistic is nan does not count; where that are more than UNDEFINED, the interval is nan.

    A distance of two finite sets is never below zero, and resampling adds noise of its own: where two sets hardly
    differ, the interval lies above the figure that it belongs to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of scipy's own interval
        found = bootstrap(
            [np.arange(n) for n in sizes],
            (lambda *drawn, axis: statistic(*drawn)) if at_once else statistic,  # the axis is the last one
            n_resamples=resamples,
            vectorized=at_once,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    values = found.bootstrap_distribution
    if np.mean(np.isnan(values)) > UNDEFINED:
        return np.nan, np.nan
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The Frechet distance of the Gaussians of two clouds (N, Z) and (M, Z) (Heusel et al. 2017, arXiv:1706.08500).

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), with the covariances as they are in the samples. The trace of the
    root is the sum of the roots of the eigenvalues, which are never negative; scipy's `sqrtm` gives the same but warns
    where latents do not vary, as under a collapsed VAE.
    """
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False, bias=True)) for x in (a, b))
    cross = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0)).sum()
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
    return float(np.median(pdist(bars))) or 1.0


def song_kernel(a: np.ndarray, b: np.ndarray, bandwidth: float) -> np.ndarray:
    """The mean of exp(-|x - y|^2 / (2 bandwidth^2)) over the bars x and y of each two songs: (S, T, Z), (R, T, Z) ->
    (S, R)."""
    bars = b.reshape(-1, b.shape[-1])
    rows = [np.exp(-cdist(song, bars, "sqeuclidean") / (2 * bandwidth**2)).mean(axis=0) for song in a]
    return np.array(rows).reshape(len(a), len(b), -1).mean(axis=-1)


def mmd_squared(kernels: Kernels, a: np.ndarray | None = None, b: np.ndarray | None = None) -> float:
    """The squared maximum mean discrepancy (Gretton et al. 2012), without bias: it is around 0 for like sets.

    Songs, not bars, are what is drawn independently, so that pairs of bars of one song do not count. That, and songs
    that are drawn several times, no library's estimator has. It is nan where a set is one song alone, without a pair.

    Args: a, b: indices of the songs that count, which may repeat; None is all.
    """
    in_a, in_b = (
        np.ones(n) if chosen is None else np.bincount(chosen, minlength=n)
        for chosen, n in zip((a, b), kernels.ab.shape, strict=True)
    )
    if np.count_nonzero(in_a) < 2 or np.count_nonzero(in_b) < 2:
        return np.nan
    within = sum(
        (w @ kernel @ w - np.sum(w**2 * np.diag(kernel))) / (w.sum() ** 2 - np.sum(w**2))
        for kernel, w in ((kernels.aa, in_a), (kernels.bb, in_b))
    )
    return float(within - 2 * (in_a @ kernels.ab @ in_b) / in_a.sum() / in_b.sum())
