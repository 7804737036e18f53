"""Attention within a reach against PyTorch's with a mask written out, rotary positions against complex numbers."""

import numpy as np
import pytest

from mcvae_jax.nn.attention import attend, attend_next, fresh_cache, rotated

pytestmark = pytest.mark.more

REACH = 4


def some(count, seed, heads=2, width=6):
    return np.random.default_rng(seed).normal(size=(3, count, heads, width)).astype(np.float32)


def turned(x, place):
    """As complex numbers, each times e^(i place speed): Su et al. 2021, equation 14."""
    half = x.shape[-1] // 2
    z = (x[..., :half] + 1j * x[..., half:]).astype(complex)
    z = z * np.exp(1j * np.reshape(place, (-1, 1, 1)) * 10_000.0 ** (-2 * np.arange(half) / x.shape[-1]))
    return np.concatenate([z.real, z.imag], axis=-1)


def test_places_turn_as_complex_numbers_do():
    x, place = some(5, 0), np.array([0, 1, 7, 300, 8000])
    np.testing.assert_allclose(rotated(x, place), turned(x, place), atol=2e-3)  # float32 angles of thousands
    np.testing.assert_allclose(rotated(x, place)[:, :3], turned(x, place)[:, :3], atol=1e-6)


def test_what_attention_finds_depends_on_distances_and_not_on_places():
    q, k, v = (some(9, seed) for seed in range(3))

    def found(shift, stretch=1):
        place = stretch * np.arange(9) + shift
        return np.asarray(attend(rotated(q, place), rotated(k, place), v, 20, np.float32))

    np.testing.assert_allclose(found(0), found(57), atol=1e-5)
    assert np.abs(found(0) - found(0, stretch=3)).max() > 1e-2


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_each_place_sees_itself_and_what_lies_within_its_reach(count):
    """Sequences shorter than the reach, of whole blocks, and of blocks that are filled up; and with a cache."""
    torch = pytest.importorskip("torch")
    q, k, v = (some(count, seed) for seed in range(3))
    back = np.arange(count)[:, None] - np.arange(count)
    mask = torch.tensor((back >= 0) & (back < REACH))
    heads_first = (torch.tensor(x).double().transpose(1, 2) for x in (q, k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2).numpy()
    np.testing.assert_allclose(attend(q, k, v, REACH, np.float32), expected, atol=1e-5)
    cache = fresh_cache(3, REACH, 2, 6, np.float32)
    for n in range(count):
        cache, found = attend_next(cache, *(x[:, n : n + 1] for x in (q, k, v)), np.full(3, n))
        np.testing.assert_allclose(found[:, 0], expected[:, n], atol=1e-5)
