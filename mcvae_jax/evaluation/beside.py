"""Shares of a set of songs beside those of real songs: how much more they are, and how many times as much.

Letters: S songs. Counts are float64 (S, 2): for each song so many out of so many.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mcvae_jax.evaluation.sets import interval

NONE: dict[str, Any] = {"value": None, "interval": None}
ENDLESS = 1e9  # times, of draws of real songs in which nothing is counted
MOST = 1e4  # times; an interval that reaches so far reaches into such draws


def beside(own: np.ndarray, real: np.ndarray, paired: bool, seed: int) -> dict[str, Any]:
    """The share of a set, sum(hits) / sum(of), beside that of real songs, with 95 % intervals over songs.

    Args:
      own, real: counts (S, 2); where they are paired, those of the same songs.

    Returns: 'beyond', how much more the share is, and 'times', how many times that of the real songs. Each has 'value'
      and 'interval', None where nothing could be counted, or where real songs have too little for a ratio.
    """
    if not own[:, 1].any() or not real[:, 1].any():
        return {"beyond": NONE, "times": NONE}

    def found(statistic: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, Any]:
        if paired:
            low_high = interval(lambda i: statistic(own[i], real[i]), [len(own)], seed, at_once=True)
        else:
            low_high = interval(lambda i, j: statistic(own[i], real[j]), [len(own), len(real)], seed, at_once=True)
        return {"value": float(statistic(own, real)), "interval": low_high}

    times = found(_times) if _share(real) else NONE
    return {"beyond": found(_more), "times": NONE if times is NONE or times["interval"][1] > MOST else times}


def _share(counts: np.ndarray) -> np.ndarray:
    """Of counts (..., S, 2): (...)."""
    hits, of = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return hits / np.maximum(of, 1)


def _more(own: np.ndarray, real: np.ndarray) -> np.ndarray:
    return _share(own) - _share(real)


def _times(own: np.ndarray, real: np.ndarray) -> np.ndarray:
    share = _share(real)
    return np.where(share > 0, _share(own) / np.where(share > 0, share, 1), ENDLESS)
