"""The bar VAE: what depends on what, decoding step by step, and the errors of the published code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from mcvae_jax.errors import UserError
from mcvae_jax.models.elbo import elbo_sums
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.vae import VAE, Dropout, Prediction, draw_noise
from mcvae_jax.music.tokens import OUTCOMES, START
from tests.vae_layouts import apply, far_from_the_start

BARS = jnp.asarray(np.random.default_rng(0).integers(0, OUTCOMES, (5, 16)), jnp.int32)


@pytest.fixture(scope="module")
def model():
    vae = VAE(units=12, latent=6)
    return vae, far_from_the_start(jax.jit(vae.init)(jax.random.key(1), BARS, no_dropout(vae, 0)))


def no_dropout(vae, seed):
    return draw_noise(vae, jax.random.split(jax.random.key(seed), 5), 16, Dropout())


def z_of(vae, seed=3, bars=5):
    return jax.random.normal(jax.random.key(seed), (bars, vae.latent))


def test_logits_depend_on_earlier_tokens_and_on_z_alone(model):
    vae, params = model
    base = apply(vae, "decode", params, z_of(vae), BARS)
    for t in (0, 6, 15):
        changed = BARS.at[:, t].set((BARS[:, t] + 1) % OUTCOMES)
        difference = jnp.abs(apply(vae, "decode", params, z_of(vae), changed) - base).max(axis=(0, 2))
        assert np.all(np.asarray(difference[: t + 1]) == 0)
        assert np.all(np.asarray(difference[t + 1 :]) > 0)
    other_z = apply(vae, "decode", params, z_of(vae, 4), BARS)
    assert np.all(np.asarray(jnp.abs(other_z - base).max(axis=(0, 2))) > 1e-4)


def test_a_bar_does_not_depend_on_the_other_bars_of_its_batch(model):
    vae, params = model
    noise = draw_noise(vae, jax.random.split(jax.random.key(5), 5), 16, Dropout(0.3, 0.2, 0.1))
    together = apply(vae, "__call__", params, BARS, noise)
    alone = apply(vae, "__call__", params, BARS[2:3], jax.tree.map(lambda part: part[2:3], noise))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[2:3], b, rtol=1e-4, atol=1e-5), together, alone)


def test_decoding_step_by_step_gives_the_teacher_forced_logits(model):
    """Errors 3 and 4 of the thesis code: h and c swapped, layers mixed up, another dense layer while composing."""
    vae, params = model
    z = z_of(vae)
    forced = apply(vae, "decode", params, z, BARS)
    states, previous = apply(vae, "begin", params, z)
    for t in range(16):
        states, hidden = apply(vae, "step", params, states, previous, z)
        logits = apply(vae, "token_logits", params, hidden, t)
        np.testing.assert_allclose(logits, forced[:, t], rtol=2e-4, atol=2e-5, err_msg=f"step {t}")
        previous = (BARS[:, t],)


def test_greedy_decoding_is_the_fixed_point_of_teacher_forcing(model):
    vae, params = model
    tokens = apply(vae, "greedy", params, z_of(vae))
    forced = apply(vae, "decode", params, z_of(vae), tokens)
    np.testing.assert_array_equal(jnp.argmax(forced, axis=-1), tokens)


def test_start_is_fed_in_every_bar_and_can_never_come_out(model):
    """Error 5. There is no logit for START, and each bar's first step sees START, not the bar before."""
    vae, params = model
    logits = apply(vae, "decode", params, z_of(vae), BARS)
    assert logits.shape == (5, 16, OUTCOMES) and START >= OUTCOMES
    states = apply(vae, "first", params, z_of(vae))
    hidden = apply(vae, "step", params, states, (jnp.full((5,), START),), z_of(vae))[1]
    np.testing.assert_allclose(logits[:, 0], apply(vae, "token_logits", params, hidden, 0), rtol=2e-4, atol=2e-5)


