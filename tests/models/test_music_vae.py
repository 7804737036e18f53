"""MusicVAE against PyTorch and against what its paper says of the two decoders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from mcvae_jax.errors import UserError
from mcvae_jax.models.music_vae import CONDUCTOR, FLAT, PADDING, Dropout, MusicVAE, draw_noise, init, make_music_vae
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.layers import applied
from mcvae_jax.options import load_config
from tests.draws import keys_of
from tests.random_params import random_params

pytestmark = pytest.mark.more

N, T, L = 4, 3, 2
BOTH = pytest.mark.parametrize("decoder", [FLAT, CONDUCTOR])


@functools.cache
def a_model(decoder):
    network = MusicVAE(decoder, N, latent=3, layers=L, encoder_units=4, conductor_units=5, units=6, steps=T)
    return network, random_params(functools.partial(init, network), 0.7)


def some_windows(count, seed=0):
    return np.random.default_rng(seed).integers(0, OUTCOMES, (count, N, T)).astype(np.uint8)


def some_z(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def predict(decoder, z, bars, hidden=None):
    network, params = a_model(decoder)
    return applied(network, MusicVAE.predict, params, z, bars, hidden)


class Torch:
    """The parameters in PyTorch's LSTMs in float64."""

    def __init__(self, decoder):
        self.torch = pytest.importorskip("torch")
        self.leaves = jax.tree.map(np.float64, a_model(decoder)[1]["params"])

    def lstm(self, names, inputs, both=False):
        """One of L layers, whose parameters have such names, by layer and direction."""
        torch = self.torch
        units = self.leaves[names[0][0]]["w_h"].shape[-1]
        made = torch.nn.LSTM(inputs, units, L, bidirectional=both).double()
        with torch.no_grad():
            for n, pair in enumerate(names):
                for name, suffix in zip(pair, ("", "_reverse"), strict=False):
                    leaf = self.leaves[name]
                    w_x = np.concatenate([leaf[f"w_x{k}"] for k in range(len(leaf) - 2)], axis=1)  # (4, I, H)
                    for kind, value in (("ih", w_x), ("hh", leaf["w_h"])):
                        wide = torch.tensor(np.concatenate([gate.T for gate in value]))
                        getattr(made, f"weight_{kind}_l{n}{suffix}").copy_(wide)
                    getattr(made, f"bias_ih_l{n}{suffix}").copy_(torch.tensor(leaf["b"].reshape(-1)))
                    getattr(made, f"bias_hh_l{n}{suffix}").zero_()
        return made

    def dense(self, name, x):
        return x @ self.leaves[name]["w"] + self.leaves[name]["b"]

    def states(self, name, x):
        """(h, c) as PyTorch wants them, from a vector."""
        flat = np.tanh(self.dense(name, x)).reshape(L, 2, 1, -1)
        return tuple(self.torch.tensor(np.ascontiguousarray(flat[:, k])) for k in range(2))

    def run(self, lstm, x, states=None):
        """The outputs (steps, H) for x (steps, I)."""
        with self.torch.no_grad():
            return lstm(self.torch.tensor(np.float64(x))[:, None], states)[0][:, 0].numpy()

    def encode(self, tokens):
        lstm = self.lstm([(f"encoder_{n}_0", f"encoder_{n}_1") for n in range(L)], VOCABULARY, both=True)
        found = self.run(lstm, np.eye(VOCABULARY)[tokens])
        units = found.shape[1] // 2
        ends = np.concatenate([found[-1, :units], found[0, units:]])
        return self.dense("mu", ends), self.dense("log_var", ends)

    def embeddings(self, z):
        lstm = self.lstm([(f"conductor_{n}",) for n in range(L)], len(z))
        return self.dense("embedding", self.run(lstm, np.tile(z, (N, 1)), self.states("conductor_states", z)))

    def along(self, tokens, context):
        """The outputs after START and each of some tokens of a span."""
        read = np.eye(VOCABULARY)[[START, *tokens]]
        lstm = self.lstm([(f"lstm_{n}",) for n in range(L)], VOCABULARY + len(context))
        x = np.concatenate([read, np.tile(context, (len(read), 1))], axis=1)
        return self.dense("heads", self.run(lstm, x, self.states("first_states", context)))


