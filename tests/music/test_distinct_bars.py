"""Distinct and repeated bars, of any width, against plain Python."""

import numpy as np
import pytest

from mcvae_jax.music.bars import distinct_bars, repeats

WIDTHS = (1, 4, 12, 16, 24, 96)


def some_bars(width, count=200):
    """With bars that repeat, bars that differ in their last step alone, and tokens of every size."""
    rng = np.random.default_rng(width)
    bars = rng.integers(0, 256, (count, width)).astype(np.uint8)
    bars[: count // 4] = bars[0]
    bars[: count // 4, -1] = rng.integers(0, 8, count // 4)
    bars[count // 2 :] = bars[rng.integers(0, count // 2, count - count // 2)]
    return bars


@pytest.mark.parametrize("width", WIDTHS)
def test_distinct_bars_are_those_of_a_set_in_the_order_of_their_tokens(width):
    bars = some_bars(width)
    expected = sorted(set(map(tuple, bars.tolist())))
    distinct, rows = distinct_bars(bars)
    assert list(map(tuple, distinct.tolist())) == expected and 1 < len(expected) < len(bars)
    assert rows.tolist() == [expected.index(tuple(bar)) for bar in bars.tolist()]
    assert (distinct.dtype, rows.dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("width", WIDTHS)
def test_repeats_are_the_bars_that_stood_before(width):
    bars = some_bars(width)
    before, expected = set(), []
    for bar in map(tuple, bars.tolist()):
        expected.append(bar in before)
        before.add(bar)
    assert repeats(bars).tolist() == expected and True in expected
    assert repeats(bars[:1]).tolist() == [False]


def test_bars_that_are_cut_out_of_others_are_read_as_they_stand():
    """Views with strides of their own: every second bar, a part of the steps, backwards, in another order in memory."""
    bars = some_bars(24)
    for view in (bars[::2], bars[:, 3:15], bars[::-1], np.asfortranarray(bars)):
        whole = distinct_bars(np.ascontiguousarray(view))
        assert all(np.array_equal(a, b) for a, b in zip(distinct_bars(view), whole, strict=True))


def test_no_bars_at_all():
    distinct, rows = distinct_bars(np.empty((0, 12), np.uint8))
    assert distinct.shape == (0, 12) and rows.shape == (0,) and repeats(np.empty((0, 12), np.uint8)).shape == (0,)