def test_every_token_is_scored_the_first_one_too(model):
    """Error 8: the thesis code overwrites the first by START. Without weights each of the 16 costs log 130."""
    vae, params = model
    flat = jax.tree.map(jnp.zeros_like, params)
    np.testing.assert_allclose(apply(vae, "predict", flat, z_of(vae), BARS).log_p, -np.log(OUTCOMES), rtol=1e-6)
    predicted = apply(vae, "predict", params, z_of(vae), BARS)
    logits = np.asarray(apply(vae, "decode", params, z_of(vae), BARS), np.float64)
    expected = np.take_along_axis(special.log_softmax(logits, axis=-1), np.asarray(BARS)[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(predicted.log_p, expected, rtol=1e-4)
    np.testing.assert_array_equal(predicted.guess, logits.argmax(axis=-1))
    zeros = jnp.zeros((5, 6))
    sums = elbo_sums(*predicted, BARS, zeros, zeros, jnp.ones(5), token_weights=jnp.ones(OUTCOMES), free_nats=0.0)
    assert float(sums["reconstruction"]) == pytest.approx(-expected.sum(), rel=1e-5)


def test_sigma_goes_below_one(model):
    """Error 2: exp(softplus(.)) is at least 1; here sigma = exp(log_var / 2) of any log_var."""
    vae, params = model
    noise = no_dropout(vae, 5)
    tree = jax.tree.map(jnp.asarray, params)
    tree["params"]["log_var"] = {"w": jnp.zeros_like(tree["params"]["log_var"]["w"]), "b": jnp.full((6,), -8.0)}
    mu, log_var, predicted = apply(vae, "__call__", tree, BARS, noise)
    near = predicted.log_p
    np.testing.assert_allclose(log_var, -8.0)
    at_mu = apply(vae, "predict", tree, mu, BARS).log_p
    at_z = apply(vae, "predict", tree, mu + np.exp(-4.0) * noise.eps, BARS).log_p
    np.testing.assert_allclose(near, at_z, rtol=1e-4, atol=1e-4)
    assert 0 < float(jnp.max(jnp.abs(near - at_mu))) < 1.0


def test_the_latent_kl_is_trained(model):
    """Error 1: the KL of the thesis code is between input and output, so no gradient reaches mu and log_var from it."""
    vae, params = model

    @jax.jit
    def kl(params):
        mu, log_var = apply(vae, "encode", params, BARS)
        predicted = Prediction(jnp.zeros((5, 16)), BARS)
        return elbo_sums(*predicted, BARS, mu, log_var, jnp.ones(5), token_weights=jnp.ones(OUTCOMES), free_nats=0.0)[
            "kl"
        ]

    grads = jax.grad(kl)(params)["params"]
    assert float(jnp.abs(grads["mu"]["w"]).max()) > 0 and float(jnp.abs(grads["log_var"]["w"]).max()) > 0
    smaller = jax.tree.map(lambda w, g: w - 1e-6 * g, params, jax.grad(kl)(params))
    assert float(kl(smaller)) < float(kl(params))


def test_the_encoder_reads_both_directions(model):
    vae, params = model
    mu = apply(vae, "encode", params, BARS)[0]
    for t in (0, 15):
        changed = apply(vae, "encode", params, BARS.at[:, t].set((BARS[:, t] + 1) % OUTCOMES))[0]
        assert np.all(np.abs(np.asarray(changed - mu)).max(axis=1) > 1e-4)


@pytest.mark.parametrize("merge, width", [("add", 12), ("concat", 48)])
def test_the_four_final_states_are_added_or_concatenated(merge, width):
    vae = VAE(units=12, latent=6, merge=merge)
    params = jax.eval_shape(
        lambda: vae.init(
            jax.random.key(0), BARS, draw_noise(vae, jax.random.split(jax.random.key(0), 5), 16, Dropout())
        )
    )
    assert params["params"]["mu"]["w"].shape == (width, 6)


def test_parameter_counts_of_the_thesis_sizes():
    """By hand: an LSTM layer has 4 (I + H + 1) H parameters; vocabulary 131, 512 units, latent 64, two layers."""

    def layer(inputs):
        return 4 * (inputs + 512 + 1) * 512

    vae = VAE()
    shapes = jax.eval_shape(
        lambda: vae.init(
            jax.random.key(0), BARS, draw_noise(vae, jax.random.split(jax.random.key(0), 5), 16, Dropout())
        )
    )
    encoder = 2 * layer(131) + 2 * layer(1024)
    heads = 2 * (512 + 1) * 64
    decoder = layer(131 + 64) + layer(512) + (64 + 1) * 4 * 512 + (512 + 1) * 130
    assert sum(w.size for w in jax.tree.leaves(shapes)) == encoder + heads + decoder


def test_dropout_masks_have_their_shares_and_belong_to_the_key():
    vae = VAE(units=50, latent=6)
    keys = jax.random.split(jax.random.key(0), 400)
    noise = draw_noise(vae, keys, 16, Dropout(inputs=0.3, words=0.2, gates=0.1))
    for mask, share, scale in (
        (noise.encoder_inputs, 0.3, 1 / 0.7),
        (noise.decoder_inputs, 0.2, 1.0),
        (noise.encoder_gates, 0.1, 1 / 0.9),
        (noise.decoder_gates, 0.1, 1 / 0.9),
    ):
        assert set(np.unique(mask).tolist()) == {0.0, np.float32(scale)}
        # five standard deviations of a mean of so many coin tosses
        assert np.mean(mask == 0) == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / mask.size))
    alone = draw_noise(vae, keys[7:8], 16, Dropout(inputs=0.3, words=0.2, gates=0.1))
    jax.tree.map(lambda all_, one: np.testing.assert_array_equal(all_[7:8], one), noise, alone)
    assert draw_noise(vae, keys, 16, Dropout()).encoder_inputs is None


def test_a_dropped_token_leaves_no_trace(model):
    vae, params = model
    noise = no_dropout(vae, 0)._replace(decoder_inputs=jnp.ones((5, 16)).at[:, 4].set(0.0))
    z = z_of(vae)
    changed = BARS.at[:, 3].set((BARS[:, 3] + 1) % OUTCOMES)
    one, other = (apply(vae, "decode", params, z, bars, noise) for bars in (BARS, changed))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("units", 0, "model.units"),
        ("latent", -1, "model.latent"),
        ("units", 10**9, "model.units is 1000000000; it must be from 1 to"),  # XLA would end the process
        ("merge", "max", "merge"),
        ("matmul_dtype", "int8", "dtype"),
        ("encoding", "notes", "model.encoding is one of steps, events"),
        ("min_pitch", -1, "0 <= min <= max <= 127"),
        ("max_pitch", 128, "0 <= min <= max <= 127"),
    ],
)
def test_sizes_that_cannot_work_are_named(field, value, words):
    settings = {"units": 8, "latent": 4, "layers": 2, "merge": "add", "matmul_dtype": "float32"}
    with pytest.raises(UserError, match=words):
        make_vae(settings | {field: value})
