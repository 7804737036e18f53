"""Batches of songs, as tokens or as latent sequences: like those of bars, a pure function of the step.

Letters: B songs in a batch, N bars of the longest with padding, T steps of a bar, Z latent size, S songs.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.batches.bars import Batch, BatchSettings, draw_between, shift_bounds
from mcvae_jax.command import check_range
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.latents import Latents
from mcvae_jax.music.tokens import transpose
from mcvae_jax.nn.padding import padded_length

GROUP = 16  # batches whose songs are sorted by length together
PARTS = 1 << 20  # of which shares of songs are drawn
SHORTEST, LONGEST = 16, 339  # bars of the songs that are scored


@dataclasses.dataclass(frozen=True)
class SongSettings(BatchSettings):
    """Which songs a model of songs learns, and what of them; lowest_shift to max_pitch are those of bars."""

    min_bars: int = 16  # shorter songs are left out (thesis 3.2.2)
    max_bars: int = 339  # and longer ones (thesis 7.1.1); 0 is no limit
    as_written: float = 0.0  # share of the songs that are not transposed, others in each epoch
    window: int = 0  # 0: whole songs; N: of each song and epoch N bars that follow each other (thesis notebooks: 16)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_bars < 1 or (self.max_bars and self.max_bars < self.min_bars) or self.max_bars < 0:
            raise UserError(
                "config.data.min_bars must be at least 1 and max_bars not below it (0 is no limit); they are"
                f" {self.min_bars} and {self.max_bars}"
            )
        check_range("config.data.window", self.window, 0, 100_000)
        if not 0 <= self.as_written <= 1:
            raise UserError(f"config.data.as_written is {self.as_written}; it must be a share from 0 to 1")


@dataclasses.dataclass(frozen=True)
class LatentSettings(SongSettings):
    """The same for a prior over latents."""

    draw: str = "q"  # z is drawn from q anew each time; 'mu': z = mu, see tasks/prior.py
    standardise: bool = True  # by the mean and standard deviation of z ~ q over the training bars

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draw not in ("q", "mu"):
            raise UserError(f"config.data.draw is 'q' or 'mu', not {self.draw!r}")


class Piece(NamedTuple):
    """What of a song an example is."""

    song: int  # its index in the corpus
    first: int  # the number of its first bar, from 0
    bars: int
    shift: int  # semitones
    ends: bool  # whether its last bar is the last of the song


def usable_songs(corpus: Corpus, side: int, settings: SongSettings) -> tuple[np.ndarray, dict[str, int]]:
    """The songs of a side that are neither too short nor too long, int64 (S,), and how many of the others there are."""
    songs = corpus.songs(side)
    lengths = corpus.lengths[songs]
    short = lengths < settings.min_bars
    long = lengths > settings.max_bars if settings.max_bars else np.zeros(len(songs), bool)
    return songs[~short & ~long], {"too_short": int(short.sum()), "too_long": int(long.sum())}


def choose_songs(
    corpus: Corpus, settings: SongSettings, say: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """The songs to train on and to score, int64 (S,) each, and how many held-out ones are left out of the scores.

    Raises:
      UserError: there are none to train on, or none to score.
    """
    train, _ = usable_songs(corpus, TRAIN, settings)
    scored, left_out = usable_songs(corpus, HELD_OUT, settings)
    limits = f"from {settings.min_bars} to {settings.max_bars or 'any number of'} bars"
    for songs, side in ((train, "training"), (scored, "held-out")):
        if not len(songs):
            raise UserError(
                f"the corpus {corpus.folder} has no {side} song {limits}; change config.data.min_bars and max_bars, or"
                " give more music: a model of songs needs one to learn from and one held out of such lengths"
            )
    short, long = left_out["too_short"], left_out["too_long"]
    say(
        f"corpus {corpus.folder}: {len(train)} training songs {limits}; {len(scored)} held-out songs are scored,"
        f" {short} too short and {long} too long are not"
    )
    return train, scored, left_out


def scored_songs(corpus: Corpus, side: int) -> np.ndarray:
    """Indices of the songs of a side that are scored: whole songs from SHORTEST to LONGEST bars."""
    songs = corpus.songs(side)
    return songs[(corpus.lengths[songs] >= SHORTEST) & (corpus.lengths[songs] <= LONGEST)]


class SongBatches:
    """Training batches: `batches(step)` is what `make` makes of the pieces of a step, at most B of them, and

    'weight'         float32 (B,), 'index' int32 (B,)

    An epoch holds every song once: its last places, where the songs do not fill a batch, have weight 0. Epoch e is a
    permutation of the songs from (seed, e), cut into groups of 16 batches; within a group songs are sorted by length
    before they are cut into batches, so that little is padding, and the epoch's batches come in an order of their own.
    A song's transposition and window in epoch e are functions of (seed, e, song).
    """

    def __init__(self, corpus: Corpus, songs: np.ndarray, settings: SongSettings, make: "Make") -> None:
        """songs: indices of the songs to draw from, int (S,), S at least 1."""
        self.settings, self.make = settings, make
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
        return self.make(self.pieces(step), self.settings.batch_size, self.settings.window)

    def pieces(self, step: int) -> list[Piece]:
        """What of which songs a step holds."""
        epoch, place = divmod(step, len(self))
        chosen = self._epoch(epoch)[place]
        song, epochs = self.songs[chosen], np.full(len(chosen), epoch)
        last, seed = self._last_start[chosen], self.settings.seed
        shift = draw_between(self.low[chosen], self.high[chosen], seed, epochs, song)
        start = draw_between(np.zeros_like(last), last, seed, epochs, song, np.ones_like(last))  # one number more
        share = draw_between(
            np.zeros_like(last), np.full_like(last, PARTS - 1), seed, epochs, song, np.full_like(last, 2)
        )
        shift = np.where(share < self.settings.as_written * PARTS, 0, shift)
        columns = (song, start, self.lengths[chosen], shift, start == last)
        return [Piece(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _draw_epoch(self, epoch: int) -> list[np.ndarray]:
        """The songs of each batch of an epoch, as places in `songs`; one of the batches may hold fewer than B."""
        rng = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch]))
        order, size = rng.permutation(len(self.songs)), self.settings.batch_size
        for first in range(0, len(order), GROUP * size):
            group = order[first : first + GROUP * size]
            order[first : first + GROUP * size] = group[np.argsort(self.lengths[group], kind="stable")]
        batches = [order[first : first + size] for first in range(0, len(order), size)]
        return [batches[i] for i in rng.permutation(len(batches))]


Make = Callable[[Sequence[Piece], int, int], Batch]  # of pieces, at most B; B; N, or 0 for a padded length of them


def whole_songs(corpus: Corpus, songs: np.ndarray) -> list[Piece]:
    """Songs (S,) as they stand, the short ones first."""
    order = np.argsort(corpus.lengths[songs], kind="stable")
    return [Piece(int(i), 0, int(corpus.lengths[i]), 0, True) for i in np.asarray(songs)[order]]


def scored_batches(pieces: Sequence[Piece], size: int, make: Make) -> Iterator[Batch]:
    """Held-out pieces in order, each once, in batches of at most `size`."""
    for first in range(0, len(pieces), size):
        batch = make(pieces[first : first + size], min(size, len(pieces)), 0)
        yield batch | {"index": batch["index"] + np.int32(first)}


def tokens_of(corpus: Corpus, piece: Piece) -> np.ndarray:
    """The bars of a piece, uint8 (n, T)."""
    return transpose(corpus.song(piece.song)[piece.first : piece.first + piece.bars], piece.shift)


def token_maker(corpus: Corpus) -> Make:
    """Pieces as tokens: a batch holds

    'bars'           uint8 (B, N, T), zeros in the padding
    'first'          int32 (B,), the number of the first bar in its song
    'mask'           float32 (B, N), 1 for the bars of the piece
    'ends'           float32 (B,), 1 where the last of these bars is the last of the song
    """

    def make(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
        songs = [tokens_of(corpus, piece) for piece in pieces]
        return padded_batch({"bars": songs}, pieces, size, bars) | {"first": first_bars(pieces, size)}

    return make


def first_bars(pieces: Sequence[Piece], size: int) -> np.ndarray:
    """The numbers of the first bars of pieces in their songs, int32 (B,) with B = `size`."""
    return np.pad(np.array([piece.first for piece in pieces], np.int32), (0, size - len(pieces)))


def latent_maker(corpus: Corpus, latents: Latents) -> Make:
    """Pieces as latents: a batch holds 'mu' and 'log_var', float32 (B, N, Z), 'mask' and 'ends' as for tokens."""

    def make(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
        of_songs = [latents.song(corpus, p.song, p.shift) for p in pieces]
        arrays = {
            name: [of_song[n][p.first : p.first + p.bars] for of_song, p in zip(of_songs, pieces, strict=True)]
            for n, name in enumerate(("mu", "log_var"))
        }
        return padded_batch(arrays, pieces, size, bars)

    return make


def padded_batch(arrays: Mapping[str, Sequence[np.ndarray]], pieces: Sequence[Piece], size: int, bars: int) -> Batch:
    """Arrays of each piece, (n, ...), as (B, N, ...) with B = `size`; and 'mask', 'ends', 'weight' and 'index'.

    bars: N; 0 is the padded length of the longest.
    """
    lengths = [piece.bars for piece in pieces]
    bars = bars or padded_length(max(lengths))
    batch: Batch = {}
    for name, of_pieces in arrays.items():
        batch[name] = np.zeros((size, bars, *of_pieces[0].shape[1:]), of_pieces[0].dtype)
        for row, each in enumerate(of_pieces):
            batch[name][row, : len(each)] = each
    missing = size - len(pieces)
    padded = np.pad(lengths, (0, missing))
    return batch | {
        "mask": (np.arange(bars) < padded[:, None]).astype(np.float32),
        "ends": np.pad(np.array([piece.ends for piece in pieces], np.float32), (0, missing)),
        "weight": (padded > 0).astype(np.float32),
        "index": np.arange(size, dtype=np.int32),
    }
