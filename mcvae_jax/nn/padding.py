"""Sequences of any lengths in few shapes, since each shape is compiled once. S sequences, N items of all of them."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

Array = jax.Array

SHORTEST = 32  # items, of padded sequences


def padded_length(bars: int) -> int:
    """The smallest of 32, 64, 128, ... that is not below `bars`: each length of sequences is compiled, so few exist."""
    return SHORTEST * 2 ** max(0, (-(-bars // SHORTEST) - 1).bit_length())


def in_padded_chunks(
    function: Callable[..., Array],
    arrays: Sequence[np.ndarray],
    lengths: np.ndarray,
    together: Callable[[int], int],
) -> np.ndarray:
    """A function of whole songs over songs of any lengths, those of like lengths padded to one and taken together.

    Args:
      function: takes each array as (songs, bars, ...), padded with zeros, and the indices of the songs in its first
        rows, and returns a number for each bar, (songs, bars).
      arrays: float32 (N, ...) each, of the bars of all songs, one song after the other.
      lengths: (S,) bars of each song, N in all.
      together: how many songs, at a padded length, go into one call.

    Returns: float32 (N,).
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    padded = np.array([padded_length(int(n)) for n in lengths])
    result = np.empty(offsets[-1], np.float32)
    for size in np.unique(padded):
        rows, songs = together(size), np.flatnonzero(padded == size)
        for chunk in np.split(songs, np.arange(rows, len(songs), rows)):
            batches = [np.zeros((rows, size, *array.shape[1:]), np.float32) for array in arrays]
            places = [slice(offsets[song], offsets[song + 1]) for song in chunk]
            for row, (song, bars) in enumerate(zip(chunk, places, strict=True)):
                for batch, array in zip(batches, arrays, strict=True):
                    batch[row, : lengths[song]] = array[bars]
            found = np.asarray(function(*batches, chunk))
            for row, (song, bars) in enumerate(zip(chunk, places, strict=True)):
                result[bars] = found[row, : lengths[song]]
    return result


def per_song(of_bars: Array | np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums over the bars of each song, in float64: (N,) -> (S,)."""
    song = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(song, weights=np.asarray(of_bars, np.float64), minlength=len(lengths))
