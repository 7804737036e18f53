"""What a strong classifier sees of a song, for any number of steps in a bar.

Shares of the n-grams of its intervals, of its durations and of the places of its onsets in the bar; how like its bars
are to those 1 to LAGS bars before; and its measures. No figure depends on the key, and none comes from a model that was
fitted on the training songs: copies of these are real music, and are to be taken for it.

Letters: S songs, F figures, n bars of a song, T steps of a bar.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.evaluation.measures import measure_songs, repeats_by_lag
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.music.tokens import NOTE_OFF, tokens_to_notes

Grams = list[tuple[int, ...]]

ORDERS = (1, 2, 3)
LAGS = 16  # bars
INTERVALS, DURATIONS, PLACES = "interval", "duration", "place in the bar"  # kinds of n-grams


class Figures(NamedTuple):
    """The figures of S songs."""

    grams: list[dict[str, float]]  # of each song, by kind and n-gram: its share in all of that kind and order
    others: np.ndarray  # float64 (S, F), all finite: `similarity` and the measures

    @classmethod
    def of(cls, songs: Sequence[np.ndarray]) -> "Figures":
        """Of songs, each uint8 (n, T)."""
        measured = np.stack(list(measure_songs(songs).values()), axis=1)
        return cls([shares(song) for song in songs], np.hstack([[similarity(song) for song in songs], measured]))


def shares(song: np.ndarray) -> dict[str, float]:
    """The share of every n-gram of a song, uint8 (n, T), among those of its kind and order."""
    return {
        f"{kind} {' '.join(map(str, gram))}": count / len(grams)
        for (kind, _), grams in song_grams(song).items()
        for gram, count in Counter(grams).items()
    }


def song_grams(song: np.ndarray) -> dict[tuple[str, int], Grams]:
    """The n-grams of a song, uint8 (n, T), by kind and order.

    INTERVALS: semitones from note to note. DURATIONS: steps that each note sounds, and as negative numbers the rests
    between them. PLACES: the steps of the bar on which notes begin.
    """
    start, end, pitch = tokens_to_notes(song.reshape(-1))
    sounding = np.stack([end - start, np.append(end[:-1] - start[1:], 0)[: len(start)]], axis=1).reshape(-1)
    kinds = {INTERVALS: np.diff(pitch), DURATIONS: sounding[sounding != 0], PLACES: start % song.shape[1]}
    return {(kind, n): _grams(sequence.tolist(), n) for kind, sequence in kinds.items() for n in ORDERS}


def similarity(song: np.ndarray) -> np.ndarray:
    """How like a song's bars, uint8 (n, T), are to those 1 to LAGS bars before: float64 (3 LAGS,).

    The share of bars that are the same, note for note; of those with notes and rests at the same steps; and the share
    of equal tokens. A lag of n bars or more is 0.
    """
    same, rhythm = (distinct_bars(bars)[1] for bars in (song, np.where(song < NOTE_OFF, 0, song)))
    agreement = [np.mean(song[lag:] == song[:-lag]) if lag < len(song) else 0.0 for lag in range(1, LAGS + 1)]
    return np.concatenate([repeats_by_lag(same, LAGS), repeats_by_lag(rhythm, LAGS), agreement])


def _grams(sequence: list[int], n: int) -> Grams:
    return list(zip(*(itertools.islice(sequence, k, None) for k in range(n)), strict=False))
