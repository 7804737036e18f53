"""What it costs which bar is the last, against scipy."""

import numpy as np
from scipy.special import expit

from mcvae_jax.nn.stop import stop_nats


def test_only_the_last_bar_of_a_song_that_ends_is_the_last():
    logit = np.full((3, 4), 2.0, np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]], np.float32)
    nats = stop_nats(logit, mask, np.array([1, 1, 0], np.float32))
    last, other = -np.log(expit(2.0)), -np.log(expit(-2.0))
    expected = [[other, last], [other] * 3 + [last], [other] * 4]
    for row, wanted in zip(np.asarray(nats), expected, strict=True):
        np.testing.assert_allclose(row[: len(wanted)], wanted, rtol=1e-6)
