"""Batches of bars as a pure function of the step, so that the step is the whole state of the data."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.hashing import scramble
from mcvae_jax.music.tokens import NOTE_OFF

Batch = dict[str, np.ndarray]

SAMPLERS = ("bar", "song")


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """What batches of bars and of songs have in common."""

    batch_size: int
    seed: int = 0
    lowest_shift: int = 0  # transposition in semitones, drawn anew for each song and epoch
    highest_shift: int = 0
    min_pitch: int = 0  # no shift takes a song out of these bounds
    max_pitch: int = 127

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"config.train.batch_size is {self.batch_size}; it must be at least 1")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise UserError(
                "config.data.min_pitch and max_pitch must be 0 <= min <= max <= 127; they are"
                f" {self.min_pitch} and {self.max_pitch}"
            )
        if not -127 <= self.lowest_shift <= 0 <= self.highest_shift <= 127:
            raise UserError(
                "config.data.lowest_shift must be from -127 to 0 and highest_shift from 0 to 127; they are"
                f" {self.lowest_shift} and {self.highest_shift}"
            )


@dataclasses.dataclass(frozen=True)
class DataSettings(BatchSettings):
    """How training bars are drawn from a corpus."""

    sampler: str = "bar"  # 'bar': every bar once an epoch; 'song': every song is as likely, whatever its length

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler not in SAMPLERS:
            raise UserError(f"config.data.sampler is one of {', '.join(SAMPLERS)}, not {self.sampler!r}")


def check_shifts(settings: BatchSettings, pitches: tuple[int, int]) -> None:
    """UserError where a transposition may leave the pitches, lowest and highest, to which a model gives a chance."""
    moves = settings.lowest_shift < settings.highest_shift
    if moves and not pitches[0] <= settings.min_pitch <= settings.max_pitch <= pitches[1]:
        raise UserError(
            f"config.data.min_pitch and max_pitch, {settings.min_pitch} and {settings.max_pitch}, let transposition"
            f" leave the pitches of the VAE's model, {pitches[0]} to {pitches[1]}; give both the same bounds"
        )


class BarBatches:
    """Training batches: `batches(step)` is {'bars': uint8 (B, T), 'weight': float32 (B,), 'index': int32 (B,)}.

    Epoch e is a permutation of the bars (or as many draws by song) from (seed, e), and a batch may straddle two of
    them. A song's transposition in epoch e is a function of (seed, e, song).
    """

    def __init__(self, corpus: Corpus, songs: np.ndarray, settings: DataSettings) -> None:
        """songs: indices of the songs to draw from, int (S,)."""
        self.corpus, self.settings = corpus, settings
        self.songs = np.asarray(songs)
        self.lengths = corpus.lengths[self.songs]
        if not self.lengths.sum():
            raise UserError(f"the corpus {corpus.folder} has no training bars; give it more songs, or lower held_out")
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.low, self.high = shift_bounds(corpus, self.songs, settings)
        self._epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)

    def __len__(self) -> int:
        """The number of bars of an epoch."""
        return int(self.starts[-1])

    def __call__(self, step: int) -> Batch:
        size = self.settings.batch_size
        epochs, places = np.divmod(np.arange(step * size, (step + 1) * size), len(self))
        bars = np.empty(size, np.int64)
        for epoch in np.unique(epochs):
            bars[epochs == epoch] = self._epoch(int(epoch))[places[epochs == epoch]]
        song = np.searchsorted(self.starts, bars, side="right") - 1
        rows = self.corpus.offsets[self.songs[song]] + bars - self.starts[song]
        shift = draw_between(self.low[song], self.high[song], self.settings.seed, epochs, self.songs[song])
        return {
            "bars": transposed(self.corpus.tokens[rows], shift),
            "weight": np.ones(size, np.float32),
            "index": np.arange(size, dtype=np.int32),
        }

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """int64 (bars,): the bars of an epoch in their order, counted over `songs`."""
        rng = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch]))
        if self.settings.sampler == "bar":
            return rng.permutation(len(self))
        song = rng.integers(len(self.songs), size=len(self))
        return self.starts[song] + rng.integers(self.lengths[song])


def shift_bounds(corpus: Corpus, songs: np.ndarray, settings: BatchSettings) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest shift of each song, int64 (S,): within the settings, and within the pitch bounds.

    A song that itself stands outside the bounds is not shifted further out.
    """
    is_note = corpus.tokens < NOTE_OFF
    lowest = np.where(is_note, corpus.tokens, 127).min(axis=1, initial=127)
    highest = np.where(is_note, corpus.tokens, 0).max(axis=1, initial=0)
    first = corpus.offsets[:-1]
    lowest = np.minimum.reduceat(lowest, first)[songs].astype(np.int64)
    highest = np.maximum.reduceat(highest, first)[songs].astype(np.int64)
    low = np.minimum(0, np.maximum(settings.lowest_shift, settings.min_pitch - lowest))
    high = np.maximum(0, np.minimum(settings.highest_shift, settings.max_pitch - highest))
    return low, high


def transposed(bars: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """bars, uint8 (B, T), each with its pitches shift, int (B,), semitones higher."""
    return (bars + np.where(bars < NOTE_OFF, shift[:, None], 0)).astype(np.uint8)


def draw_between(low: np.ndarray, high: np.ndarray, seed: int, *numbers: np.ndarray) -> np.ndarray:
    """int64: from low to high, both included, as the seed and the numbers (arrays of one shape) have it."""
    return low + (hash64(seed, *numbers) % (high - low + 1).astype(np.uint64)).astype(np.int64)


def hash64(seed: int, *numbers: np.ndarray) -> np.ndarray:
    """uint64: splitmix64 over a seed and arrays of integers of one shape."""
    state = np.zeros(np.shape(numbers[0]), np.uint64)
    for number in (seed, *numbers):
        state = scramble((state ^ np.asarray(number).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15))
    return state


def distinct_batches(corpus: Corpus, side: int, size: int, most: int = 0) -> Iterator[Batch]:
    """The bars of a side as batches of one shape, each distinct bar once, its weight the number of times it occurs.

    Args:
      size: examples in a batch; the last one is padded with weight 0.
      most: a systematic sample of so many bars of the side, in the order of the distinct bars; 0 is all.
    """
    occurrences = np.sort(corpus.bar_ids[corpus.bars(side)])
    if most and len(occurrences) > most:
        occurrences = occurrences[(np.arange(most) * len(occurrences)) // most]
    ids, counts = np.unique(occurrences, return_counts=True)
    for first in range(0, len(ids), size):
        rows = slice(first, first + size)
        padding = (0, size - len(ids[rows]))
        yield {
            "bars": np.pad(corpus.distinct[ids[rows]], (padding, (0, 0))),
            "weight": np.pad(counts[rows].astype(np.float32), padding),
            "index": np.arange(first, first + size, dtype=np.int32),
        }
