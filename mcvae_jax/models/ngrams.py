"""N-gram models of tokens over whole songs, across bars: the chance of a token given the few before it, by counting.

A song is read as its tokens after order - 1 START tokens, so that every token is predicted once and after a context
of full length; START itself is no outcome. All three smoothings are one recursion from short contexts to long ones,

    p_0(w) = 1 / 130,  p_k(w | c) = share_k(c, w) + backoff_k(c) p_{k-1}(w | c without its oldest token),

where c has k - 1 tokens, share is 0 and backoff 1 after a context never seen. The shares of a context and its backoff
sum to one, so the probabilities of the 130 outcomes do, and none of them is 0.

    add_one       share = n(c, w) / (n(c) + 130), at k = order alone (Laplace; how we read the thesis' 6.4.2)
    witten_bell   share = n(c, w) / (n(c) + t(c)), t(c) = distinct tokens after c (Bell, Cleary and Witten 1990)
    kneser_ney    share = (a(c, w) - D(a(c, w))) / a(c), the modified form with three discounts at each k: a = the
                  number of songs that hold (c, w) at k = order, below it the number of distinct tokens before (c, w),
                  START among them (Kneser and Ney 1995; Chen and Goodman 1999)

Kneser-Ney counts a gram once a song, since songs repeat themselves: where sections are written out twice nearly every
gram occurs twice, so that the discounts, which come from how many grams occur once, twice and three times, break down.
With n(c, w) in place of songs it costs 3 bits a bar more (docs/results.md).

Letters: S songs, T tokens of a song or of all songs, G distinct grams, C distinct contexts.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.padding import per_song

SMOOTHINGS = ("add_one", "witten_bell", "kneser_ney")
MAX_ORDER = 8  # a gram is an integer of `order` digits to base 131; one more than 8 would not fit into 63 bits
USUAL_DISCOUNTS = (0.5, 1.0, 1.5)  # where too few grams are seen to estimate them; as in KenLM (Heafield et al. 2013)


class Level(NamedTuple):
    """share_k and backoff_k: what was seen of the grams of one length k."""

    grams: np.ndarray  # int64 (G,), ascending: tokens as digits to base 131, the newest last
    shares: np.ndarray  # float64 (G,)
    contexts: np.ndarray  # int64 (C,), ascending: grams without their newest token
    backoffs: np.ndarray  # float64 (C,)


@dataclasses.dataclass(frozen=True, eq=False)
class NGrams:
    """A fitted model; see `fit`."""

    order: int
    smoothing: str
    levels: tuple[Level, ...]  # from short contexts to long ones

    @classmethod
    def fit(cls, songs: Sequence[np.ndarray], order: int, smoothing: str) -> "NGrams":
        """The model of `order` (1 is a unigram) of songs, each uint8 of any shape, read in order.

        Raises UserError for an order that is not 1 to 8, an unknown smoothing, or no songs.
        """
        if not 1 <= order <= MAX_ORDER:
            raise UserError(f"n-grams of order {order} cannot be counted; choose an order from 1 to {MAX_ORDER}")
        if smoothing not in SMOOTHINGS:
            raise UserError(f"smoothing={smoothing!r} is unknown; choose {' or '.join(SMOOTHINGS)}")
        if not sum(np.size(song) for song in songs):
            raise UserError("n-grams cannot be fitted to no songs; give a corpus with training songs")
        in_songs = _grams(songs, order)
        if smoothing == "kneser_ney":
            in_songs = _once_a_song(in_songs, songs)
        grams, counts = np.unique(in_songs, return_counts=True)
        levels = [_level(grams, counts, smoothing)]
        if smoothing != "add_one":
            for length in range(order - 1, 0, -1):
                grams, counts = _shorter(grams, np.ones(len(grams)) if smoothing == "kneser_ney" else counts, length)
                levels.append(_level(grams, counts, smoothing))
        return cls(order, smoothing, tuple(reversed(levels)))

    def token_bits(self, songs: Sequence[np.ndarray]) -> np.ndarray:
        """-log2 p of every token of all songs, one song after the other: float64 (T,)."""
        return -np.log2(self._p(_grams(songs, self.order)))

    def next_p(self, contexts: np.ndarray) -> np.ndarray:
        """The chances of the 130 outcomes after contexts, int64 (S,), of order - 1 tokens as digits: float64 (S, V)."""
        return self._p(contexts[:, None] * VOCABULARY + np.arange(OUTCOMES))

    def _p(self, grams: np.ndarray) -> np.ndarray:
        """p of the newest token of each gram given the others, float64 like `grams`."""
        p = np.full(grams.shape, 1 / OUTCOMES)
        shortest = self.order - len(self.levels) + 1
        for length, level in enumerate(self.levels, shortest):
            of_length = grams % VOCABULARY**length
            backoff = _look_up(level.contexts, level.backoffs, of_length // VOCABULARY, otherwise=1.0)
            p = _look_up(level.grams, level.shares, of_length, otherwise=0.0) + backoff * p
        return p

    def bits_of(self, songs: Sequence[np.ndarray]) -> np.ndarray:
        """Bits of each song, given its length: float64 (S,)."""
        return per_song(self.token_bits(songs), np.array([np.size(song) for song in songs], np.int64))

    def bits(self, song: np.ndarray) -> float:
        """Bits of one song, uint8 of any shape, given its length."""
        return float(self.bits_of([song])[0])


def thesis_score(model: NGrams, tokens: np.ndarray) -> float:
    """The thesis' score of a melody (6.4.2), 0 to 1, as published: exp(sum of log p of its grams / its tokens).

    The grams that reach back over the beginning are left out, so 80 tokens have 76 5-grams, yet the sum is divided by
    80: the score lies above the geometric mean of the probabilities. It is no measure of quality: silence beats
    nearly all real songs. The published figures come from a model of order 5 with add-one smoothing, fitted on the
    songs that it scores.

    Args: tokens, uint8 of any shape, of `model.order` tokens at least (ValueError).
    """
    size = np.size(tokens)
    if size < model.order:
        raise ValueError(f"{size} tokens hold no gram of {model.order}")
    return float(2 ** -(model.token_bits([tokens])[model.order - 1 :].sum() / size))


def _grams(songs: Sequence[np.ndarray], order: int) -> np.ndarray:
    """The `order` tokens that end at each token of all songs, START before the first, as int64 (T,)."""
    lengths = np.array([np.size(song) for song in songs], np.int64)
    tokens = np.concatenate([np.ravel(song) for song in songs]).astype(np.int64)
    if np.any(tokens >= OUTCOMES):
        raise ValueError(f"a song holds tokens from 0 to {OUTCOMES - 1}, not {tokens.max()}")
    place = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    grams = tokens.copy()
    for back in range(1, order):
        grams += np.where(place >= back, np.roll(tokens, back), START) * VOCABULARY**back
    return grams


def _once_a_song(grams: np.ndarray, songs: Sequence[np.ndarray]) -> np.ndarray:
    """Grams, int64 (T,), of all songs in a row, each once for every song that holds it."""
    song = np.repeat(np.arange(len(songs)), [np.size(each) for each in songs])
    order = np.lexsort((grams, song))
    grams, song = grams[order], song[order]
    return grams[np.append(True, (np.diff(grams) != 0) | (np.diff(song) != 0))]


def _shorter(grams: np.ndarray, counts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Grams without their oldest token, `length` left, and the sums of the counts of those that become the same."""
    shorter, rows = np.unique(grams % VOCABULARY**length, return_inverse=True)
    return shorter, np.bincount(rows, weights=counts)


