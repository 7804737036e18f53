"""Batches of drawings as a pure function of the step.

Letters: B drawings, T steps: one more than the longest drawing has points, so that each of them ends.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from experiments.sketches.strokes import Drawing, to_five
from mcvae_jax.batches.bars import Batch


def batch_of(drawings: Sequence[Drawing], scale: float, steps: int, size: int, first: int = 0) -> Batch:
    """{'five': float32 (B, T, 5), 'lengths': int32 (B,), 'weight', 'index'}, filled up to B = size with weight 0.

    scale: of the offsets, which are divided by it.
    """
    rows = [*drawings, *[drawings[-1]] * (size - len(drawings))]
    five = np.stack([to_five(drawing, steps) for drawing in rows])
    five[..., :2] /= scale
    return {
        "five": five,
        "lengths": np.array([len(drawing) for drawing in rows], np.int32),
        "weight": (np.arange(size) < len(drawings)).astype(np.float32),
        "index": np.arange(first, first + size, dtype=np.int32),
    }


def held_out(drawings: Sequence[Drawing], scale: float, steps: int, size: int) -> Iterator[Batch]:
    """All drawings, in batches of one shape."""
    for first in range(0, len(drawings), size):
        yield batch_of(drawings[first : first + size], scale, steps, size, first)


class DrawingBatches:
    """Training batches: epoch e is a permutation of the drawings from (seed, e), and a batch may straddle two.

    Each drawing is drawn larger or smaller in both directions by a share up to `stretch`, anew in each epoch.
    """

    def __init__(
        self, drawings: Sequence[Drawing], scale: float, steps: int, size: int, seed: int, stretch: float
    ) -> None:
        self.drawings, self.scale, self.steps, self.size = drawings, scale, steps, size
        self.seed, self.stretch = seed, stretch
        self._epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)

    def __call__(self, step: int) -> Batch:
        epochs, places = np.divmod(np.arange(step * self.size, (step + 1) * self.size), len(self.drawings))
        chosen, factors = [], []
        for epoch, place in zip(epochs.tolist(), places.tolist(), strict=True):
            order, stretched = self._epoch(epoch)
            chosen.append(self.drawings[order[place]])
            factors.append(stretched[place])
        batch = batch_of(chosen, self.scale, self.steps, self.size)
        batch["five"][..., :2] *= np.array(factors, np.float32)[:, None]
        return batch

    def _draw_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        count = len(self.drawings)
        return rng.permutation(count), 1 + rng.uniform(-self.stretch, self.stretch, (count, 2))