def test_the_encoder_is_pytorch_s_and_reads_padding_as_such():
    network, params = a_model(FLAT)
    bars, lengths = some_windows(2), (N, 2)
    mask = np.float32(np.arange(N) < np.array(lengths)[:, None])
    mu, log_var = applied(network, MusicVAE.encode, params, bars, mask)
    for n, (window, length) in enumerate(zip(bars, lengths, strict=True)):
        tokens = np.where(np.arange(N * T) < length * T, window.reshape(-1), PADDING).astype(int)
        for found, expected in zip((mu[n], log_var[n]), Torch(FLAT).encode(tokens), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@BOTH
def test_the_decoder_is_pytorch_s(decoder):
    oracle, bars, z = Torch(decoder), some_windows(2), some_z(2)
    found = predict(decoder, z, bars)
    for n, window in enumerate(bars.astype(int)):
        if decoder == FLAT:
            outputs = oracle.along(window.reshape(-1), z[n])
            before, after = outputs[:-1], outputs[T::T]
        else:
            spans = [oracle.along(bar, c) for bar, c in zip(window, oracle.embeddings(z[n]), strict=True)]
            before, after = np.concatenate([each[:-1] for each in spans]), np.stack([each[-1] for each in spans])
        expected = np.take_along_axis(log_softmax(before[:, :OUTCOMES], axis=1), window.reshape(-1, 1), 1)
        np.testing.assert_allclose(np.ravel(found.log_p[n]), expected[:, 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(np.ravel(found.guess[n]), before[:, :OUTCOMES].argmax(axis=1))
        np.testing.assert_allclose(found.stop_logit[n], after[:, OUTCOMES], rtol=1e-4, atol=1e-4)


@BOTH
def test_a_token_reaches_later_bars_in_the_flat_decoder_alone(decoder):
    """With a conductor the decoder's state goes no further than its bar (Roberts et al. 2018, section 3.2)."""
    bars = np.repeat(some_windows(1), N + 1, axis=0)
    for changed in range(N):
        bars[changed, changed, 1] = (int(bars[N, changed, 1]) + 1) % OUTCOMES
    found = predict(decoder, np.repeat(some_z(1), N + 1, axis=0), bars)
    bar, step = np.arange(N)[:, None], np.arange(T)
    for changed in range(N):
        moved = np.abs(found.log_p[changed] - found.log_p[N]) > 1e-7
        within = (bar == changed) & (step >= 1)
        np.testing.assert_array_equal(moved, within | (bar > changed) if decoder == FLAT else within)
        of_stop = np.asarray(found.stop_logit[changed] != found.stop_logit[N])
        np.testing.assert_array_equal(of_stop, bar[:, 0] >= changed if decoder == FLAT else bar[:, 0] == changed)


@BOTH
def test_every_bar_depends_on_z(decoder):
    bars = some_windows(1)
    found, other = (predict(decoder, some_z(1, seed), bars).log_p for seed in (1, 2))
    assert (np.abs(found - other) > 1e-4).all()


@pytest.mark.parametrize("decoder", [pytest.param(FLAT, marks=pytest.mark.slow), CONDUCTOR])
def test_bar_by_bar_and_token_by_token_it_says_what_it_says_at_once(decoder):
    """With the true tokens read, and the same dropout; and what is read changes what is said."""
    network, params = a_model(decoder)
    bars, z = some_windows(2), some_z(2)
    hidden = draw_noise(network, keys_of(2), Dropout(0.4)).hidden
    expected, tokens = predict(decoder, z, bars, hidden), bars.reshape(2, -1)

    def along(choose):
        return applied(network, MusicVAE.predict_scheduled, params, z, bars, choose, hidden)

    found = along(lambda logits, place: jnp.asarray(tokens)[:, place])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)
    drawn = along(lambda logits, place: jnp.argmax(logits, axis=-1))
    same = np.isclose(drawn.log_p, expected.log_p, atol=1e-5)
    assert same[:, 0, 0].all() and not same[:, :, 1:].any()
    assert same[:, 1:, 0].all() == (decoder == CONDUCTOR)


@BOTH
def test_the_noise_of_a_window_belongs_to_its_key(decoder):
    network, _ = a_model(decoder)
    together, alone = (draw_noise(network, keys_of(3)[rows], Dropout(0.5)) for rows in (slice(0, 3), slice(1, 2)))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1], b[0]), together, alone)
    assert together.hidden.shape == ((3, 1, L, N * T + 1, 6) if decoder == FLAT else (3, N, L, T + 1, 6))
    assert set(np.unique(together.hidden)) == {0.0, 2.0} and draw_noise(network, keys_of(3), Dropout()).hidden is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("decoder", "round", "'flat' or 'conductor', not 'round'"),
        ("bars", 1000, "a window has at most 256 bars"),
        ("latent", 0, "config.model.latent is 0; it must be from 1"),
    ],
)
def test_sizes_that_cannot_be_are_told(name, value, says):
    config = load_config("configs/music_vae.py").model
    config[name] = value
    with pytest.raises(UserError, match=says):
        make_music_vae(config)
