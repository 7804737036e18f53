"""Bars as events: the bijection, what the model of events says about steps, and sampling from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.events import Events, bars_to_events, events_to_bars, step_log_p
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.vae import Dropout, draw_noise, init
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, OUTCOMES, START
from tests.random_params import random_params
from tests.vae_layouts import apply

pytestmark = pytest.mark.more

SETTINGS = {"units": 9, "latent": 4, "layers": 2, "merge": "add", "matmul_dtype": "float32"}


def some_bars(count, held=0.6, seed=0):
    rng = np.random.default_rng(seed)
    bars = rng.integers(0, OUTCOMES, (count, 16))
    return np.where(rng.random(bars.shape) < held, NO_EVENT, bars).astype(np.uint8)


def model_of(encoding="events", **fields):
    vae = make_vae(SETTINGS | {"encoding": encoding} | fields)
    return vae, random_params(lambda key: init(vae, key), size=0.7)


def predicted(vae, params, z, bars):
    return apply(vae, "predict", params, jnp.broadcast_to(z, (len(bars), vae.latent)), jnp.asarray(bars))


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture(scope="module")
def z():
    return jnp.asarray(np.random.default_rng(1).normal(size=(1, 4)), jnp.float32)


def events_by_a_loop(bar):
    found = []
    for step, token in enumerate(bar):
        if token != NO_EVENT or step == 0:
            found.append([token, 0])
        found[-1][1] += 1
    return found


def test_events_are_those_of_a_loop_and_lead_back_to_the_bars():
    silence, full = np.full(16, NO_EVENT), np.arange(16) + 60
    held = np.where(np.arange(16) == 0, NOTE_OFF, NO_EVENT)
    late = np.where(np.arange(16) == 15, 60, NO_EVENT)
    bars = np.concatenate([[silence, full, held, late], *(some_bars(50, held) for held in (0.0, 0.3, 0.9, 1.0))])
    events = jax.jit(bars_to_events)(bars.astype(np.uint8))
    for bar, tokens, durations in zip(bars.tolist(), *(np.asarray(part).tolist() for part in events), strict=True):
        expected = events_by_a_loop(bar)
        empty = 16 - len(expected)
        assert tokens == [token for token, _ in expected] + [START] * empty
        assert durations == [duration for _, duration in expected] + [0] * empty
    assert np.array_equal(jax.jit(events_to_bars)(events), bars)


def test_other_sequences_of_events_lead_back_to_themselves():
    rng = np.random.default_rng(0)
    tokens, durations = np.full((200, 16), START), np.zeros((200, 16), int)
    for row in range(200):
        cuts = np.sort(rng.choice(np.arange(1, 16), rng.integers(0, 16), replace=False))
        lasts = np.diff([0, *cuts, 16])
        durations[row, : len(lasts)], tokens[row, : len(lasts)] = lasts, rng.integers(0, NO_EVENT, len(lasts))
        tokens[row, 0] = rng.choice([tokens[row, 0], NO_EVENT])
    again = bars_to_events(events_to_bars(Events(jnp.asarray(tokens), jnp.asarray(durations))))
    assert np.array_equal(again.token, tokens) and np.array_equal(again.duration, durations)


def distributions(bars, seed=0):
    """Random log p of tokens and durations in each slot, float64: NO_EVENT in the first slot, no overfull bar."""
    rng = np.random.default_rng(seed)
    tokens, durations = rng.normal(size=(len(bars), 16, OUTCOMES)), 2 * rng.normal(size=(len(bars), 16, 16))
    tokens[:, 1:, NO_EVENT] = -np.inf
    for row, bar in enumerate(bars.tolist()):
        left = 16
        for slot, (_, lasts) in enumerate(events_by_a_loop(bar)):
            durations[row, slot, left:] = -np.inf
            left -= lasts
    return special.log_softmax(tokens, axis=-1), special.log_softmax(durations, axis=-1)


def test_log_p_and_guesses_of_steps_against_a_loop():
    bars = np.concatenate([some_bars(40, held) for held in (0.0, 0.6, 0.95)])
    tokens, durations = distributions(bars)
    log_p, guess = step_log_p(bars, jnp.asarray(tokens, jnp.float32), jnp.asarray(durations, jnp.float32))
    for row, bar in enumerate(bars.tolist()):
        step, expected, guesses = 0, [], []
        events = events_by_a_loop(bar)
        for slot, (token, lasts) in enumerate(events):
            p = np.exp(durations[row, slot])
            if slot == 0:
                expected.append(tokens[row, 0, token])
                guesses.append(np.argmax(tokens[row, 0]))
            for so_far in range(1, lasts):
                expected.append(np.log(p[so_far:].sum() / p[so_far - 1 :].sum()))
                guesses.append(NO_EVENT if p[so_far:].sum() > p[so_far - 1] else NOTE_OFF)
            step += lasts
            if step < 16:
                ends = np.log(p[lasts - 1] / p[lasts - 1 :].sum())
                expected.append(ends + tokens[row, slot + 1, events[slot + 1][0]])
                over = p[lasts:].sum() <= p[lasts - 1]
                guesses.append(np.argmax(tokens[row, slot + 1]) if over else NO_EVENT)
        np.testing.assert_allclose(log_p[row], expected, rtol=2e-4, atol=1e-5)
        assert guess[row].tolist() == guesses
        whole = sum(
            tokens[row, slot, token] + durations[row, slot, lasts - 1] for slot, (token, lasts) in enumerate(events)
        )
        assert float(log_p[row].sum()) == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("encoding", [pytest.param("steps", marks=pytest.mark.slow), "events"])
def test_after_any_prefix_the_probabilities_of_all_tokens_sum_to_one(encoding, z):
    """So those of all bars do, by induction, as the log p of a step depends on nothing after it."""
    vae, params = model_of(encoding)
    for seed, step in enumerate((0, 1, 2, 7, 14, 15)):
        bars = np.repeat(some_bars(1, seed=seed), OUTCOMES, axis=0)
        bars[:, step] = np.arange(OUTCOMES)
        log_p = np.asarray(predicted(vae, params, z, bars).log_p, np.float64)
        assert np.exp(log_p[:, step]).sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(log_p[:, :step], log_p[:1, :step].repeat(OUTCOMES, axis=0), atol=1e-5)
        bars[:, step + 1 :] = some_bars(OUTCOMES, seed=99)[:, step + 1 :]
        np.testing.assert_allclose(predicted(vae, params, z, bars).log_p[:, step], log_p[:, step], atol=1e-5)


def test_event_by_event_the_decoder_says_what_it_says_by_teacher_forcing(model, z):
    vae, params = model
    for bar in some_bars(4):
        decoder, left, total = apply(vae, "begin", params, z), 16, 0.0
        for slot, (token, lasts) in enumerate(events_by_a_loop(bar.tolist())):
            states, hidden = apply(vae, "step", params, *decoder, z)
            tokens = apply(vae, "token_logits", params, hidden, slot)[0]
            durations = apply(vae, "duration_logits", params, hidden, jnp.array([token]), jnp.array([left]))[0]
            assert np.isneginf(tokens[NO_EVENT]) == (slot > 0) and np.isneginf(durations[left:]).all()
            total += jax.nn.log_softmax(tokens)[token] + jax.nn.log_softmax(durations)[lasts - 1]
            left -= lasts
            decoder = states, (jnp.array([token]), jnp.array([lasts]))
        assert float(predicted(vae, params, z, bar[None]).log_p.sum()) == pytest.approx(float(total), rel=1e-4)


def test_drawn_bars_are_as_likely_as_the_model_says(model, z):
    """First tokens, first durations, and the second tokens after the commonest first event, of 4,096 draws."""
    vae, params = model
    keys = jax.random.split(jax.random.key(0), 4096)
    bars = BarCodec(vae, params).decode(np.repeat(z, 4096, axis=0), keys, Settings(temperature=1.0))
    assert bars.dtype == np.uint8 and bars.max() < START
    for length in (1, 2, 3):
        starts, counts = np.unique(bars[:, :length], axis=0, return_counts=True)
        common = np.argsort(-counts)[:12]
        padded = np.pad(starts[common], ((0, 0), (0, 16 - length)), constant_values=60)
        p = np.exp(np.asarray(predicted(vae, params, z, padded).log_p[:, :length].sum(axis=-1), np.float64))
        assert np.abs(counts[common] / 4096 - p).max() < 5 * np.sqrt(0.25 / 4096)
        assert counts[common].sum() / 4096 > 0.05


def test_greedy_free_and_drawn_bars(model):
    vae, params = model
    latents = np.random.default_rng(3).normal(size=(300, 4)).astype(np.float32)
    keys, codec = jax.random.split(jax.random.key(1), 300), BarCodec(vae, params)
    greedy = codec.decode(latents[:9], keys[:9], Settings(temperature=0.0))
    assert np.array_equal(greedy, apply(vae, "greedy", params, latents[:9]))
    settings = Settings(temperature=1.0, top_k=5, top_p=0.9)
    together = codec.decode(latents, keys, settings)
    for n in (0, 255, 299):
        assert np.array_equal(codec.decode(latents[n : n + 1], keys[n : n + 1], settings)[0], together[n])
    songs = codec.free_run(latents[:3], keys[:3], 4, settings)
    assert np.array_equal(songs[:, 0], together[:3])
    assert np.array_equal(codec.free_run(latents[1:2], keys[1:2], 2, settings)[0], songs[1, :2])
    assert not np.array_equal(songs[:, 1], songs[:, 0])


def test_slots_that_are_left_over_get_no_gradient_and_all_gradients_are_finite(model, z):
    """The loss of a bar with two events: the decoder's reading of later slots has no part in it."""
    vae, params = model
    bars = np.full((1, 16), NO_EVENT, np.uint8)
    bars[0, [0, 5]] = 60, 64
    grads = jax.jit(jax.grad(lambda params: -jnp.sum(vae.apply(params, z, bars, method="predict").log_p)))(params)
    jax.tree.map(lambda part: np.testing.assert_array_equal(np.isfinite(part), True), grads)
    first = grads["params"]["decoder_0"]
    read = np.flatnonzero(np.abs(first["w_x0"]).max(axis=(0, 2)))
    assert read.tolist() == [60, START]  # what stands before the two events, and not the second before a third
    assert np.flatnonzero(np.abs(first["w_x1"]).max(axis=(0, 2))).tolist() == [0, 5]
    assert np.flatnonzero(np.abs(grads["params"]["said"]).max(axis=1)).tolist() == [60, 64]


