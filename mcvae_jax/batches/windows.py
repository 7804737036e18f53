"""Batches of windows of songs: of N bars that follow each other, fewer where the song ends."""

from collections.abc import Iterable

import numpy as np

from mcvae_jax.batches.bars import draw_between
from mcvae_jax.batches.songs import Make, Piece, SongBatches, SongSettings
from mcvae_jax.corpus.store import Corpus


class WindowBatches(SongBatches):
    """Of each song and epoch one window: from any bar on, `settings.window` bars or as many as there are.

    So each bar, the last one too, stands in as many of the windows that can be drawn as any other from bar N on, and
    shorter windows are learnt as they stand at the ends of songs. All else is as in `SongBatches`.
    """

    def __init__(self, corpus: Corpus, songs: np.ndarray, settings: SongSettings, make: Make) -> None:
        super().__init__(corpus, songs, settings, make)
        self._bars = corpus.lengths

    def pieces(self, step: int) -> list[Piece]:
        """What of which songs a step holds."""
        songs = super().pieces(step)
        song = np.array([piece.song for piece in songs])
        zeros, bars = np.zeros_like(song), self._bars[song]
        first = draw_between(zeros, bars - 1, self.settings.seed, zeros + step // len(self), song, zeros + 3)
        rows = zip(songs, first.tolist(), bars.tolist(), strict=True)
        return [_cut(*row, self.settings.window) for row in rows]


def windows(songs: Iterable[Piece], size: int) -> list[Piece]:
    """Whole songs cut from their first bars into windows of `size` bars; the last of each may be shorter."""
    return [_cut(piece, first, piece.bars, size) for piece in songs for first in range(0, piece.bars, size)]


def of_one_size(make: Make, size: int) -> Make:
    """The same batches of pieces, but that all are padded to `size` bars."""
    return lambda pieces, examples, bars: make(pieces, examples, size)


def _cut(song: Piece, first: int, bars: int, size: int) -> Piece:
    """The window that begins at bar `first` of a song of so many bars."""
    return song._replace(first=first, bars=min(size, bars - first), ends=first + size >= bars)
