"""How alike two tunes are: windows of notes, or also at another speed, with other notes here and there, in other order.

Everything is in any key and at any place in the bar. Letters: S songs, N notes, M moves, H songs that are asked about.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mcvae_jax.corpus.settings import EDITS, WINDOWS
from mcvae_jax.hashing import scramble
from mcvae_jax.music.tokens import NOTE_OFF

SHINGLE_NOTES = 8  # of a window
WINDOW_MOVES = SHINGLE_NOTES - 2  # a move is of three notes
COMMON_SHINGLE = 1000  # a window of more songs than this tells no tune from another
COMPARED = 32  # songs with which one is compared move by move: those with which it shares most
FEW_MOVES = 4  # in a row, that songs which are compared so share; so many stay where every sixth note is another
TWINS = 0.9  # songs at least as alike, move by move, are one tune
SPEEDS = 4  # ratios of times are told apart to a quarter of an octave, so that quantisation moves few

Alike = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], tuple[np.ndarray, np.ndarray]]


def by_windows(asked: Sequence[np.ndarray], songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`most_similar` of songs by `note_shingles`: the same notes at the same speed. See `by_edits` for the shapes."""
    return most_similar(*([note_shingles(bars) for bars in side] for side in (asked, songs)))


def by_edits(asked: Sequence[np.ndarray], songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How alike each song is to the most similar of others, at any speed and with some notes changed.

    The larger of two shares, each 1 for the same tune. One is of its moves that stand in windows which the other song
    holds as well, so that repeats, verses and the order of parts do not matter. The other is 1 less the edit distance
    of the moves (Levenshtein 1966) by the length of the longer song, so that changes in every bar do not matter much.

    Args:
      asked, songs: uint8 (n, T) each.

    Returns: float64 (H,), and int64 (H,): the index of that song, -1 where nothing is shared.
    """
    moves = [note_moves(bars).tolist() for bars in songs]
    long, short = (Index.of_moves(moves, length) for length in (WINDOW_MOVES, FEW_MOVES))
    similarity, nearest = np.zeros(len(asked)), np.full(len(asked), -1)
    for i, own in enumerate(map(note_moves, asked)):
        covered = long.covered(own)
        found = {other: _edit_similarity(own.tolist(), moves[other]) for other in _most(short.covered(own))}
        found |= {other: max(covered[other], found.get(other, 0.0)) for other in _most(covered)}
        best = min(found, key=lambda other: (-found[other], other), default=-1)
        if best >= 0 and found[best] > 0:
            similarity[i], nearest[i] = found[best], best
    return similarity, nearest


def same_tunes(songs: Sequence[np.ndarray]) -> np.ndarray:
    """A number for each song, uint8 (n, T), the same for those that are one tune: int64 (S,).

    They are as alike as TWINS, move by move and from end to end, or are joined by songs that are.
    """
    moves = [note_moves(bars).tolist() for bars in songs]
    pairs = np.array([*_twins(moves)], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(songs), len(songs)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _twins(moves: Sequence[list[int]]) -> Iterator[tuple[int, int]]:
    """The pairs of songs, each once, that are twins."""
    index = Index.of_moves(moves, WINDOW_MOVES)
    for i, own in enumerate(moves):
        for other in _most(index.covered(np.array(own, np.uint64))):
            shorter, longer = sorted((len(own), len(moves[other])))
            if other > i and shorter >= TWINS * longer and _edit_similarity(own, moves[other]) >= TWINS:
                yield i, other


def note_moves(bars: np.ndarray) -> np.ndarray:
    """What every three notes of a song in a row are at any speed: hashes, uint64 (N - 2,).

    A move is the interval from the first to the second in semitones, and the ratio of the times from onset to onset.
    Where a song is read at half speed, its moves are the same. Two notes alone are one move, fewer are none.
    """
    tokens = bars.reshape(-1)
    onsets = np.flatnonzero(tokens < NOTE_OFF)
    times, intervals = np.diff(onsets), np.diff(tokens[onsets].astype(np.int64))
    if len(onsets) < 3:
        return scramble(intervals.astype(np.uint64))
    ratios = np.rint(SPEEDS * np.log2(times[1:] / times[:-1])).astype(np.int64)
    return scramble((intervals[:-1] * 2**32 + ratios).astype(np.uint64))


def windows(moves: np.ndarray, length: int) -> np.ndarray:
    """Hashes, uint64, of every `length` moves (M,) in a row, in order; of fewer moves, one of all."""
    return _runs(moves, min(length, len(moves))) if len(moves) else moves


class Index(NamedTuple):
    """Where the windows of some songs stand."""

    codes: np.ndarray  # uint64, sorted: the distinct windows of every song
    owners: np.ndarray  # int64: the song of each
    length: int = 0  # moves of a window, where these are of moves

    @classmethod
    def of(cls, songs: Sequence[np.ndarray]) -> "Index":
        """Of the windows (uint64) of songs."""
        distinct = [np.unique(each) for each in songs]
        codes = np.concatenate(distinct) if distinct else np.zeros(0, np.uint64)
        order = np.argsort(codes, kind="stable")
        return cls(codes[order], np.repeat(np.arange(len(distinct)), [len(each) for each in distinct])[order])

    @classmethod
    def of_moves(cls, songs: Sequence[list[int]], length: int) -> "Index":
        """Of the windows of so many moves of songs."""
        return cls.of([windows(np.array(each, np.uint64), length) for each in songs])._replace(length=length)

    def places(self, shingles: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The songs that hold windows (uint64), and which of these; and how many windows are not too common.

        A binary search finds the songs of each window, so that no two songs are compared in full.
        """
        first = np.searchsorted(self.codes, shingles, "left")
        counts = np.searchsorted(self.codes, shingles, "right") - first
        telling = counts <= COMMON_SHINGLE
        counts = np.where(telling, counts, 0)
        starts = np.cumsum(counts) - counts
        owners = self.owners[np.repeat(first - starts, counts) + np.arange(counts.sum())]
        return owners, np.repeat(np.arange(len(shingles)), counts), int(telling.sum())

    def covered(self, moves: np.ndarray) -> dict[int, float]:
        """The share of the moves of a song, uint64 (M,), in windows that another holds, for each that holds any."""
        length = min(self.length, len(moves))
        owners, starts, _ = self.places(windows(moves, self.length))
        order = np.lexsort((starts, owners))
        owners, starts = owners[order], starts[order]
        gaps = np.where(np.diff(owners) == 0, np.diff(starts), length)
        reach = np.minimum(np.append(gaps, length)[: len(owners)], length)
        shares = np.bincount(owners, reach) / max(len(moves), 1)
        return {other: float(shares[other]) for other in np.flatnonzero(shares).tolist()}


def note_shingles(bars: np.ndarray) -> np.ndarray:
    """Hashes (uint64, sorted, distinct) of all windows of 8 consecutive notes.

    A window is its 7 pairs of (interval in semitones, steps from onset to onset), so neither the key nor the
    place of the bar lines matters. A song of fewer notes is one window: only the same few notes match it.
    """
    tokens = bars.reshape(-1)
    onsets = np.flatnonzero(tokens < NOTE_OFF)
    if not len(onsets):
        return np.zeros(0, np.uint64)
    intervals = np.diff(tokens[onsets].astype(np.int64))
    moves = scramble((intervals * 2**32 + np.diff(onsets)).astype(np.uint64))
    return np.unique(_runs(moves, min(SHINGLE_NOTES - 1, len(moves))))


def most_similar(asked: Sequence[np.ndarray], songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Largest share of each song's shingles that stand in one of other songs, and which song that is.

    Shingles of more than COMMON_SHINGLE songs count nowhere; a song of no others has similarity 0. Among equally
    similar songs the first is named. Returns float64 (H,) and int64 (H,), -1 where nothing is shared.
    """
    index = Index.of(songs)
    similarity, nearest = np.zeros(len(asked)), np.full(len(asked), -1)
    for i, shingles in enumerate(asked):
        owners, _, telling = index.places(shingles)
        if len(owners):
            shared = np.bincount(owners)
            nearest[i] = shared.argmax()
            similarity[i] = shared[nearest[i]] / telling
    return similarity, nearest


def _runs(moves: np.ndarray, length: int) -> np.ndarray:
    """Hashes, uint64 (M - length + 1,), of every `length` moves in a row."""
    count = len(moves) - length + 1
    hashes = np.full(count, length, np.uint64)
    for k in range(length):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + moves[k : k + count]
    return scramble(hashes)


def _most(covered: dict[int, float]) -> list[int]:
    """The COMPARED songs that cover most; of equals the first."""
    return heapq.nsmallest(COMPARED, covered, key=lambda other: (-covered[other], other))


def _edit_similarity(a: list[int], b: list[int]) -> float:
    return Levenshtein.normalized_similarity(a, b)


ALIKE: dict[str, Alike] = {EDITS: by_edits, WINDOWS: by_windows}  # see CorpusSettings.alike
