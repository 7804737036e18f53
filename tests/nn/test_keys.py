"""Keys of songs and bars: which rows are taken, and whose they are."""

import jax
import numpy as np

from mcvae_jax.nn.keys import bar_keys, rows_of
from tests.draws import keys_of


def numbers(keys):
    return np.asarray(jax.random.key_data(keys))


def test_rows_are_those_of_an_index():
    keys, rows = keys_of(7), np.array([3, 0, 3, 6, -1])
    found = rows_of(keys)(rows)
    assert found.dtype == keys.dtype and np.array_equal(numbers(found), numbers(keys[rows]))


def test_each_bar_has_the_key_of_its_song_and_number():
    keys, lengths = keys_of(4), [2, 0, 3, 1]
    expected = [jax.random.fold_in(keys[i], n) for i, length in enumerate(lengths) for n in range(length)]
    assert np.array_equal(numbers(bar_keys(keys, lengths)), np.stack([numbers(key) for key in expected]))
