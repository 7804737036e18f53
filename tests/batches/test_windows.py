"""Windows of songs: where they are cut, and how often a bar stands in one."""

import types

import numpy as np

from mcvae_jax.batches.songs import Piece, SongSettings
from mcvae_jax.batches.windows import WindowBatches, of_one_size, windows
from mcvae_jax.music.tokens import NO_EVENT

LENGTHS = np.array([5, 9, 3, 4])


def a_corpus():
    tokens = np.full((LENGTHS.sum(), 16), NO_EVENT, np.uint8)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    return types.SimpleNamespace(lengths=LENGTHS, tokens=tokens, offsets=offsets)


def test_a_song_is_cut_from_its_first_bar_and_the_last_window_may_be_shorter():
    songs = [Piece(3, 0, 9, 0, True), Piece(1, 0, 4, 0, True)]
    assert windows(songs, 4) == [
        Piece(3, 0, 4, 0, False),
        Piece(3, 4, 4, 0, False),
        Piece(3, 8, 1, 0, True),
        Piece(1, 0, 4, 0, True),
    ]


def test_a_window_begins_at_any_bar_as_often_and_ends_with_its_song():
    settings = SongSettings(2, 0, window=4, min_bars=1)
    batches = WindowBatches(a_corpus(), np.array([0, 1, 3]), settings, lambda pieces, size, bars: {"pieces": pieces})
    epochs = 900
    pieces = [piece for step in range(epochs * len(batches)) for piece in batches(step)["pieces"]]
    assert len(pieces) == 3 * epochs and pieces[:2] == batches.pieces(0)
    for piece in pieces:
        assert piece.bars == min(4, LENGTHS[piece.song] - piece.first)
        assert piece.ends == (piece.first + piece.bars == LENGTHS[piece.song])
    firsts = np.bincount([piece.first for piece in pieces if piece.song == 1], minlength=9)
    assert len(firsts) == 9 and (firsts > 60).all() and (firsts < 140).all()
    held = sum((np.isin(np.arange(9), piece.first + np.arange(piece.bars)) for piece in pieces if piece.song == 1), 0)
    assert held[3:].min() > 0.8 * held[3:].max(), "the last bar is seen as often as the others"


def test_all_batches_have_windows_of_one_size():
    make = of_one_size(lambda pieces, size, bars: {"size": size, "bars": bars}, 16)
    assert make([], 3, 0) == make([], 3, 32) == {"size": 3, "bars": 16}
