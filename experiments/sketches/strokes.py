"""Drawings as sequences of pen strokes, in the two formats of Ha and Eck 2017 (section 3.1).

stroke-3 is how drawings are kept: (N, 3), for each point its offset dx, dy from the point before it, y downwards, and
1 where the pen is lifted after it. stroke-5 is what the network reads: (dx, dy, p1, p2, p3), with the pen's state as
one of three: down after this point, lifted after it, or the drawing has ended, whose points have no offset.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcvae_jax.hashing import checksum

DOWN, LIFTED, END = range(3)  # states of the pen
START = np.array([0, 0, 1, 0, 0], np.float32)  # stroke-5: what the decoder reads before the first point
SIDES = ("train", "valid", "test")

Drawing = np.ndarray  # stroke-3, (N, 3) float32


@dataclasses.dataclass(frozen=True)
class Drawings:
    """The drawings of each side."""

    train: Sequence[Drawing]
    valid: Sequence[Drawing]
    test: Sequence[Drawing]

    @property
    def identity(self) -> str:
        """32 hex digits: a hash of all of them."""
        ends = [np.cumsum([0, *map(len, getattr(self, side))]) for side in SIDES]
        points = [point for side in SIDES for point in getattr(self, side)]
        return checksum(np.concatenate([np.concatenate(ends).astype(np.float32), *(p.ravel() for p in points)]))


class Shortened(NamedTuple):
    """What `up_to` keeps."""

    drawings: Drawings
    left_out: int


def up_to(drawings: Drawings, points: int) -> Shortened:
    """Those of at most so many points."""
    sides = {side: [each for each in getattr(drawings, side) if len(each) <= points] for side in SIDES}
    before, after = (sum(map(len, all_of)) for all_of in ([getattr(drawings, s) for s in SIDES], sides.values()))
    return Shortened(Drawings(**sides), before - after)


def offset_scale(drawings: Sequence[Drawing]) -> float:
    """The standard deviation of all offsets, in both directions together; they are not centred (section 3.1)."""
    return float(np.std(np.concatenate([drawing[:, :2] for drawing in drawings]).astype(np.float64)))


def to_five(drawing: Drawing, steps: int) -> np.ndarray:
    """stroke-3 (N, 3) -> stroke-5 (steps, 5), whose steps from N on have ended; N < steps."""
    five = np.zeros((steps, 5), np.float32)
    points = len(drawing)
    five[:points, :2] = drawing[:, :2]
    five[np.arange(points), 2 + np.where(drawing[:, 2] > 0, LIFTED, DOWN)] = 1
    five[points:, 2 + END] = 1
    return five


def to_three(five: np.ndarray) -> Drawing:
    """stroke-5 (T, 5) -> stroke-3, up to where the drawing has ended."""
    ended = five[:, 2 + END] > 0
    points = int(np.argmax(ended)) if ended.any() else len(five)
    return np.column_stack([five[:points, :2], five[:points, 2 + LIFTED]]).astype(np.float32)


def lines(drawing: Drawing) -> list[np.ndarray]:
    """The lines between lifts of the pen, (n, 2) each: the places of their points, the first point of all at its
    offset from the origin."""
    places = np.cumsum(drawing[:, :2], axis=0)
    breaks = np.flatnonzero(drawing[:-1, 2] > 0) + 1
    return [part for part in np.split(places, breaks) if len(part)]


def from_lines(parts: Sequence[np.ndarray]) -> Drawing:
    """The drawing of lines (n, 2): the first offset is from the origin."""
    places = np.concatenate(parts)
    lifted = np.zeros(len(places))
    lifted[np.cumsum([len(part) for part in parts]) - 1] = 1
    return np.column_stack([np.diff(places, axis=0, prepend=np.zeros((1, 2))), lifted]).astype(np.float32)
