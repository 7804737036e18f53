"""Steps of a bar and of a quarter, and which metres make them up."""

from fractions import Fraction

import pytest

from mcvae_jax.music.grid import FEWEST, MOST, SIXTEENTHS, grid_of

METRES = [(n, d) for n in range(33) for d in (1, 2, 4, 8, 16, 32, 64)]


@pytest.mark.parametrize(
    ("steps", "quarter", "metre"),
    [
        (16, 4, (4, 4)),
        (12, 4, (3, 4)),
        (24, 6, (4, 4)),
        (32, 8, (4, 4)),
        (96, 24, (4, 4)),
        (72, 18, (4, 4)),
        (8, 4, (2, 4)),
        (20, 4, (5, 4)),
        (28, 4, (7, 4)),
        (18, 4, (9, 8)),
        (4, 4, (1, 4)),
        (6, 4, (3, 8)),
        (5, 4, (5, 16)),
        (95, 4, (95, 16)),
    ],
)
def test_widths(steps, quarter, metre):
    assert grid_of(steps) == (steps, quarter) and grid_of(steps).metre == metre
    assert grid_of(16) == SIXTEENTHS


@pytest.mark.parametrize("steps", range(FEWEST, MOST + 1))
def test_a_metre_fits_where_bars_of_either_make_up_the_other(steps):
    """Against sums: so many bars of the metre are a bar, or a bar doubled now and then is one of the metre."""
    grid = grid_of(steps)
    assert grid.fits(*grid.metre) and Fraction(*grid.metre) * 4 * grid.quarter == steps
    for metre in METRES:
        length = Fraction(*metre) * 4 * grid.quarter
        on_steps = length == int(length) and length > 0
        several = on_steps and any(k * length == steps for k in range(1, steps + 1))
        one = on_steps and any(length == steps * 2**k for k in range(9))
        assert grid.fits(*metre) == (several or one), metre


def test_bars_of_16_take_the_metres_that_they_always_took():
    for numerator, denominator in METRES:
        before = numerator.bit_count() == 1 and 16 * numerator % denominator == 0
        assert SIXTEENTHS.fits(numerator, denominator) == before


@pytest.mark.parametrize(
    ("steps", "metre", "whole"),
    [
        (12, (6, 8), (6, 8)),
        (12, (3, 4), (3, 4)),
        (12, (3, 8), (6, 8)),
        (12, (12, 8), (6, 8)),
        (12, (3, 2), (3, 4)),
        (12, (1, 4), (3, 4)),
        (16, (2, 4), (4, 4)),
        (16, (2, 2), (2, 2)),
        (16, (8, 4), (4, 4)),
        (24, (2, 4), (4, 4)),
        (18, (9, 8), (9, 8)),
        (18, (3, 8), (9, 8)),
    ],
)
def test_the_metre_of_one_bar(steps, metre, whole):
    assert grid_of(steps).whole(*metre) == whole


@pytest.mark.parametrize("steps", range(FEWEST, MOST + 1))
def test_the_metre_of_one_bar_has_its_length(steps):
    grid = grid_of(steps)
    for metre in METRES:
        if grid.fits(*metre):
            assert grid.steps_of(*grid.whole(*metre)) == steps, metre
