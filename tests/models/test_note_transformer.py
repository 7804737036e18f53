"""The note transformer against PyTorch, its cache against whole songs, and its chances against their sum."""

import functools

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from mcvae_jax.errors import UserError
from mcvae_jax.models.note_transformer import NoteTransformer, make_notes
from mcvae_jax.models.notes import PHRASE, Dropout, NoteComposer, NoteModel
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES, START
from mcvae_jax.options import load_config
from tests.draws import keys_of
from tests.random_params import random_params
from tests.torch_transformer import dense, leaves_of, norm, through_layers

pytestmark = pytest.mark.more

T, UNITS, LAYERS, HEADS, MEMORY = 2, 12, 2, 3, 3
MODEL = NoteModel(NoteTransformer(units=UNITS, layers=LAYERS, heads=HEADS, memory=MEMORY, steps=T))
REACH = MEMORY * T + 1


@functools.cache
def params():
    return random_params(MODEL.init, 0.5)


def some_bars(songs, bars, seed=0):
    return np.random.default_rng(seed).integers(0, OUTCOMES, (songs, bars, T)).astype(np.uint8)


@functools.partial(jax.jit, static_argnames="model")
def unrolled(bars, first, keys=None, model=MODEL):
    return model.unroll(params(), bars, first, keys)


def log_p_of(bars):
    return np.asarray(unrolled(bars, np.zeros(len(bars), int)).log_p).reshape(len(bars), -1)


def torch_outputs(bars, first):
    """The outputs along one song, (N * T + 1, V + 1), by PyTorch in float64."""
    leaves = leaves_of(params())
    tokens = np.array([START, *bars.ravel()], int)
    place = np.arange(len(tokens))
    rows = tokens, place % T, (first + place // T) % PHRASE
    x = sum(leaves[f"table{n}"][each] for n, each in enumerate(rows))
    x = through_layers(x, leaves, LAYERS, HEADS, REACH)
    return dense(norm(x, leaves["norm"]), leaves["said"]).numpy()


@pytest.mark.parametrize("first", [0, 13])
def test_chances_are_those_of_pytorch_within_and_beyond_the_reach(first):
    bars = some_bars(2, 10)
    found = jax.device_get(unrolled(bars, np.full(2, first)))
    for song, log_p, stop in zip(bars, found.log_p, found.stop_logit, strict=True):
        outputs = torch_outputs(song, first)
        expected = np.take_along_axis(log_softmax(outputs[:-1, :OUTCOMES], axis=1), song.reshape(-1, 1).astype(int), 1)
        np.testing.assert_allclose(log_p.ravel(), expected[:, 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(stop, outputs[T::T, OUTCOMES], rtol=1e-4, atol=1e-4)


def test_token_by_token_with_a_cache_it_says_what_it_says_of_whole_songs():
    """Twice as far as the cache reaches."""
    bars = some_bars(3, 2 * MEMORY + 2)
    expected, tokens = log_p_of(bars), bars.reshape(3, -1)
    read = jax.jit(MODEL.read)
    state = jax.jit(MODEL.begin, static_argnums=1)(params(), 3)
    for n in range(tokens.shape[1]):
        found = log_softmax(np.asarray(state.outputs)[:, :OUTCOMES], axis=1)[np.arange(3), tokens[:, n]]
        np.testing.assert_allclose(found, expected[:, n], rtol=1e-4, atol=1e-4)
        state = read(params(), state, tokens[:, n], np.full(3, n + 1))
    sizes = {leaf.shape[1] for leaf in jax.tree.leaves(state.memory)}
    assert sizes == {REACH}, "the cache does not grow"


@pytest.mark.parametrize("place", [0, 5, 9, 15])
def test_a_token_changes_the_chances_after_it_alone_and_as_far_as_the_layers_reach(place):
    bars = some_bars(1, 16)
    changed = bars.copy()
    changed.reshape(-1)[place] = (int(bars.reshape(-1)[place]) + 1) % OUTCOMES
    moved = np.abs(log_p_of(changed) - log_p_of(bars))[0] > 1e-6
    assert not moved[:place].any() and moved[place : place + REACH].all()
    assert not moved[place + 1 + LAYERS * (REACH - 1) + 1 :].any()


def test_the_chances_of_all_continuations_sum_to_one():
    """All 130 * 130 bars after a seed."""
    pairs = np.stack(np.meshgrid(*[np.arange(OUTCOMES)] * T, indexing="ij"), axis=-1).reshape(-1, 1, T)
    seed = np.broadcast_to(some_bars(1, 2), (len(pairs), 2, T))
    songs = np.concatenate([seed, pairs], axis=1).astype(np.uint8)
    p = np.exp(log_p_of(songs)[:, -T:].astype(np.float64).sum(axis=1))
    assert p.sum() == pytest.approx(1, abs=1e-4) and p.max() < 0.9


def test_temperature_nought_takes_the_likeliest_tokens_beyond_the_reach_too():
    seed = some_bars(1, 2)[0]
    (made,) = NoteComposer(MODEL, params()).go_on([seed], keys_of(1), 2 * MEMORY, Settings(temperature=0.0))
    song = np.concatenate([seed, made])
    for place in range(seed.size, song.size):
        songs = np.repeat(song[None], OUTCOMES, axis=0)
        songs.reshape(OUTCOMES, -1)[:, place] = np.arange(OUTCOMES)
        assert song.ravel()[place] == int(np.argmax(log_p_of(songs)[:, place]))


def test_songs_cost_what_the_network_says_whatever_their_padding():
    bars = some_bars(2, 40)
    nats = NoteComposer(MODEL, params()).nats([bars[0], bars[1, :3]])
    of_bars = -log_p_of(bars).reshape(2, 40, T).sum(axis=2)
    np.testing.assert_allclose(nats[0], of_bars[0], rtol=1e-5)
    np.testing.assert_allclose(nats[1], of_bars[1, :3], rtol=1e-5)


def test_dropout_belongs_to_the_song_and_only_to_training():
    model = NoteModel(MODEL.network, Dropout(hidden=0.5))
    bars, keys, first = some_bars(4, 3), keys_of(4), np.zeros(4, int)
    once, alone, plain = (
        np.asarray(unrolled(*of, model=model).log_p)
        for of in ((bars, first, keys), (bars[2:3], first[:1], keys[2:3]), (bars, first))
    )
    np.testing.assert_allclose(alone[0], once[2], rtol=1e-4, atol=1e-4)
    assert np.abs(once - plain).max() > 1e-2


def test_its_size_is_near_that_of_the_note_lstm():
    config = load_config("configs/note_transformer.py")
    leaves = jax.tree.leaves(jax.eval_shape(make_notes(config).init, jax.random.key(0)))
    assert 0.9e6 < sum(leaf.size for leaf in leaves) < 1.1e6


@pytest.mark.parametrize(
    ("name", "value", "says"), [("heads", 3, "multiple of twice the heads"), ("memory", 0, "from 1")]
)
def test_sizes_that_cannot_be_are_told(name, value, says):
    config = load_config("configs/note_transformer.py")
    config.model[name] = value
    with pytest.raises(UserError, match=says):
        make_notes(config)
