"""Attributes of bars, the directions in a latent space that belong to them, and what such a direction really moves.

MusicVAE's attribute vectors (Roberts et al. 2018, arXiv:1803.05428, section 5): the mean latent vector of the quarter
of the bars that have most of an attribute, minus that of the quarter that has least. Whether adding the vector changes
the attribute is a matter of measurement, not of definition: bars that were not used are moved, decoded, and looked at.

Letters: N bars, T steps of a bar, Z latent size, A attributes, D directions, K scales.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.evaluation.measures import Measure, note_density, pitch_range
from mcvae_jax.models.settings import DEFAULTS, Settings
from mcvae_jax.models.song_model import LatentModel
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.nn.keys import song_keys

QUARTER = 0.25  # of the bars at either end
RANDOM = 6  # directions that belong to nothing, the control


def _pitches(bar: np.ndarray) -> np.ndarray:
    return bar[bar < NOTE_OFF].astype(np.float64)


def mean_pitch(song: np.ndarray) -> float:
    """MIDI pitch, the mean over notes; NaN without notes."""
    pitches = _pitches(song)
    return float(pitches.mean()) if len(pitches) else np.nan


def mean_interval(song: np.ndarray) -> float:
    """Semitones from a note to the next, up or down, the mean; NaN with fewer than two notes."""
    pitches = _pitches(song)
    return float(np.abs(np.diff(pitches)).mean()) if len(pitches) > 1 else np.nan


def off_beat_share(song: np.ndarray) -> float:
    """Share of the notes that begin between the quarters of the metre; NaN without notes."""
    steps = np.flatnonzero(song < NOTE_OFF) % song.shape[1]
    return float(np.mean(steps % grid_of(song.shape[1]).quarter != 0)) if len(steps) else np.nan


def _range(song: np.ndarray) -> float:
    return pitch_range(song) if np.any(song < NOTE_OFF) else np.nan


ATTRIBUTES: Mapping[str, Measure] = {
    "note density": note_density,  # notes in the bar
    "pitch range": _range,
    "mean pitch": mean_pitch,
    "mean interval": mean_interval,
    "off-beat notes": off_beat_share,
}
UNITS = {
    "note density": "notes a bar",
    "pitch range": "semitones",
    "mean pitch": "semitones",
    "mean interval": "semitones",
    "off-beat notes": "share of notes",
}


def attributes_of(bars: np.ndarray) -> dict[str, np.ndarray]:
    """Every attribute of bars, uint8 (N, T): float64 (N,) by name, NaN where a bar has none."""
    return {name: np.array([measure(bar[None]) for bar in bars], np.float64) for name, measure in ATTRIBUTES.items()}


def attribute_vector(mu: np.ndarray, values: np.ndarray, share: float = QUARTER) -> np.ndarray:
    """The mean of mu (N, Z) over the bars with the highest values (N,) minus that over those with the lowest: (Z,).

    As many bars at either end as `share` is of those that have a value, one at least; equal values are taken in the
    order of the bars.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        raise ValueError("a direction needs two bars that have the attribute")
    order = known[np.argsort(values[known], kind="stable")]
    count = max(1, int(share * len(order)))
    return mu[order[-count:]].mean(axis=0) - mu[order[:count]].mean(axis=0)


def random_vectors(vectors: Mapping[str, np.ndarray], count: int = RANDOM, seed: int = 0) -> dict[str, np.ndarray]:
    """So many directions that belong to nothing, (Z,) each, as long as the given ones are on average.

    One alone is no control: it may happen to lie along a direction that moves much.
    """
    length = np.mean([np.linalg.norm(vector) for vector in vectors.values()])
    draws = np.random.default_rng(seed).standard_normal((count, len(next(iter(vectors.values())))))
    return {f"random {n}": length * each / np.linalg.norm(each) for n, each in enumerate(draws, 1)}


class Effect(NamedTuple):
    """What a direction does to an attribute, at each of K scales."""

    change: np.ndarray  # float64 (K,): of the attribute, the mean over bars
    error: np.ndarray  # float64 (K,): its standard error
    bars: np.ndarray  # int64 (K,): in how many bars it is known, before and after


def effects(
    model: LatentModel,
    mu: np.ndarray,
    vectors: Mapping[str, np.ndarray],
    scales: Sequence[float],
    settings: Settings = DEFAULTS,
) -> dict[str, dict[str, Effect]]:
    """For each direction and attribute what adding scale * vector to mu (N, Z) changes in the decoded bars.

    The change is against the bars decoded from mu itself, so that what the VAE does not keep counts for nothing.
    """
    keys = song_keys(settings.seed, range(1, 2))

    def decoded(z: np.ndarray) -> dict[str, np.ndarray]:
        return attributes_of(model.render([np.asarray(z, np.float32)], keys, settings)[0])

    before, found = decoded(mu), {}
    for name, vector in vectors.items():
        after = [decoded(mu + scale * vector) for scale in scales]
        found[name] = {each: _effect(before[each], [values[each] for values in after]) for each in ATTRIBUTES}
    return found


def _effect(before: np.ndarray, after: Sequence[np.ndarray]) -> Effect:
    changes = [(values - before)[~np.isnan(values - before)] for values in after]
    means = [each.mean() if len(each) else np.nan for each in changes]
    errors = [each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan for each in changes]
    return Effect(np.array(means), np.array(errors), np.array([len(each) for each in changes]))