def test_dropout_acts_on_both_parts_of_a_slot(model, z):
    vae, params = model
    noise = draw_noise(vae, jax.random.split(jax.random.key(0), 1), 16, Dropout())
    noise = noise._replace(decoder_inputs=jnp.ones((1, 16)).at[0, 1].set(0.0))
    one, other = np.full((2, 1, 16), NO_EVENT, np.uint8)
    one[0, [0, 4, 8]], other[0, [0, 4, 8]] = (60, 62, 64), (61, 62, 64)
    first, second = (apply(vae, "predict", params, z, bars, noise).log_p[0] for bars in (one, other))
    assert abs(float(first[0] - second[0])) > 1e-3
    np.testing.assert_allclose(first[5:], second[5:], rtol=1e-5)


@pytest.mark.parametrize("encoding", [pytest.param("steps", marks=pytest.mark.slow), "events"])
def test_pitches_outside_the_range_have_probability_zero(encoding, z):
    vae, params = model_of(encoding, min_pitch=21, max_pitch=108)
    bars = np.full((OUTCOMES, 16), NO_EVENT, np.uint8)
    bars[:, 0] = np.arange(OUTCOMES)
    p = np.exp(np.asarray(predicted(vae, params, z, bars).log_p[:, 0], np.float64))
    assert np.flatnonzero(p).tolist() == [*range(21, 109), NOTE_OFF, NO_EVENT]
    assert p.sum() == pytest.approx(1, abs=1e-5)
    keys = jax.random.split(jax.random.key(0), 256)
    drawn = BarCodec(vae, params).decode(np.repeat(z, 256, axis=0), keys, Settings(temperature=1e9))
    pitches = drawn[drawn < NOTE_OFF]
    assert pitches.min() >= 21 and pitches.max() <= 108 and len(np.unique(pitches)) > 50
