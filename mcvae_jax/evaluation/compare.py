"""Sets of songs beside held-out songs: distances of every measure, classifiers, latents, and what is copied; as JSON.

All songs have the same number of bars, since some measures depend on it. Every distance is smaller where a set is more
like the reference; none says that a set is better music. Letters: S songs, T bars, Z latent size.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from mcvae_jax.evaluation import classifiers
from mcvae_jax.evaluation.beside import beside
from mcvae_jax.evaluation.controls import REAL, SHUFFLED
from mcvae_jax.evaluation.copies import Copies, TrainingBars, find_copies
from mcvae_jax.evaluation.figures import Figures
from mcvae_jax.evaluation.measures import Measure, measure_songs
from mcvae_jax.evaluation.sets import (
    Kernels,
    frechet,
    interval,
    median_distance,
    mmd_squared,
    song_kernel,
)

Songs = Sequence[np.ndarray]  # uint8 (T, steps) each
Encode = Callable[[Songs], np.ndarray]  # to latents (S, T, Z)
Say = Callable[[str], None]

CLASSIFIER, STRONG = "told apart", "told apart (strong)"
FRECHET, MMD = "Frechet distance of latents", "MMD of latents"
FRECHET_RESAMPLES = 200  # each takes some milliseconds
KEPT = ("pitch range", "note density", "pitch-class entropy", "repeated-bar share", FRECHET, MMD)  # by shuffled bars
SHARES = ("written", "bars", "passages", "nearest_share", "windows")  # of `Copies`


def compare_sets(
    reference: Songs,
    sets: Mapping[str, Songs],
    measures: Mapping[str, Measure],
    encode: Encode | None,
    seed: int,
    say: Say,
) -> dict[str, Any]:
    """How each set differs from the reference; without `encode`, by measures and classifiers alone.

    Returns: 'reference' and by name 'sets', each with 'songs' and 'measures' by name (median, quartiles, values); each
    set also with 'distances' by name, {'value', 'interval'}: Wasserstein-1 for every measure, the shares of songs that
    CLASSIFIER (by the measures) and STRONG (by `figures.py`) tell rightly (0.5 is chance), FRECHET, and MMD (squared,
    without bias); and 'bandwidth', of its kernel.
    """
    own, own_figures = measure_songs(reference, measures), Figures.of(reference)
    in_latents = _LatentDistances(encode(reference), seed) if encode else None
    found = {}
    for name, songs in sets.items():
        say(f"{name}: {len(songs)} songs against {len(reference)}")
        values = measure_songs(songs, measures)
        distances = {m: _wasserstein(own[m], values[m], seed) for m in measures}
        distances[CLASSIFIER] = classifiers.simple(_columns(own), _columns(values), seed)
        distances[STRONG] = classifiers.strong(own_figures, Figures.of(songs), seed)
        if in_latents and encode:
            distances |= in_latents.to(encode(songs))
        found[name] = _described(values) | {"distances": distances}
    bandwidth = {"bandwidth": in_latents.bandwidth} if in_latents else {}
    return {"reference": _described(own), "sets": found} | bandwidth


class _LatentDistances:
    """Distances to the reference in latents (S, T, Z)."""

    def __init__(self, reference: np.ndarray, seed: int) -> None:
        self.reference, self.seed = reference, seed
        self.bandwidth = median_distance(reference)
        self.within = song_kernel(reference, reference, self.bandwidth)

    def to(self, latents: np.ndarray) -> dict[str, Any]:
        """FRECHET and MMD to a set."""
        theirs = song_kernel(latents, latents, self.bandwidth)
        kernels = Kernels(self.within, theirs, song_kernel(self.reference, latents, self.bandwidth))
        return {FRECHET: _frechet(self.reference, latents, self.seed), MMD: _mmd(kernels, self.seed)}


def lost_to(sets: Mapping[str, Any], models: Sequence[str], controls: Sequence[str]) -> list[dict[str, Any]]:
    """Every distance of a model that a control wins, by being nearer to the reference.

    Args: sets: of `compare_sets`. Returns 'model', 'measure', 'to', the controls that win it by chance or because the
    measure is blind, and 'to_real', those that are real songs or the same as them by this measure.
    """
    flags = []
    for model in models:
        for measure, distance in sets[model]["distances"].items():
            winners = [c for c in controls if sets[c]["distances"][measure]["value"] < distance["value"]]
            real = [c for c in winners if c in REAL or (c == SHUFFLED and measure in KEPT)]
            if winners:
                others = [c for c in winners if c not in real]
                flags.append({"model": model, "measure": measure, "to": others, "to_real": real})
    return flags


def compare_copies(
    sets: Mapping[str, Songs],
    real: Mapping[str, tuple[str, bool]],
    training: Songs,
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """What each set takes from the training songs, which have these names.

    Args:
      real: by set the one of real songs that it stands beside, and whether songs are in pairs with those of it.

    Returns by set {'value', 'interval'} of the mean of each of SHARES over songs, beside real ones with 'beyond' and
    'times' (`beside`); and for each of its 'songs' these shares, the name of the 'nearest' training song ('' for none)
    and the 'shift' in semitones.
    """
    bars = TrainingBars.of(training)
    copies = {name: find_copies(songs, bars) for name, songs in sets.items()}
    found: dict[str, dict[str, Any]] = {}
    for name, each in copies.items():
        found[name] = {share: _mean(getattr(each, share), seed) for share in SHARES}
        if name in real:
            other, paired = real[name]
            for share in SHARES:
                found[name][share] |= beside(_of_one(each, share), _of_one(copies[other], share), paired, seed)
        found[name]["songs"] = [_song(each, i, names) for i in range(len(sets[name]))]
    return found


def _of_one(copies: Copies, share: str) -> np.ndarray:
    """Counts of `beside`, each song's share out of one: float64 (S, 2)."""
    shares = getattr(copies, share)
    return np.stack([shares, np.ones(len(shares))], axis=1)


