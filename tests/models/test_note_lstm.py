"""The note LSTM against PyTorch's LSTM, and what it draws against what it says."""

import functools

import jax
import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import chisquare

from mcvae_jax.models.note_lstm import NoteLSTM
from mcvae_jax.models.notes import PHRASE, Dropout, NoteComposer, NoteModel
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY
from tests.draws import keys_of
from tests.random_params import random_params

pytestmark = pytest.mark.more

T, UNITS = 4, 5
MODEL = NoteModel(NoteLSTM(units=UNITS, layers=2, steps=T))


@functools.cache
def params():
    return random_params(MODEL.init, 0.7)


def some_bars(songs, bars, seed=0):
    return np.random.default_rng(seed).integers(0, OUTCOMES, (songs, bars, T)).astype(np.uint8)


@functools.partial(jax.jit, static_argnames="model")
def unroll(bars, first, keys=None, model=MODEL):
    return model.unroll(params(), bars, first, keys)


@functools.cache
def unrolled(first=0):
    bars = some_bars(3, 10)
    return bars, jax.device_get(unroll(bars, np.full(3, first)))


def torch_outputs(bars, first):
    """The heads' outputs along one song, (N * T + 1, V + 1), by PyTorch in float64 from one-hot inputs."""
    torch = pytest.importorskip("torch")
    lstm = torch.nn.LSTM(VOCABULARY + T + PHRASE, UNITS, 2).double()
    leaves = jax.tree.map(np.float64, params()["params"])
    with torch.no_grad():
        for n in range(2):
            layer = leaves[f"lstm_{n}"]
            w_x = np.concatenate([layer[f"w_x{k}"] for k in range(3 if n == 0 else 1)], axis=1)  # (4, I, H)
            for name, value in (("weight_ih", w_x), ("weight_hh", layer["w_h"])):
                getattr(lstm, f"{name}_l{n}").copy_(torch.tensor(np.concatenate([gate.T for gate in value])))
            getattr(lstm, f"bias_ih_l{n}").copy_(torch.tensor(layer["b"].reshape(-1)))
            getattr(lstm, f"bias_hh_l{n}").zero_()
        tokens = [START, *bars.ravel()]
        x = np.zeros((len(tokens), 1, VOCABULARY + T + PHRASE))
        for place, token in enumerate(tokens):
            x[place, 0, [token, VOCABULARY + place % T, VOCABULARY + T + (first + place // T) % PHRASE]] = 1
        hidden = lstm(torch.tensor(x))[0][:, 0].numpy()
    return hidden @ leaves["heads"]["w"] + leaves["heads"]["b"]


@pytest.mark.parametrize("first", [0, 13])
def test_chances_are_those_of_pytorch(first):
    bars, found = unrolled(first)
    for song, log_p, stop in zip(bars, found.log_p, found.stop_logit, strict=True):
        outputs = torch_outputs(song, first)
        expected = np.take_along_axis(log_softmax(outputs[:-1, :OUTCOMES], axis=1), song.reshape(-1, 1).astype(int), 1)
        np.testing.assert_allclose(log_p.ravel(), expected[:, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stop, outputs[T::T, OUTCOMES], rtol=1e-4, atol=1e-5)


def test_the_number_of_the_first_bar_counts_within_the_phrase():
    plain, moved, phrase = (np.asarray(unrolled(first)[1].log_p) for first in (0, 3, PHRASE))
    assert np.abs(plain - moved).max() > 1e-2
    np.testing.assert_array_equal(plain, phrase)


def test_songs_cost_what_the_network_says_whatever_their_padding():
    composer = NoteComposer(MODEL, params())
    bars, found = unrolled()
    songs = [bars[0], bars[1, :3], np.concatenate([bars[2]] * 5)]
    nats = composer.nats(songs)
    np.testing.assert_allclose(nats[0], -np.asarray(found.log_p[0]).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(nats[1], -np.asarray(found.log_p[1]).sum(axis=1)[:3], rtol=1e-5)
    np.testing.assert_allclose(nats[2][:10], -np.asarray(found.log_p[2]).sum(axis=1), rtol=1e-5)


def test_draws_are_what_the_chances_say():
    """The first two tokens that follow a seed, over 4,000 songs, beside the chances of each; chi-squared by scipy."""
    seed = some_bars(1, 2)[0]
    composer = NoteComposer(MODEL, params())
    made = np.stack(composer.go_on([seed] * 4000, keys_of(4000), 1, Settings(temperature=1.0)))[:, 0]
    likeliest = np.bincount(made[:, 0], minlength=OUTCOMES).argmax()

    def p_after(before):
        """(V,): of the token that follows a seed and `before`."""
        songs = np.repeat(np.concatenate([seed, np.zeros((1, T), np.uint8)])[None], OUTCOMES, axis=0)
        songs[:, 2, : len(before)] = before
        songs[:, 2, len(before)] = np.arange(OUTCOMES)
        return np.exp(np.asarray(unroll(songs, np.zeros(OUTCOMES, int)).log_p)[:, 2, len(before)])

    for drawn, p in (
        (made[:, 0], p_after([])),
        (made[made[:, 0] == likeliest, 1], p_after([likeliest])),
    ):
        counts, expected = np.bincount(drawn, minlength=OUTCOMES), p.astype(np.float64) * len(drawn)
        expected *= len(drawn) / expected.sum()
        common = expected >= 5
        assert common.sum() > 3
        pooled = [np.append(each[common], each[~common].sum()) for each in (counts, expected)]
        assert chisquare(*pooled).pvalue > 1e-4


def test_temperature_nought_takes_the_likeliest_token():
    seed = some_bars(1, 3)[0]
    (bar,) = NoteComposer(MODEL, params()).go_on([seed], keys_of(1), 1, Settings(temperature=0.0))
    for place in range(T):
        songs = np.repeat(np.concatenate([seed, bar])[None], OUTCOMES, axis=0)
        songs[:, 3, place] = np.arange(OUTCOMES)
        log_p = np.asarray(unroll(songs, np.zeros(OUTCOMES, int)).log_p)[:, 3, place]
        assert bar[0, place] == int(np.argmax(log_p))


def test_dropout_belongs_to_the_song_and_only_to_training():
    model = NoteModel(MODEL.network, Dropout(hidden=0.5))
    bars, keys = some_bars(4, 3), keys_of(4)
    first = np.zeros(4, int)
    once, alone, plain = (
        np.asarray(unroll(*of, model=model).log_p)
        for of in ((bars, first, keys), (bars[2:3], first[:1], keys[2:3]), (bars, first))
    )
    np.testing.assert_allclose(alone[0], once[2], rtol=1e-4, atol=1e-5)
    assert np.abs(once - plain).max() > 1e-2
