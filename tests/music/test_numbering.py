"""The numbers of bars: what a notation program prints, and a DAW counts."""

from fractions import Fraction

import numpy as np
import pytest

from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.numbering import PLAIN, Numbers, first_number, numbers_of
from mcvae_jax.music.score import Score

BAR = 1920


def score_of(*signatures, pickup=-1):
    return Score((), 480, np.array(signatures, int).reshape(-1, 3), np.empty((0, 2)), pickup=pickup)


@pytest.mark.parametrize(
    ("score", "tick", "number"),
    [
        (score_of(), 0, 1),
        (score_of((0, 4, 4)), 4 * BAR, 5),  # after an introduction of four bars
        (score_of((0, 4, 4), pickup=480), 480 - BAR, 0),  # the bar in which a pickup stands
        (score_of((0, 4, 4), pickup=480), 480, 1),
        (score_of((0, 1, 4), (480, 4, 4)), 0, 0),  # as notation programs export a pickup
        (score_of((0, 1, 4), (480, 4, 4)), 480 + 2 * BAR, 3),
        (score_of((0, 3, 4), (4 * 1440, 4, 4)), 4 * 1440 + BAR, 6),  # four bars of 3/4, and one of 4/4
        (score_of((0, 2, 4)), 3 * BAR, 7),
    ],
)
def test_the_first_bar_of_a_tune(score, tick, number):
    assert first_number(score, tick) == number
    assert first_number(score_of((0, 1, 4)), 2 * BAR, (4, 4)) == 3  # what the user says holds


def test_bars_of_a_metre_that_is_shorter_or_longer_than_those_of_the_grid():
    pairs, halves = numbers_of((2, 4), grid_of(16)), numbers_of((4, 2), grid_of(16))
    assert [(pairs.of(n), pairs.last_of(n)) for n in range(3)] == [(1, 2), (3, 4), (5, 6)]
    assert [(halves.of(n), halves.last_of(n)) for n in range(3)] == [(1, 1), (1, 1), (2, 2)]
    assert pairs.bars(3, 6) == range(1, 3) and halves.bars(2, 2) == range(2, 4)
    assert pairs.span(1, 3) == "3 to 6" and halves.span(0, 2) == "1" and pairs.later(2).of(0) == 5
    assert numbers_of((3, 4), grid_of(16)) == PLAIN  # bars of 16 steps, whatever is printed
    assert numbers_of((6, 8), grid_of(12)) == PLAIN and numbers_of((3, 8), grid_of(12), 0) == Numbers(0, Fraction(2))
    assert Numbers(0).span(0, 9) == "0 to 8" and Numbers(-1, Fraction(2)).span(0, 2) == "0 to 2"
