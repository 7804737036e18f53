"""Finite scalar quantisation against its paper's formulas in numpy float64 (Mentzer et al. 2024, appendix A.1)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.nn.fsq import codes_of, count, quantised, values_of

pytestmark = pytest.mark.more

LEVELS = pytest.mark.parametrize("levels", [(8, 5, 5), (2, 3), (4,), (7, 6, 2, 3)])


def bound(z, levels):
    """The paper's f: tanh(z + shift) * half_l - offset."""
    width = np.array(levels, np.float64)
    half = (width - 1) * (1 - 1e-3) / 2
    offset = np.where(width % 2 == 1, 0.0, 0.5)
    return np.tanh(z + np.tan(offset / half)) * half - offset


def some(levels, scale, size=2000):
    return np.random.default_rng(0).normal(0, scale, (size, len(levels)))


@LEVELS
def test_values_are_those_of_the_paper(levels):
    z = some(levels, 2.0)
    squashed = bound(z, levels)
    clear = np.abs(squashed - np.floor(squashed) - 0.5) > 1e-4  # of float32
    expected = np.round(squashed) / (np.array(levels) // 2)
    np.testing.assert_allclose(np.asarray(quantised(z, levels))[clear], expected[clear], atol=1e-6)


@LEVELS
def test_every_dimension_has_its_number_of_levels_and_no_more(levels):
    """Far beyond the range, too."""
    values = np.asarray(quantised(np.concatenate([some(levels, 2.0), some(levels, 1e4)]), levels))
    for n, width in enumerate(levels):
        expected = (np.arange(width) - width // 2) / (width // 2)
        np.testing.assert_allclose(np.unique(values[:, n].round(6)), expected, atol=1e-6)
    assert values.min() >= -1 and values.max() <= 1


@LEVELS
def test_gradients_pass_the_rounding_as_if_it_were_not_there(levels):
    z, weight, width = some(levels, 1.0, 50), some(levels, 1.0, 50), np.array(levels) // 2
    found = jax.grad(lambda z: jnp.sum(weight * quantised(z, levels)))(jnp.asarray(z, jnp.float32))
    small = 1e-6
    slope = (bound(z + small, levels) - bound(z - small, levels)) / (2 * small)
    np.testing.assert_allclose(found, weight * slope / width, rtol=1e-3, atol=1e-5)


@LEVELS
def test_codes_and_combinations_of_levels_are_the_same(levels):
    """All of them: the first dimension counts fastest, and back and forth nothing changes."""
    digits = np.array([each[::-1] for each in itertools.product(*(range(width) for width in levels[::-1]))])
    values = (digits - np.array(levels) // 2) / (np.array(levels) // 2)
    codes = np.asarray(codes_of(jnp.asarray(values, jnp.float32), levels))
    assert codes.tolist() == list(range(count(levels))) and codes.dtype == np.int32
    np.testing.assert_allclose(values_of(codes, levels), values, atol=1e-6)
    z = some(levels, 2.0)
    np.testing.assert_allclose(
        values_of(codes_of(quantised(z, levels), levels), levels), quantised(z, levels), atol=1e-6
    )
