"""Rendering of bars on a small VAE: against its own teacher-forced decoder, alone and among others, the free run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.models import bar_codec
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES, START
from mcvae_jax.nn.padding import Rows
from tests.draws import expected_distribution, keys_of
from tests.vae_layouts import apply, far_from_the_start, make_model


@pytest.fixture(scope="module")
def codec():
    vae, params = make_model()
    return BarCodec(vae, far_from_the_start(params))


@pytest.fixture(scope="module")
def latents():
    return np.random.default_rng(1).normal(size=(600, 5)).astype(np.float32)


def test_greedy_bars_are_those_of_the_vae(codec, latents):
    bars = codec.decode(latents[:40], keys_of(40), Settings(temperature=0.0))
    assert bars.dtype == np.uint8
    assert np.array_equal(bars, apply(codec.vae, "greedy", codec.params, jnp.asarray(latents[:40])))


def test_bars_follow_the_logits_that_the_teacher_forced_decoder_gives(codec):
    """The first tokens of many bars from one z, and the second ones of those with the commonest first."""
    z = np.repeat(np.random.default_rng(2).normal(size=(1, 5)).astype(np.float32), 4096, axis=0)
    bars = codec.decode(z, keys_of(4096), Settings(temperature=0.8, top_k=3, top_p=0.9))
    same = bars[bars[:, 0] == np.bincount(bars[:, 0]).argmax()]
    logits = apply(codec.vae, "decode", codec.params, jnp.asarray(z[:1]), jnp.asarray(same[:1]))[0]
    for step, group in ((0, bars), (1, same)):
        assert len(group) > 1000
        found = np.bincount(group[:, step], minlength=OUTCOMES) / len(group)
        assert np.abs(found - expected_distribution(logits[step], 0.8, 3, 0.9)).max() < 2.5 / len(group) ** 0.5
    assert not (bars == START).any()


@pytest.mark.more
def test_a_bar_does_not_depend_on_the_others(codec, latents):
    keys, settings = keys_of(600), Settings(temperature=1.0, top_p=0.95)
    together = codec.decode(latents, keys, settings)
    for n in (0, 255, 256, 431, 599):
        assert np.array_equal(codec.decode(latents[n : n + 1], keys[n : n + 1], settings)[0], together[n])
    assert len(np.unique(together, axis=0)) > 500
    assert not np.array_equal(together, codec.decode(latents, keys_of(600, seed=1), settings))


@pytest.mark.more
def test_a_device_that_takes_more_at_a_time_gives_the_same(codec, latents, monkeypatch):
    """What a GPU is asked for, computed here: chunks of other shapes, the last of them not full."""
    keys, settings, bars = keys_of(600), Settings(temperature=0.0), codec.decode(latents, keys_of(600), Settings())
    here = codec.decode(latents, keys, settings), *codec.encode(bars), codec.log_likelihoods(bars, latents)
    shapes = []
    monkeypatch.setattr(bar_codec, "ENCODE_CHUNK", Rows(10, 80))
    monkeypatch.setattr(bar_codec, "SCORE_CHUNK", Rows(20, 160))
    monkeypatch.setattr(bar_codec, "DECODE_CHUNK", Rows(256, 2048))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    encode = bar_codec._encode
    monkeypatch.setattr(bar_codec, "_encode", lambda *a: shapes.append(a[2].shape[0]) or encode(*a))
    there = codec.decode(latents, keys, settings), *codec.encode(bars), codec.log_likelihoods(bars, latents)
    assert shapes == [80] * 8
    np.testing.assert_array_equal(there[0], here[0])
    for a, b in zip(there[1:], here[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_other_settings_and_other_numbers_of_bars_compile_nothing(codec, latents):
    codec.decode(latents[:3], keys_of(3), Settings())
    compiled = bar_codec._one_bar._cache_size()
    for settings in (Settings(temperature=0.0), Settings(temperature=1.3, top_k=5), Settings(top_p=0.8, seed=4)):
        codec.decode(latents[:300], keys_of(300), settings)
    assert bar_codec._one_bar._cache_size() == compiled


def test_the_free_run_carries_its_state_on(codec, latents):
    settings = Settings(temperature=0.0)
    bars = codec.free_run(latents[:3], keys_of(3), 25, settings)
    assert bars.shape == (3, 25, 16)
    states, previous = apply(codec.vae, "begin", codec.params, latents[:3])
    for step in range(400):
        states, hidden = apply(codec.vae, "step", codec.params, states, previous, latents[:3])
        previous = (jnp.argmax(apply(codec.vae, "token_logits", codec.params, hidden, step % 16), axis=-1),)
        assert np.array_equal(bars[:, step // 16, step % 16], previous[0])


def test_a_free_song_does_not_depend_on_the_others_or_on_its_length(codec, latents):
    keys, settings = keys_of(40), Settings(temperature=1.0)
    together = codec.free_run(latents[:40], keys, 3, settings)
    for n in (0, 31, 32, 39):
        alone = codec.free_run(latents[n : n + 1], keys[n : n + 1], 5, settings)
        assert np.array_equal(alone[0, :3], together[n])
    assert np.array_equal(together[:, 0], codec.decode(latents[:40], keys, settings))
