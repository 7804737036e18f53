"""What songs take from the training songs, note for note, in any key.

Real songs share bars with other real songs, the more the plainer they are, so that every share means something only
beside that of held-out songs. Bars in which no note begins are everywhere, and are not counted. A melody that is
copied with a wrong note here and there, or moved against the bar lines, shows in its windows of notes.

Letters: N bars, T tokens, S songs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.corpus.alike import most_similar, note_shingles
from mcvae_jax.music.tokens import NOTE_OFF

PASSAGE = 4  # bars in a row: what two songs hardly share by chance
SHIFTS = 256  # of transposition, counted from SHIFTS // 2 semitones down


class Copies(NamedTuple):
    """What each of some songs shares with the training songs; a song without notes shares nothing."""

    written: np.ndarray  # float64 (S,): share of its bars that stand in any training song as they are written
    bars: np.ndarray  # float64 (S,): the same, each in whatever key
    passages: np.ndarray  # float64 (S,): share within PASSAGE bars in a row that stand so in one, in one key
    nearest_share: np.ndarray  # float64 (S,): share of its bars that stand in the nearest one, all in one key
    nearest: np.ndarray  # int64 (S,): the index of that training song; -1 for none
    shift: np.ndarray  # int64 (S,): semitones from the song up to that training song
    windows: np.ndarray  # float64 (S,): share of its windows of 8 notes in one training song: `most_similar`


class TrainingBars(NamedTuple):
    """The bars and passages of the training songs, to be looked up by their shapes."""

    written: set[bytes]  # the bars as they are
    ids: dict[bytes, int]  # of the shapes of bars
    starts: np.ndarray  # int64 (ids + 1,): id i has rows starts[i] to starts[i + 1] of the next two
    song: np.ndarray  # int64: the training song
    lowest: np.ndarray  # int64: the lowest pitch with which it stands there
    passages: set[bytes]
    windows: list[np.ndarray]  # of each training song, see `note_shingles`

    @classmethod
    def of(cls, songs: Sequence[np.ndarray]) -> "TrainingBars":
        """Of training songs, each uint8 (n, steps)."""
        bars = np.concatenate(songs)
        shapes, lowest, sounds = bar_shapes(bars)
        written = {bar.tobytes() for bar in bars[sounds]}
        song = np.repeat(np.arange(len(songs)), [len(each) for each in songs])[sounds]
        ids: dict[bytes, int] = {}
        rows = [ids.setdefault(shape.tobytes(), len(ids)) for shape in shapes[sounds]]
        entries = np.unique(np.stack([np.array(rows, np.int64), song, lowest[sounds]]), axis=1)
        starts = np.searchsorted(entries[0], np.arange(len(ids) + 1))
        passages = {passage for each in songs for passage in _passages(each) if passage}
        windows = [note_shingles(each) for each in songs]
        return cls(written, ids, starts, entries[1], entries[2], passages, windows)


def find_copies(songs: Sequence[np.ndarray], training: TrainingBars) -> Copies:
    """What songs, each uint8 (n, steps), share with the training songs."""
    found = [
        (*_copied_bars(song, training), _copied_passages(song, training), *_nearest(song, training)) for song in songs
    ]
    windows, _ = most_similar([note_shingles(song) for song in songs], training.windows)
    written, bars, passages, share, nearest, shift = (np.array(column) for column in zip(*found, strict=True))
    return Copies(written, bars, passages, share, nearest, shift, windows)


def bar_shapes(bars: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bars or passages, uint8 (N, T), without their key.

    Returns: the tokens with pitches counted from the lowest of each, uint8 (N, T); these lowest pitches, int64 (N,);
    whether there is a note at all, bool (N,).
    """
    is_note = bars < NOTE_OFF
    lowest = np.where(is_note, bars, NOTE_OFF).min(axis=1).astype(np.int64)
    return np.where(is_note, bars - lowest[:, None], bars).astype(np.uint8), lowest, lowest < NOTE_OFF


def _passages(song: np.ndarray) -> list[bytes]:
    """The shape of every PASSAGE bars in a row, in order; b'' where one of them has no note."""
    if len(song) < PASSAGE:
        return []
    rows = np.arange(len(song) - PASSAGE + 1)[:, None] + np.arange(PASSAGE)
    shapes = bar_shapes(song[rows].reshape(len(rows), -1))[0]
    sounds = np.any(song < NOTE_OFF, axis=1)[rows].all(axis=1)
    return [shape.tobytes() if sounding else b"" for shape, sounding in zip(shapes, sounds, strict=True)]


def _copied_passages(song: np.ndarray, training: TrainingBars) -> float:
    copied = np.zeros(len(song), bool)
    for start, passage in enumerate(_passages(song)):
        if passage in training.passages:
            copied[start : start + PASSAGE] = True
    sounds = np.any(song < NOTE_OFF, axis=1)
    return float(np.sum(copied)) / max(1, np.sum(sounds))


def _copied_bars(song: np.ndarray, training: TrainingBars) -> tuple[float, float]:
    """The shares as written, and in any key."""
    shapes, _, sounds = bar_shapes(song)
    written = sum(bar.tobytes() in training.written for bar in song[sounds])
    found = sum(shape.tobytes() in training.ids for shape in shapes[sounds])
    return written / max(1, np.sum(sounds)), found / max(1, np.sum(sounds))


def _nearest(song: np.ndarray, training: TrainingBars) -> tuple[float, int, int]:
    """Share of the bars, training song and shift, where most bars are found; of equals the first song, lowest shift."""
    shapes, lowest, sounds = bar_shapes(song)
    places = []  # song and shift, as one number, for each bar of `song` and place at which it is found
    for shape, low in zip(shapes[sounds], lowest[sounds], strict=True):
        if (row := training.ids.get(shape.tobytes())) is not None:
            there = slice(training.starts[row], training.starts[row + 1])
            places.append(training.song[there] * SHIFTS + training.lowest[there] - low + SHIFTS // 2)
    if not places:
        return 0.0, -1, 0
    place, votes = np.unique(np.concatenate(places), return_counts=True)
    best = int(place[votes.argmax()])
    return votes.max() / np.sum(sounds), best // SHIFTS, best % SHIFTS - SHIFTS // 2
