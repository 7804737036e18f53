"""Bar codes against sums over all codes and all bars of a toy: the bound lies above, and chances sum to one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from mcvae_jax.errors import UserError
from mcvae_jax.models.bar_by_bar import Turn
from mcvae_jax.models.bar_codes import BarCodes, CodeModel, CodeTransformer, make_notes, read_levels
from mcvae_jax.models.joint.pitches import Heard, heard_along, silence
from mcvae_jax.models.notes import Dropout, NoteComposer, NoteModel
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import BOUND, log_weights
from mcvae_jax.music.tokens import OUTCOMES, START
from mcvae_jax.nn.layers import applied
from mcvae_jax.options import load_config
from tests.draws import keys_of
from tests.random_params import random_params

pytestmark = pytest.mark.more

T, G, LEVELS, V, MEMORY = 2, 2, (2, 3), 6, 3
NETWORK = CodeTransformer(units=12, layers=2, heads=3, memory=MEMORY, steps=G, outcomes=G * V)
BARS = BarCodes(codes=G, levels=LEVELS, encoder_units=5, decoder_units=6, steps=T)
MODEL = CodeModel(BARS, NoteModel(NETWORK))
ALL_CODES = np.stack(np.meshgrid(np.arange(V), np.arange(V), indexing="ij"), axis=-1).reshape(-1, G)  # (V^G, G)


@functools.cache
def params():
    return random_params(MODEL.init, 0.7)


def some_bars(songs, bars, seed=0):
    return np.random.default_rng(seed).integers(0, OUTCOMES, (songs, bars, T)).astype(np.uint8)


@functools.partial(jax.jit, static_argnums=1)
def unrolled(bars, model=MODEL, keys=None):
    return model.unroll(params(), bars, jnp.zeros(len(bars), int), keys)


def of_bars(method, *arguments):
    return applied(BARS, method, params()["bars"], *arguments)


@jax.jit
def encoded(bars):
    """The codes (B, N, G) of bars (B, N, T)."""
    return of_bars(BarCodes.encode, bars.reshape(-1, T)).reshape(*bars.shape[:2], G)


def padded(songs, bars=6):
    """Songs (B, n, T) with zeros after them: one shape for all, since what follows changes nothing."""
    return np.pad(songs, ((0, 0), (0, bars - songs.shape[1]), (0, 0)))


@jax.jit
def log_p_of_codes(codes):
    """Of codes (B, N, G), (B, N), from the transformer alone."""
    outcomes, first = codes + np.arange(G) * V, jnp.zeros(len(codes), int)
    return MODEL.codes.unroll(params()["codes"], outcomes, first, None).log_p.sum(axis=-1)


@jax.jit
def logits_of_codes(heard):
    """Of the first token given each of all codes, (V^G, 130), and of the second given the first, (V^G * 130, 130)."""
    count = len(ALL_CODES)
    state, along = of_bars(BarCodes.begin, ALL_CODES, Heard(*(jnp.full(count, x) for x in heard)))
    state, first = of_bars(BarCodes.step, state, jnp.full(count, START), 0, along)
    state = jax.tree.map(lambda x: jnp.repeat(x, OUTCOMES, axis=0), state)
    along = jax.tree.map(lambda x: jnp.repeat(x, OUTCOMES, axis=1), along)
    tokens = np.tile(np.arange(OUTCOMES), count)
    return first, of_bars(BarCodes.step, state, tokens, 1, along)[1]


def codes_after(song):
    """log p of all codes of the bar after a song (n, T), (V^G,)."""
    codes = np.repeat(np.asarray(encoded(padded(song[None]))), len(ALL_CODES), axis=0)
    codes[:, len(song)] = ALL_CODES
    return np.asarray(log_p_of_codes(codes)[:, len(song)], np.float64)


def bars_of_codes(song):
    """log p of all bars after a song given each of all codes, (V^G, 130, 130), by steps of the decoder."""
    along = heard_along(padded(song[None]).reshape(1, -1), silence(1))
    heard = Heard(*(x[0, len(song) * T] for x in along))
    first, second = (log_softmax(np.float64(logits), axis=1) for logits in logits_of_codes(heard))
    return first[:, :, None] + second.reshape(len(ALL_CODES), OUTCOMES, OUTCOMES)


@pytest.fixture(scope="module", params=[0, 5], ids=lambda n: f"after {n} bars")
def toy(request):
    """A seed, log p of every next bar by the sum over all codes, and what the model says of every next bar."""
    song = some_bars(1, request.param)[0]
    exact = logsumexp(codes_after(song)[:, None, None] + bars_of_codes(song), axis=0)
    every = np.stack(np.meshgrid(*[np.arange(OUTCOMES)] * T, indexing="ij"), axis=-1).reshape(-1, 1, T)
    songs = np.concatenate([np.broadcast_to(song, (len(every), *song.shape)), every], axis=1).astype(np.uint8)
    found = np.asarray(unrolled(padded(songs)).log_p[:, len(song)], np.float64).sum(axis=1)
    return song, exact, found.reshape(OUTCOMES, OUTCOMES)


@pytest.mark.slow
def test_the_bound_lies_above_the_sum_over_all_codes(toy):
    _, exact, found = toy
    assert np.exp(logsumexp(exact)) == pytest.approx(1, abs=1e-4), "the sum over all continuations"
    assert (found <= exact + 1e-4).all()
    assert np.exp(logsumexp(found)) < 0.99, "one code of each bar leaves the others out"


@pytest.mark.slow
def test_what_is_drawn_is_drawn_as_the_sum_says(toy):
    """The first token of 20,000 bars, by their total variation from their chances."""
    song, exact, _ = toy
    count = 20_000
    state = jax.jit(MODEL.begin, static_argnums=1)(params(), count)
    next_bar = jax.jit(lambda state, turn: MODEL.next_bar(params(), state, turn, keys_of(count), AS_TRAINED.cuts))
    for number, bar in enumerate([*song, np.zeros(T, np.uint8)]):
        is_given = np.full(count, number < len(song))
        zeros = np.zeros(count, int)
        state, made, _ = next_bar(state, Turn(number, np.broadcast_to(bar, (count, T)), is_given, zeros, zeros))
    chances = np.exp(exact).sum(axis=1)
    shares = np.bincount(np.asarray(made)[:, 0], minlength=OUTCOMES) / count
    expected = np.sqrt(2 / np.pi * chances * (1 - chances) / count).sum() / 2
    assert np.abs(shares - chances).sum() / 2 < 1.3 * expected


def test_bar_by_bar_with_a_cache_it_says_what_it_says_of_whole_songs():
    """Twice as far as the cache reaches."""
    bars = some_bars(3, 2 * MEMORY + 2)
    whole, codes = unrolled(bars), np.asarray(encoded(bars))
    state, next_bar = jax.jit(MODEL.begin, static_argnums=1)(params(), 3), jax.jit(MODEL.next_bar)
    for n in range(bars.shape[1]):
        logits = NETWORK.logits(state.codes.outputs, np.array(n * G))
        assert np.all(np.isneginf(logits[:, V:])), "codes of other groups"
        found = log_softmax(logits, axis=1)[np.arange(3), codes[:, n, 0]]
        np.testing.assert_allclose(found, whole.log_p[:, n, 0], rtol=1e-4, atol=1e-4)
        zeros = np.zeros(3, int)
        turn = Turn(n, bars[:, n], np.ones(3, bool), zeros, zeros)
        state, made, _ = next_bar(params(), state, turn, keys_of(3), AS_TRAINED.cuts)
        assert np.array_equal(made, bars[:, n])
        np.testing.assert_allclose(state.codes.outputs[:, -1], whole.stop_logit[:, n], rtol=1e-4, atol=1e-4)


def test_temperature_nought_takes_the_likeliest_codes_and_tokens():
    """Code by code, then token by token, and the next bar reads the codes of the bar that was made."""
    song = some_bars(1, 2)[0]
    (made,) = NoteComposer(MODEL, params()).go_on([song], keys_of(1), 3, Settings(temperature=0.0))
    for bar in made:
        of_codes = codes_after(song).reshape(V, V)
        first = logsumexp(of_codes, axis=1).argmax()
        of_tokens = bars_of_codes(song)[first * V + of_codes[first].argmax()]
        token = logsumexp(of_tokens, axis=1).argmax()
        assert bar.tolist() == [token, of_tokens[token].argmax()]
        song = np.concatenate([song, bar[None]])


@pytest.mark.parametrize("place", [0, 5, 9])
def test_a_bar_changes_what_is_said_of_it_and_after_it_alone(place):
    bars = some_bars(4, 10)
    changed = bars.copy()
    changed[:, place] = some_bars(4, 1, seed=7)[:, 0]
    moved = np.abs(unrolled(changed).log_p - unrolled(bars).log_p).max(axis=(0, 2)) > 1e-6
    assert not moved[:place].any() and moved[place] and moved[place + 1 :].any() == (place < 9)


@pytest.mark.slow
def test_codes_are_targets_of_the_transformer_and_learnt_by_the_decoder_alone():
    bars = some_bars(4, 3)

    def gradient(name):
        def of(params):
            log_p = MODEL.unroll(params, bars, jnp.zeros(4, int), None).log_p
            return jnp.sum(log_p[..., :G] if name == "codes" else log_p[..., G:])

        return jax.jit(jax.grad(of))(params())

    def size(tree):
        return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))

    of_codes, of_tokens = gradient("codes"), gradient("bars")
    assert size(of_codes["bars"]) == 0 and size(of_codes["codes"]) > 0 and size(of_tokens["codes"]) == 0
    for part in ("encoder", "to_levels", "decoder"):
        assert size(of_tokens["bars"]["params"][part]) > 1e-3, part


def test_the_figures_are_the_parts_of_the_bound_and_the_perplexity_of_the_codes():
    bars = some_bars(5, 4)
    found = unrolled(bars)
    total = found.figures["code"] + found.figures["reconstruction"]
    np.testing.assert_allclose(total, -found.log_p.sum(axis=-1), rtol=1e-5)
    codes = np.asarray(encoded(bars)).reshape(-1, G)
    shares = np.stack([np.bincount(codes[:, g], minlength=V) / len(codes) for g in range(G)])
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    means = {name: each.mean(axis=(0, 1)) for name, each in found.figures.items()}
    assert float(MODEL.terms(means)["used"]) == pytest.approx(np.exp(entropy).mean(), rel=1e-5)
    assert float(MODEL.terms(means | {"uses": jnp.full((G, V), 1 / V)})["used"]) == pytest.approx(V)
    assert float(MODEL.terms(means | {"uses": jnp.eye(G, V)})["used"]) == pytest.approx(1)


def test_it_is_a_bound_that_says_what_it_weighs():
    composer, songs = NoteComposer(MODEL, params()), [some_bars(1, 5)[0], some_bars(1, 3)[0]]
    assert composer.likelihood == BOUND
    weights = log_weights(composer, songs, draws=3)
    np.testing.assert_array_equal(weights, -np.concatenate(composer.nats(songs))[None])


@pytest.mark.slow
def test_dropout_belongs_to_the_song_and_only_to_training():
    bars, keys = some_bars(4, 3), keys_of(4)
    plain = unrolled(bars).log_p
    for model, there in (
        (CodeModel(BARS, NoteModel(NETWORK, Dropout(0.5))), slice(G)),
        (CodeModel(BARS, NoteModel(NETWORK), 0.5), slice(G, None)),
    ):
        once, alone = unrolled(bars, model, keys).log_p, unrolled(bars[2:3], model, keys[2:3]).log_p
        np.testing.assert_allclose(alone[0], once[2], rtol=1e-4, atol=1e-4)
        moved = np.abs(once - plain).max(axis=(0, 1)) > 1e-2
        assert moved[there].all() and moved.sum() == moved[there].sum()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("heads", 3, "multiple of twice the heads"),
        ("codes", 0, "from 1"),
        ("levels", "8 one", "it must be numbers of 2 or more"),
        ("levels", "8 1", "it must be numbers of 2 or more"),
        ("levels", "", "it must be numbers of 2 or more"),
        ("levels", "200 200", "at most 16384"),
    ],
)
def test_sizes_and_levels_that_cannot_be_are_told(name, value, says):
    config = load_config("configs/bar_codes.py")
    config.model[name] = value
    with pytest.raises(UserError, match=says):
        make_notes(config)


def test_levels_are_read_from_text():
    assert read_levels(" 8  5 5 ") == (8, 5, 5)
