import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models import bar_codec
from mcvae_jax.models.bar_codec import decode_bars, free_run, sample_tokens
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES, START
from tests.vae_layouts import apply, far_from_the_start, make_model

sample = jax.jit(sample_tokens)


def keys_of(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def expected_distribution(logits, temperature, top_k, top_p):
    """Temperature, then top-k, then the nucleus, one row at a time in float64, by sorting: (V,) -> (V,)."""
    scaled = np.asarray(logits, np.float64) / temperature
    order = sorted(range(len(scaled)), key=lambda token: (-scaled[token], token))
    if top_k:
        order = order[:top_k]
    weights = np.exp(scaled[order] - scaled[order[0]])
    shares = weights / weights.sum()
    if top_p < 1:
        kept, held = 0, 0.0
        while held < top_p:
            held += shares[kept]
            kept += 1
        order, shares = order[:kept], shares[:kept] / shares[:kept].sum()
    p = np.zeros(len(scaled))
    p[order] = shares
    return p


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
        cut = np.asarray(bar_codec._cut(jnp.asarray(logits, jnp.float32), jnp.int32(top_k), jnp.float32(top_p)))
        for row, found in zip(logits, cut, strict=True):
            expected = expected_distribution(row, 1.0, top_k, top_p)
            assert np.array_equal(np.isfinite(found), expected > 0)


def test_temperature_0_is_the_first_of_the_likeliest_and_tiny_ones_come_close():
    logits = jnp.array([[0.0, 2.0, 2.0, 1.0], [-1e30, 3.0, 80.0, 79.0]])
    assert sample(logits, keys_of(2), 0.0, 0, 1.0).tolist() == [1, 2]
    assert sample(logits[1:], keys_of(1), 1e-38, 3, 0.9).tolist() == [2]


def test_a_row_is_drawn_by_its_own_key():
    logits = jnp.zeros((64, OUTCOMES))
    some = sample(logits, keys_of(64), 1.0, 0, 1.0)
    assert len(set(some.tolist())) > 20
    assert np.array_equal(sample(logits, keys_of(64)[::-1], 1.0, 0, 1.0), some[::-1])


@pytest.fixture(scope="module")
def model():
    vae, params = make_model()
    return vae, far_from_the_start(params)


@pytest.fixture(scope="module")
def latents():
    return np.random.default_rng(1).normal(size=(600, 5)).astype(np.float32)


def test_greedy_bars_are_those_of_the_vae(model, latents):
    vae, params = model
    bars = decode_bars(vae, params, latents[:40], keys_of(40), Settings(temperature=0.0))
    assert bars.dtype == np.uint8
    assert np.array_equal(bars, apply(vae, "greedy", params, jnp.asarray(latents[:40])))


def test_bars_follow_the_logits_that_the_teacher_forced_decoder_gives(model):
    """The first tokens of many bars from one z, and the second ones of those with the commonest first."""
    vae, params = model
    z = np.repeat(np.random.default_rng(2).normal(size=(1, 5)).astype(np.float32), 4096, axis=0)
    bars = decode_bars(vae, params, z, keys_of(4096), Settings(temperature=0.8, top_k=3, top_p=0.9))
    same = bars[bars[:, 0] == np.bincount(bars[:, 0]).argmax()]
    logits = apply(vae, "decode", params, jnp.asarray(z[:1]), jnp.asarray(same[:1]))[0]
    for step, group in ((0, bars), (1, same)):
        assert len(group) > 1000
        found = np.bincount(group[:, step], minlength=OUTCOMES) / len(group)
        assert np.abs(found - expected_distribution(logits[step], 0.8, 3, 0.9)).max() < 2.5 / len(group) ** 0.5
    assert not (bars == START).any()


def test_a_bar_does_not_depend_on_the_others(model, latents):
    vae, params = model
    keys, settings = keys_of(600), Settings(temperature=1.0, top_p=0.95)
    together = decode_bars(vae, params, latents, keys, settings)
    for n in (0, 255, 256, 431, 599):
        assert np.array_equal(decode_bars(vae, params, latents[n : n + 1], keys[n : n + 1], settings)[0], together[n])
    assert len(np.unique(together, axis=0)) > 500
    assert not np.array_equal(together, decode_bars(vae, params, latents, keys_of(600, seed=1), settings))


def test_other_settings_and_other_numbers_of_bars_compile_nothing(model, latents):
    vae, params = model
    decode_bars(vae, params, latents[:3], keys_of(3), Settings())
    compiled = bar_codec._one_bar._cache_size()
    for settings in (Settings(temperature=0.0), Settings(temperature=1.3, top_k=5), Settings(top_p=0.8, seed=4)):
        decode_bars(vae, params, latents[:300], keys_of(300), settings)
    assert bar_codec._one_bar._cache_size() == compiled


def test_the_free_run_carries_its_state_on(model, latents):
    vae, params = model
    settings = Settings(temperature=0.0)
    bars = free_run(vae, params, latents[:3], keys_of(3), 25, settings)
    assert bars.shape == (3, 25, 16)
    states, previous = apply(vae, "begin", params, latents[:3])
    for step in range(400):
        states, hidden = apply(vae, "step", params, states, previous, latents[:3])
        previous = (jnp.argmax(apply(vae, "token_logits", params, hidden, step % 16), axis=-1),)
        assert np.array_equal(bars[:, step // 16, step % 16], previous[0])


def test_a_free_song_does_not_depend_on_the_others_or_on_its_length(model, latents):
    vae, params = model
    keys, settings = keys_of(40), Settings(temperature=1.0)
    together = free_run(vae, params, latents[:40], keys, 3, settings)
    for n in (0, 31, 32, 39):
        alone = free_run(vae, params, latents[n : n + 1], keys[n : n + 1], 5, settings)
        assert np.array_equal(alone[0, :3], together[n])
    assert np.array_equal(together[:, 0], decode_bars(vae, params, latents[:40], keys, settings))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"tau_pi": float("inf")},
        {"tau_sigma": -1.0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"seed": -1},
    ],
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(UserError, match=f"^{next(iter(wrong))} is "):
        Settings(**wrong)
