"""Whether onsets keep to a pulse: performances that were recorded without a click share no grid with their file."""

import numpy as np

from mcvae_jax.music.score import Score, Track

DIVISIONS = (2, 3, 4, 6, 8, 12)  # of a quarter: eighths, triplets, sixteenths, and halves of these


def pulse_of(score: Score, melody: Track, steps: float = 4) -> float:
    """How far the onsets of a melody agree on a grid of its quarters, 0 to 1; 1 where the source states its measures.

    It is the largest length of the mean of exp(2 pi i k t) over DIVISIONS k and the `steps` of a quarter that a corpus
    has, t being the onsets in quarters (the mean resultant length of circular statistics). Onsets on a grid of k give 1
    wherever that grid begins, onsets without one about 1 / sqrt(their number). docs/music.md ("Performances") has what
    was measured.
    """
    if score.pickup >= 0:
        return 1.0
    turns = np.outer([*DIVISIONS, steps], melody.start) * (2 * np.pi / score.ticks_per_quarter)
    return float(np.abs(np.exp(1j * turns).mean(axis=1)).max())
