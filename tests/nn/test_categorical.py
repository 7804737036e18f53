"""Draws of tokens with temperature and cuts against an oracle in float64 that sorts, one row at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.nn import categorical
from mcvae_jax.nn.categorical import sample_tokens
from tests.draws import expected_distribution, keys_of

sample = jax.jit(sample_tokens)


def drawn_distribution(logits, temperature, top_k, top_p, draws=20_000):
    rows = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (draws, len(logits)))
    tokens = np.asarray(sample(rows, keys_of(draws), jnp.float32(temperature), jnp.int32(top_k), jnp.float32(top_p)))
    return np.bincount(tokens, minlength=len(logits)) / draws


# log shares 0.4, 0.3, 0.2, 0.1: the figures below are worked out by hand from these
FOUR = np.log([0.2, 0.4, 0.1, 0.3])
CASES = [
    (FOUR, 1.0, 0, 1.0),
    (FOUR, 0.5, 0, 1.0),
    (FOUR, 2.0, 3, 1.0),
    (FOUR, 1.0, 2, 1.0),
    (FOUR, 1.0, 0, 0.65),  # 0.4 + 0.3 reach it
    (FOUR, 1.0, 2, 0.56),  # of the two that stay the first holds 0.571: top-k first leaves one, nucleus first two
    (FOUR, 0.5, 0, 0.5),  # temperature first: 0.533 is enough alone; without it 0.4 is not
    (FOUR, 2.0, 0, 0.34),  # temperature first: 0.325 is not enough
    (FOUR, 1.0, 0, 0.01),  # the likeliest always stays
    (np.zeros(5), 1.0, 2, 1.0),  # of equals the lower tokens
    (np.array([0.0, 1.0, 1.0, 1.0, 0.0]), 1.0, 2, 1.0),
    (np.zeros(4), 1.0, 0, 0.6),  # three quarters are the fewest
]


@pytest.mark.parametrize("logits, temperature, top_k, top_p", CASES)
def test_draws_follow_the_oracle(logits, temperature, top_k, top_p):
    expected = expected_distribution(logits, temperature, top_k, top_p)
    found = drawn_distribution(logits, temperature, top_k, top_p)
    assert set(np.flatnonzero(found)) == set(np.flatnonzero(expected))
    assert np.abs(found - expected).max() < 0.02  # over 5 standard deviations of a share of 20,000 draws


def test_the_order_of_the_cuts_matters_in_the_oracle():
    """Cases of their own where another order would keep other tokens, worked out by hand."""
    assert np.count_nonzero(expected_distribution(FOUR, 1.0, 2, 0.56)) == 1
    assert np.count_nonzero(expected_distribution(FOUR, 1.0, 0, 0.56)) == 2
    assert np.count_nonzero(expected_distribution(FOUR, 0.5, 0, 0.5)) == 1
    assert np.count_nonzero(expected_distribution(FOUR, 1.0, 0, 0.5)) == 2


def test_cuts_on_130_outcomes_keep_the_tokens_of_the_oracle():
    rng = np.random.default_rng(0)
    for top_k, top_p in ((0, 0.9), (7, 1.0), (40, 0.8), (200, 0.999)):
        logits = np.round(3 * rng.normal(size=(20, OUTCOMES)), 1)  # rounded, so that there are ties
        cut = np.asarray(categorical._cut(jnp.asarray(logits, jnp.float32), jnp.int32(top_k), jnp.float32(top_p)))
        for row, found in zip(logits, cut, strict=True):
            expected = expected_distribution(row, 1.0, top_k, top_p)
            assert np.array_equal(np.isfinite(found), expected > 0)


def test_temperature_0_is_the_first_of_the_likeliest_and_tiny_ones_come_close():
    logits = jnp.array([[0.0, 2.0, 2.0, 1.0], [-1e30, 3.0, 80.0, 79.0]])
    assert sample(logits, keys_of(2), 0.0, 0, 1.0).tolist() == [1, 2]
    assert sample(logits[1:], keys_of(1), 1e-38, 3, 0.9).tolist() == [2]


def test_a_program_that_cuts_nothing_draws_the_same():
    logits = 2 * jax.random.normal(jax.random.key(0), (256, OUTCOMES))
    for temperature in (0.0, 0.7, 1.0):
        expected = sample(logits, keys_of(256), temperature, 0, 1.0)
        assert np.array_equal(sample(logits, keys_of(256), temperature, None, None), expected)


def test_draws_are_those_of_jax():
    for rows, places in ((64, OUTCOMES), (5, 2)):
        logits = 2 * jax.random.normal(jax.random.key(rows), (rows, places)).at[:, 0].set(-jnp.inf)
        logits -= jnp.max(logits, axis=-1, keepdims=True)  # as sample_tokens makes them
        expected = jax.vmap(jax.random.categorical)(keys_of(rows), logits)
        assert np.array_equal(categorical.draw(keys_of(rows), logits), expected)
        assert np.array_equal(sample(logits, keys_of(rows), 1.0, 0, 1.0), expected)


def test_a_row_is_drawn_by_its_own_key():
    logits = jnp.zeros((64, OUTCOMES))
    some = sample(logits, keys_of(64), 1.0, 0, 1.0)
    assert len(set(some.tolist())) > 20
    assert np.array_equal(sample(logits, keys_of(64)[::-1], 1.0, 0, 1.0), some[::-1])
