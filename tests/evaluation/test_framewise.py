"""Framewise self-similarity against numerical integration, and against songs whose figures are plain."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mcvae_jax.evaluation.framewise import DURATION, PITCH, framewise, overlap, overlaps
from mcvae_jax.music.tokens import NO_EVENT

BASE = 60


@pytest.mark.parametrize(
    "gaussians", [(0, 1, 0, 1), (0, 1, 1.5, 1), (60, 3.2, 64, 1.1), (60, 1.1, 64, 3.2), (0, 0.5, 0, 7), (0, 1, 30, 2)]
)
def test_overlap_is_the_area_under_the_lower_density(gaussians):
    a, sd_a, b, sd_b = gaussians
    area, _ = quad(lambda x: min(norm.pdf(x, a, sd_a), norm.pdf(x, b, sd_b)), a - 60, b + 60, points=[a, b], limit=500)
    assert overlap(*gaussians) == pytest.approx(area, abs=1e-6)
    assert overlap(b, sd_b, a, sd_a) == pytest.approx(overlap(*gaussians), abs=1e-12)


def a_song(pitches_of_bars, steps=16):
    """A bar of quarter notes for each list of four pitches."""
    song = np.full((len(pitches_of_bars), steps), NO_EVENT, np.uint8)
    song[:, :: steps // 4] = pitches_of_bars
    return song


def test_frames_are_four_bars_and_two_apart():
    rng = np.random.default_rng(0)
    pitches = BASE + rng.integers(0, 12, (9, 4))
    found = overlaps(a_song(pitches))
    frames = [pitches[first : first + 4] for first in (0, 2, 4)]  # the one from bar 6 would end beyond the song
    expected = [overlap(x.mean(), x.std(), y.mean(), y.std()) for x, y in zip(frames, frames[1:], strict=False)]
    np.testing.assert_allclose(found[PITCH], expected)
    assert found[DURATION].shape == (2,) and (found[DURATION] == 1).all()  # quarters alone


def test_silence_has_no_overlaps_and_no_figure():
    silence = np.full((16, 16), NO_EVENT, np.uint8)
    assert all(len(values) == 0 for values in overlaps(silence).values())
    real = [a_song(BASE + np.random.default_rng(n).integers(0, 12, (16, 4))) for n in range(4)]
    assert framewise({"silence": [silence] * 3}, real, 0)["silence"][PITCH]["consistency"]["value"] is None


def test_the_real_songs_are_like_themselves_and_a_loop_is_not():
    real = [a_song(BASE + np.random.default_rng(n).integers(0, 12, (16, 4))) for n in range(12)]
    loop = [np.tile(song[:1], (16, 1)) for song in real]
    found = framewise({"real": real, "loop": loop}, real, 0)
    for figure in ("consistency", "variance"):
        assert found["real"][PITCH][figure]["value"] == pytest.approx(1)
    of_real = np.concatenate([overlaps(song)[PITCH] for song in real]).mean()
    assert found["loop"][PITCH]["consistency"]["value"] == pytest.approx(1 - (1 - of_real) / of_real)
    assert found["loop"][PITCH]["variance"]["value"] == 0
    low, high = found["real"][PITCH]["consistency"]["interval"]
    assert low < high <= 1
