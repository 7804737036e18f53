"""Batches of songs as latent sequences: like those of bars, a pure function of the step.

Letters: B songs in a batch, T bars of the longest with padding, Z latent size, S songs.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from mcvae_jax.batches.bars import Batch, BatchSettings, draw_between, shift_bounds
from mcvae_jax.command import check_range
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.latents import Latents
from mcvae_jax.nn.padding import padded_length

GROUP = 16  # batches whose songs are sorted by length together
SHORTEST, LONGEST = 16, 339  # bars of the songs that are scored


@dataclasses.dataclass(frozen=True)
class SongSettings(BatchSettings):
    """Which songs the MDRNN learns, and what of them; lowest_shift to max_pitch are those of bars."""

    min_bars: int = 16  # shorter songs are left out (thesis 3.2.2)
    max_bars: int = 339  # and longer ones (thesis 7.1.1); 0 is no limit
    window: int = 0  # 0: whole songs; N: of each song and epoch N bars that follow each other (thesis notebooks: 16)
    draw: str = "q"  # z is drawn from q anew each time; 'mu': z = mu, see tasks/prior.py
    standardise: bool = True  # by the mean and standard deviation of z ~ q over the training bars

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draw not in ("q", "mu"):
            raise UserError(f"config.data.draw is 'q' or 'mu', not {self.draw!r}")
        if self.min_bars < 1 or (self.max_bars and self.max_bars < self.min_bars) or self.max_bars < 0:
            raise UserError(
                "config.data.min_bars must be at least 1 and max_bars not below it (0 is no limit); they are"
                f" {self.min_bars} and {self.max_bars}"
            )
        check_range("config.data.window", self.window, 0, 100_000)


def usable_songs(corpus: Corpus, side: int, settings: SongSettings) -> tuple[np.ndarray, dict[str, int]]:
    """The songs of a side that are neither too short nor too long, int64 (S,), and how many of the others there are."""
    songs = corpus.songs(side)
    lengths = corpus.lengths[songs]
    short = lengths < settings.min_bars
    long = lengths > settings.max_bars if settings.max_bars else np.zeros(len(songs), bool)
    return songs[~short & ~long], {"too_short": int(short.sum()), "too_long": int(long.sum())}


def scored_songs(corpus: Corpus, side: int) -> np.ndarray:
    """Indices of the songs of a side that are scored: whole songs from SHORTEST to LONGEST bars."""
    songs = corpus.songs(side)
    return songs[(corpus.lengths[songs] >= SHORTEST) & (corpus.lengths[songs] <= LONGEST)]


class SongBatches:
    """Training batches: `batches(step)` is a dict of

    'mu', 'log_var'  float32 (B, T, Z), zeros in the padding
    'mask'           float32 (B, T), 1 for the bars of the song
    'ends'           float32 (B,), 1 where the last of these bars is the last of the song
    'weight'         float32 (B,), 'index' int32 (B,)

    An epoch holds every song once: its last places, where the songs do not fill a batch, have weight 0. Epoch e is a
    permutation of the songs from (seed, e), cut into groups of 16 batches; within a group songs are sorted by length
    before they are cut into batches, so that little is padding, and the epoch's batches come in an order of their own.
    A song's transposition and window in epoch e are functions of (seed, e, song).
    """

    def __init__(self, corpus: Corpus, latents: Latents, songs: np.ndarray, settings: SongSettings) -> None:
        """songs: indices of the songs to draw from, int (S,), S at least 1."""
        self.corpus, self.latents, self.settings = corpus, latents, settings
        self.songs = np.asarray(songs)
        self.low, self.high = shift_bounds(corpus, self.songs, settings)
        lengths = corpus.lengths[self.songs]
        self.lengths = np.minimum(lengths, settings.window) if settings.window else lengths  # of what a batch holds
        self._last_start = lengths - self.lengths
        self._epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.songs) // self.settings.batch_size)

    @property
    def bars_per_batch(self) -> float:
        """Bars of an epoch divided by its batches."""
        return float(self.lengths.sum() / len(self))

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self))
        chosen = self._epoch(epoch)[place]
        song, epochs = self.songs[chosen], np.full(len(chosen), epoch)
        last, seed = self._last_start[chosen], self.settings.seed
        shift = draw_between(self.low[chosen], self.high[chosen], seed, epochs, song)
        start = draw_between(np.zeros_like(last), last, seed, epochs, song, np.ones_like(last))  # one number more
        sequences = []
        for i, first, n, semitones in zip(song, start, self.lengths[chosen], shift, strict=True):
            mu, log_var = self.latents.song(self.corpus, i, int(semitones))
            sequences.append((mu[first : first + n], log_var[first : first + n]))
        ends = (start == last).astype(np.float32)
        return padded_batch(sequences, ends, self.settings.batch_size, self.settings.window)

    def _draw_epoch(self, epoch: int) -> list[np.ndarray]:
        """The songs of each batch of an epoch, as places in `songs`; one of the batches may hold fewer than B."""
        rng = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch]))
        order, size = rng.permutation(len(self.songs)), self.settings.batch_size
        for first in range(0, len(order), GROUP * size):
            group = order[first : first + GROUP * size]
            order[first : first + GROUP * size] = group[np.argsort(self.lengths[group], kind="stable")]
        batches = [order[first : first + size] for first in range(0, len(order), size)]
        return [batches[i] for i in rng.permutation(len(batches))]


def held_out_batches(
    corpus: Corpus, latents: Latents, songs: np.ndarray, reconstruction: np.ndarray, size: int
) -> Iterator[Batch]:
    """Whole songs as they stand, each once, the short ones first, in batches of at most `size`.

    `reconstruction`, (S,) for songs (S,), is what the VAE needs for each song given its latents, in nats; a batch holds
    it as 'reconstruction', float32 (B,), so that the sum of a batch's bound can be told.
    """
    order = np.argsort(corpus.lengths[songs], kind="stable")
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        sequences = [latents.song(corpus, i) for i in songs[chosen]]
        batch = padded_batch(sequences, np.ones(len(chosen), np.float32), min(size, len(order)), 0)
        nats = np.pad(reconstruction[chosen].astype(np.float32), (0, len(batch["weight"]) - len(chosen)))
        yield batch | {"index": batch["index"] + np.int32(first), "reconstruction": nats}


def padded_batch(sequences: list[tuple[np.ndarray, np.ndarray]], ends: np.ndarray, size: int, bars: int) -> Batch:
    """Sequences of mu and log_var, each (n, Z), as a batch (see SongBatches) of `size` songs of `bars` bars.

    bars = 0 is the padded length of the longest.
    """
    lengths = [len(mu) for mu, _ in sequences]
    bars = bars or padded_length(max(lengths))
    mu, log_var = (np.zeros((size, bars, sequences[0][0].shape[1]), np.float32) for _ in range(2))
    for row, sequence in enumerate(sequences):
        mu[row, : lengths[row]], log_var[row, : lengths[row]] = sequence
    missing = size - len(sequences)
    padded = np.pad(lengths, (0, missing))
    return {
        "mu": mu,
        "log_var": log_var,
        "mask": (np.arange(bars) < padded[:, None]).astype(np.float32),
        "ends": np.pad(ends, (0, missing)),
        "weight": (padded > 0).astype(np.float32),
        "index": np.arange(size, dtype=np.int32),
    }
