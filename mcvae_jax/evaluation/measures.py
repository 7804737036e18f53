"""One number of a song, uint8 (n, T), n >= 1 bars of T steps: by these, sets of songs are compared.

Each has a value for every song, silence included, and none needs a model. They describe; they do not rank: what counts
is how their distribution over a set differs from that over real songs (`sets.py`).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import entropy

from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.music.tokens import NOTE_OFF, tokens_to_notes

Measure = Callable[[np.ndarray], float]


def pitch_range(song: np.ndarray) -> float:
    """Semitones from the lowest note to the highest; 0 without notes."""
    pitches = song[song < NOTE_OFF]
    return float(pitches.max()) - float(pitches.min()) if len(pitches) else 0.0


def note_density(song: np.ndarray) -> float:
    """Notes per bar."""
    return float(np.sum(song < NOTE_OFF)) / len(song)


def rest_share(song: np.ndarray) -> float:
    """Share of the steps in which nothing sounds."""
    start, end, _ = tokens_to_notes(song.reshape(-1))
    return 1 - float(np.sum(end - start)) / song.size


def pitch_class_entropy(song: np.ndarray) -> float:
    """Bits of entropy of the notes' pitch classes: 0 for one alone (or no notes), 3.58 for all twelve alike."""
    counts = np.bincount(song[song < NOTE_OFF] % 12)
    return float(entropy(counts, base=2)) if len(counts) else 0.0


def repeated_bar_share(song: np.ndarray) -> float:
    """Share of the bars that are the same as an earlier bar of the song."""
    return 1 - len(distinct_bars(song)[0]) / len(song)


def self_match_lag(song: np.ndarray) -> float:
    """Bars after which a song is most often the same again, up to half its length; 0 where no bar comes back.

    For each lag, the share of bars that are the same as the one so many bars before; the smallest of equal lags.
    """
    shares = repeats_by_lag(distinct_bars(song)[1], len(song) // 2)
    return float(shares.argmax() + 1) if np.any(shares > 0) else 0.0


def repeats_by_lag(ids: np.ndarray, lags: int) -> np.ndarray:
    """For lags of 1, 2, ... bars, the share of bars that have the number of the bar so many before: float64 (lags,).

    Args: ids: a number for each bar of a song, (n,), the same for bars that are the same. A lag of n or more is 0.
    """
    return np.array([np.mean(ids[lag:] == ids[:-lag]) if lag < len(ids) else 0.0 for lag in range(1, lags + 1)])


MEASURES: Mapping[str, Measure] = {
    "pitch range": pitch_range,
    "note density": note_density,
    "rest share": rest_share,
    "pitch-class entropy": pitch_class_entropy,
    "repeated-bar share": repeated_bar_share,
    "lag of the best self-match": self_match_lag,
}


def measure_songs(songs: Sequence[np.ndarray], measures: Mapping[str, Measure] = MEASURES) -> dict[str, np.ndarray]:
    """Every measure of every song: float64 (S,) by name."""
    return {name: np.array([measure(song) for song in songs], np.float64) for name, measure in measures.items()}
