"""Songs as tables of their distinct bars, padded to few shapes: what the joint MCVAE reads."""

from collections.abc import Sequence

import numpy as np

from mcvae_jax.models.joint.arrays import COUNTED, UNKNOWN, Songs
from mcvae_jax.music.bars import distinct_bars

QUARTERS = 4  # M is so many quarters of N: each shape is compiled, so few exist


def song_tables(
    pieces: Sequence[np.ndarray],
    first: Sequence[int],
    ends: Sequence[bool],
    size: int,
    bars: int,
    parts: int = QUARTERS,
) -> Songs:
    """Pieces of songs, uint8 (n, T) each, as `Songs` of numpy arrays with B = `size` and N = `bars`.

    Args:
      first: the number of the first bar of each in its song.
      ends: whether its last bar is the last of the song; else nothing says how many bars are left.

      parts: of N that M may be.

    M is the smallest number of quarters (`parts`) of N that holds the distinct bars of each. Rows of padding are zeros.
    """
    found = [first_appearances(piece) for piece in pieces]
    most = max(len(place) for place, _ in found)
    distinct = -(-most * parts // bars) * bars // parts
    table = Songs(
        np.zeros((size, distinct, pieces[0].shape[1]), np.uint8),
        np.zeros((size, bars), np.int32),
        np.zeros((size, distinct), np.int32),
        np.pad(np.array(first, np.int32), (0, size - len(pieces))),
        np.full((size, bars), UNKNOWN, np.int32),
    )
    for row, (piece, (place, of), whole) in enumerate(zip(pieces, found, ends, strict=True)):
        table.bars[row, : len(place)] = piece[place]
        table.of[row, : len(of)] = of
        table.place[row, : len(place)] = place
        if whole:
            table.left[row, : len(of)] = np.minimum(np.arange(len(of), 0, -1), COUNTED)
    return table


def first_appearances(song: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bars uint8 (n, T) -> where each distinct one appears first, int (D,) ascending, and which each bar is, (n,)."""
    rows = distinct_bars(song)[1]
    _, first, of = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[of]