def _song(copies: Copies, i: int, names: Sequence[str]) -> dict[str, Any]:
    shares: dict[str, Any] = {share: float(getattr(copies, share)[i]) for share in SHARES}
    nearest = int(copies.nearest[i])
    return shares | {"nearest": names[nearest] if nearest >= 0 else "", "shift": int(copies.shift[i])}


def _described(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    measures = {}
    for name, column in values.items():
        low, median, high = np.quantile(column, [0.25, 0.5, 0.75]).tolist()
        measures[name] = {"median": median, "quartiles": [low, high], "values": column.tolist()}
    return {"songs": len(column), "measures": measures}


def _mean(x: np.ndarray, seed: int) -> dict[str, Any]:
    return {"value": float(x.mean()), "interval": interval(lambda i: x[i].mean(axis=-1), [len(x)], seed, at_once=True)}


def _columns(values: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(values.values()), axis=1)


def _wasserstein(a: np.ndarray, b: np.ndarray, seed: int) -> dict[str, Any]:
    low_high = interval(lambda i, j: wasserstein_distance(a[i], b[j]), [len(a), len(b)], seed)
    return {"value": float(wasserstein_distance(a, b)), "interval": low_high}


def _frechet(a: np.ndarray, b: np.ndarray, seed: int) -> dict[str, Any]:
    def distance(i: np.ndarray, j: np.ndarray) -> float:
        return frechet(*(x[chosen].reshape(-1, x.shape[-1]) for x, chosen in ((a, i), (b, j))))

    low_high = interval(distance, [len(a), len(b)], seed, resamples=FRECHET_RESAMPLES)
    return {"value": distance(np.arange(len(a)), np.arange(len(b))), "interval": low_high}


def _mmd(kernels: Kernels, seed: int) -> dict[str, Any]:
    low_high = interval(lambda i, j: mmd_squared(kernels, i, j), kernels.ab.shape, seed)
    return {"value": mmd_squared(kernels), "interval": low_high}