def _level(grams: np.ndarray, counts: np.ndarray, smoothing: str) -> Level:
    """The shares and backoffs of grams (G,), ascending, that were counted so many times (G,)."""
    contexts, starts, rows = np.unique(grams // VOCABULARY, return_index=True, return_inverse=True)
    totals = np.add.reduceat(counts, starts)
    if smoothing == "kneser_ney":
        taken = _discounts(counts)[np.minimum(counts, 3).astype(np.int64) - 1]
        kept, reserved = counts - taken, np.add.reduceat(taken, starts)
    else:
        kept, reserved = counts, np.bincount(rows) if smoothing == "witten_bell" else np.full(len(contexts), OUTCOMES)
        totals = totals + reserved
    return Level(grams, kept / totals[rows], contexts, reserved / totals)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from counts of 1, of 2 and of 3 or more, (3,): Chen and Goodman 1999, section 3."""
    once, twice, thrice, four_times = (float(np.sum(counts == n)) for n in (1, 2, 3, 4))
    if min(once, twice, thrice) > 0:
        share = once / (once + 2 * twice)
        found = 1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four_times / thrice
        if min(found) > 0:
            return np.array(found)
    return np.array(USUAL_DISCOUNTS)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, otherwise: float) -> np.ndarray:
    """The value of each wanted key, float64 like `wanted`; keys are ascending."""
    rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[rows] == wanted, values[rows], otherwise)
