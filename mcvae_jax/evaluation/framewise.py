"""Framewise self-similarity of songs (Mittal et al. 2021, section 4, after Choi et al. 2020): how evenly they go on.

A frame is FRAME bars, and begins HOP bars after the one before. Of its notes, pitches and durations have a Gaussian
each; the overlap of the Gaussians of two frames that follow each other says how much they are alike. Of all overlaps of
a set, the mean beside that of real songs is its consistency, the variance beside theirs its variance, both 1 where they
are the same. A song that repeats one bar has overlaps of 1, which is too many.

Letters: n bars of a song, T steps of a bar.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from mcvae_jax.evaluation.sets import interval
from mcvae_jax.music.tokens import tokens_to_notes

Songs = Sequence[np.ndarray]  # uint8 (n, T) each

FRAME, HOP = 4, 2  # bars
PITCH, DURATION = "pitch", "duration"
LEAST = 0.5  # semitones or steps: the deviation of notes that are all alike, half of what two can differ by


def overlap(mean_a: float, sd_a: float, mean_b: float, sd_b: float) -> float:
    """The area under the lower of two Gaussian densities, from 0 to 1.

    Two densities of unequal deviations meet twice; the formula of the paper takes one of these places alone.
    """
    if math.isclose(sd_a, sd_b, rel_tol=1e-9):
        return float(2 * norm.cdf(-abs(mean_a - mean_b) / (2 * sd_a)))
    (mean_a, sd_a), (mean_b, sd_b) = sorted([(mean_a, sd_a), (mean_b, sd_b)], key=lambda each: each[1])
    square = 1 / sd_a**2 - 1 / sd_b**2
    half = mean_a / sd_a**2 - mean_b / sd_b**2
    rest = (mean_a / sd_a) ** 2 - (mean_b / sd_b) ** 2 + 2 * math.log(sd_a / sd_b)
    root = math.sqrt(max(0.0, half**2 - square * rest))
    low, high = (half - root) / square, (half + root) / square  # between them the wider density is the lower one
    within = norm.cdf(high, mean_b, sd_b) - norm.cdf(low, mean_b, sd_b)
    return float(within + norm.cdf(low, mean_a, sd_a) + norm.sf(high, mean_a, sd_a))


def overlaps(song: np.ndarray) -> dict[str, np.ndarray]:
    """The overlaps of a song, uint8 (n, T), by PITCH and DURATION: (pairs of frames in which notes begin,)."""
    start, end, pitch = tokens_to_notes(song.reshape(-1))
    of_notes = {PITCH: pitch.astype(np.float64), DURATION: (end - start).astype(np.float64)}
    steps = song.shape[1]
    frames = [
        (start >= first * steps) & (start < (first + FRAME) * steps) for first in range(0, len(song) - FRAME + 1, HOP)
    ]
    found: dict[str, list[float]] = {PITCH: [], DURATION: []}
    for a, b in zip(frames, frames[1:], strict=False):
        if a.any() and b.any():
            for name, values in of_notes.items():
                (one, of_one), (other, of_other) = ((x.mean(), max(LEAST, x.std())) for x in (values[a], values[b]))
                found[name].append(overlap(one, of_one, other, of_other))
    return {name: np.array(values) for name, values in found.items()}


def framewise(sets: Mapping[str, Songs], real: Songs, seed: int) -> dict[str, Any]:
    """Consistency and variance of pitch and duration of each set, as JSON.

    Returns by set and by PITCH and DURATION 'consistency', max(0, 1 - |m - m_real| / m_real) of the means of the
    overlaps, and 'variance', the same of their variances: 'value' and 'interval' over the songs of the set. None stands
    for both where no frames could be compared.
    """
    of_real = [overlaps(song) for song in real]
    of_sets = {name: [overlaps(song) for song in songs] for name, songs in sets.items()}
    return {
        name: {figure: _beside([o[figure] for o in found], [o[figure] for o in of_real], seed) for figure in of_real[0]}
        for name, found in of_sets.items()
    }


def _beside(own: Sequence[np.ndarray], real: Sequence[np.ndarray], seed: int) -> dict[str, Any]:
    reference = np.concatenate(real)
    return {name: _figure(own, reference, moment, seed) for name, moment in MOMENTS.items()}


def _figure(own: Sequence[np.ndarray], reference: np.ndarray, moment: Any, seed: int) -> dict[str, Any]:
    if not sum(map(len, own)) or moment(reference) == 0:
        return {"value": None, "interval": None}

    def nearness(chosen: np.ndarray) -> float:
        drawn = np.concatenate([own[i] for i in chosen])
        return max(0.0, 1 - abs(moment(drawn) - moment(reference)) / moment(reference)) if len(drawn) else 0.0

    return {"value": nearness(np.arange(len(own))), "interval": interval(nearness, [len(own)], seed)}


MOMENTS = {"consistency": np.mean, "variance": np.var}
