"""Blends of two melodies: worked by hand, and the artefact of the published one."""

import numpy as np
import pytest
from scipy.spatial import distance

from mcvae_jax.evaluation.blends import hamming, mixed_steps, published_blend, step_draws
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF

A = np.array([[60, NO_EVENT, 64, NOTE_OFF, 72, NO_EVENT]], np.uint8)
B = np.array([[67, 55, NO_EVENT, NO_EVENT, 72, NOTE_OFF]], np.uint8)


def random_bars(seed, pairs=4):
    return np.random.default_rng(seed).integers(0, 130, (pairs, 5, 16)).astype(np.uint8)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.3, 0.49])
def test_error_12_the_published_blend_is_song_b_below_a_half_and_song_a_above(alpha):
    a, b = random_bars(0), random_bars(1)
    assert np.array_equal(published_blend(a, b, alpha), b)
    assert np.array_equal(published_blend(a, b, 1 - alpha), a)


def test_error_12_at_a_half_every_tie_goes_to_the_lower_token():
    assert published_blend(A, B, 0.5).tolist() == [[60, 55, 64, NOTE_OFF, 72, NOTE_OFF]]  # by hand
    a, b = random_bars(0), random_bars(1)
    assert np.array_equal(published_blend(a, b, 0.5), np.minimum(a, b))
    assert published_blend(a, b, 0.5).dtype == np.uint8


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
def test_the_honest_blend_takes_alpha_of_a(alpha):
    a, b = np.zeros((400, 5, 16), np.uint8), np.ones((400, 5, 16), np.uint8)
    share = np.mean(mixed_steps(a, b, alpha, step_draws(0, range(400), (5, 16))) == 0)
    assert abs(share - alpha) <= 4 * np.sqrt(alpha * (1 - alpha) / a.size)


def test_the_honest_blend_goes_one_way_and_invents_nothing():
    a, b, draws = random_bars(0), random_bars(1), step_draws(3, range(4), (5, 16))
    path = [mixed_steps(a, b, alpha, draws) for alpha in np.linspace(0, 1, 11)]
    for earlier, later in zip(path, path[1:], strict=False):
        assert np.all((later == a) | (later == b))
        assert np.all((earlier != a) | (later == a))  # what has become a stays a
    assert np.array_equal(path[0], b) and np.array_equal(path[-1], a)


def test_the_draws_of_a_pair_depend_on_its_number_and_the_seed():
    many = step_draws(0, range(9), (5, 16))
    assert np.array_equal(many[4:6], step_draws(0, range(4, 6), (5, 16)))
    assert not np.array_equal(many, step_draws(1, range(9), (5, 16)))
    assert len(np.unique(many)) == many.size


def test_hamming_is_that_of_scipy():
    a, b = random_bars(0), random_bars(1)
    b[1] = a[1]
    b[2, :2] = a[2, :2]
    expected = [distance.hamming(x.reshape(-1), y.reshape(-1)) for x, y in zip(a, b, strict=True)]
    assert hamming(a, b) == pytest.approx(expected) and hamming(a, b)[1] == 0
