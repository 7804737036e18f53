"""How much of any amount goes into one call, in few shapes, since each is compiled once.

Letters: S sequences, N items of all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from mcvae_jax.versions import cores

Array = jax.Array
Item = TypeVar("Item")

SHORTEST = 32  # items, of padded sequences
MOST_THREADS = 16  # that make blocks, each of which takes memory


class Rows(NamedTuple):
    """How many rows go into one call: fewer leave most of a GPU or TPU idle, and more gain nothing on a CPU."""

    cpu: int
    accelerator: int

    @property
    def here(self) -> int:
        """Those of the device that is here."""
        return self.cpu if jax.default_backend() == "cpu" else self.accelerator


def padded_length(bars: int) -> int:
    """The smallest of 32, 64, 128, ... that is not below `bars`: each length of sequences is compiled, so few exist."""
    return SHORTEST * 2 ** max(0, (-(-bars // SHORTEST) - 1).bit_length())


def block_rows(first: int, size: int, count: int) -> np.ndarray:
    """The `size` of `count` rows from `first` on, int (size,), filled up with the last row."""
    return np.minimum(np.arange(first, first + size), count - 1)


def in_blocks(count: int, size: int, make: Callable[[np.ndarray], Iterable[Item]]) -> list[Item]:
    """What `make` makes of each of `count` rows, `size` of them at a time: one shape, whatever else is in the call.

    The first block compiles what the others need. These are then made by several threads where the device is a CPU:
    small products leave most of it idle.

    make: takes the `block_rows` of a block, and gives an item for each.
    """

    def block(first: int) -> list[Item]:
        return list(make(block_rows(first, size, count)))[: count - first]

    made, others = [block(0)] if count else [], range(size, count, size)
    if jax.default_backend() == "cpu":
        with ThreadPoolExecutor(min(cores() + 1, MOST_THREADS)) as pool:
            made += pool.map(block, others)
    else:
        made += map(block, others)
    return [item for of_block in made for item in of_block]


def padded_groups(lengths: np.ndarray, together: Callable[[int], int]) -> Iterator[tuple[int, int, np.ndarray]]:
    """Songs of like lengths (S,): their padded length, how many go into one call at that length, and their indices."""
    padded = np.array([padded_length(int(n)) for n in lengths])
    for size in np.unique(padded).tolist():
        rows, songs = together(size), np.flatnonzero(padded == size)
        for chunk in np.split(songs, np.arange(rows, len(songs), rows)):
            yield size, rows, chunk


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
    result = np.empty(offsets[-1], np.float32)
    for size, rows, chunk in padded_groups(lengths, together):
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
