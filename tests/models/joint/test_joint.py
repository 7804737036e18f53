"""The joint MCVAE against exact chances: bars of one token and one latent dimension, summed and integrated."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import expit, softmax
from scipy.stats import chisquare, norm

from mcvae_jax.models.joint.composer import JointComposer, init
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.tables import first_appearances, song_tables
from mcvae_jax.models.settings import Settings
from mcvae_jax.music.tokens import OUTCOMES, START
from mcvae_jax.nn.layers import applied
from tests.draws import keys_of
from tests.random_params import random_params

NETWORK = JointMCVAE(
    latent=1, components=2, encoder_units=4, units=5, layers=2, decoder_units=5, recall=1, memory=6, steps=1
)
GRID = np.linspace(-12, 12, 2001)  # of z
WILD = Settings(temperature=1.0, tau_sigma=1.0)


@functools.cache
def composer():
    return JointComposer(NETWORK, params())


@functools.cache
def params():
    return random_params(functools.partial(init, NETWORK), 0.5)


def some_songs(lengths, tokens=3, seed=0, steps=1):
    rng = np.random.default_rng(seed)
    return [rng.integers(60, 60 + tokens, (n, steps)).astype(np.uint8) for n in lengths]


def call(method, *arguments):
    return applied(NETWORK, getattr(JointMCVAE, method), params(), *arguments)


@jax.jit
def begin():
    return call("begin", 1)


@jax.jit
def compose(state, left):
    return call("compose", state, left)


@jax.jit
def read_bar(state, bar):
    return call("read_bar", state, bar)


@jax.jit
def says(state):
    """What may follow: log of copying each lag (L,) and of being new, the mixture of z, and the logits of the token
    for each z of GRID; and the logit that the song is over."""
    ahead = call("ahead", state)
    z = jnp.asarray(GRID)[:, None]
    many = jax.tree.map(lambda x: jnp.repeat(x, len(GRID), axis=0), (state, ahead.attention))
    given = call("given", many[0], z, many[1])
    first, along = call("decoder_begin", given)
    _, logits = call("decoder_step", first, jnp.full(len(GRID), START), jnp.asarray(0), along)
    mixture = jax.tree.map(lambda x: x[0], ahead.mixture)
    return ahead.log_lags[0], ahead.log_new[0], mixture, logits, ahead.stop_logit[0]


def chances(song, bars):
    """What may follow a song of n bars that will have `bars` in all, by the way that songs are drawn; see `says`."""
    state = begin()
    for number in range(len(song)):
        state = read_bar(compose(state, np.full(1, bars - number)), song[number][None])
    return says(compose(state, np.full(1, bars - len(song))))


def exact(song, bars):
    """p of each outcome as the bar after a song, (V,): of being a copy and of being new."""
    log_lags, log_new, mixture, logits, _ = jax.tree.map(np.float64, chances(song, bars))
    lags, new, p = np.exp(log_lags), np.exp(log_new), softmax(logits, axis=1)
    density = norm.pdf(GRID[:, None], mixture.mu[:, 0], np.exp(mixture.log_sigma[:, 0])) @ np.exp(mixture.log_pi)
    of_copies = np.zeros(OUTCOMES)
    for lag in range(1, min(len(song), NETWORK.memory) + 1):
        of_copies[song[-lag, 0]] += lags[lag - 1]
    return of_copies, new * trapezoid(density[:, None] * p, GRID, axis=0)


def test_the_chances_of_all_bars_sum_to_one():
    for song in some_songs([0, 1, 4, 9]):
        copies, new = exact(song, len(song) + 3)
        assert copies.sum() + new.sum() == pytest.approx(1, abs=1e-4)
        assert (copies.sum() > 0) == (len(song) > 0)


@pytest.mark.slow
def test_bounds_lie_above_the_exact_cost_and_reach_it_with_many_draws():
    """Bar by bar; repeated bars leave out the little that being new would add."""
    for song in some_songs([5, 7], tokens=4, seed=1):
        p = [exact(song[:t], len(song)) for t in range(len(song))]
        place, _ = first_appearances(song)
        of_kind = [p[t][int(t in place)][song[t, 0]] for t in range(len(song))]
        cost = -np.log(of_kind)
        one = composer().nats([song], 400)[0]
        assert np.all(one[place] > cost[place] - 0.02) and np.mean(one[place] - cost[place]) > 0.01
        repeated = np.setdiff1d(np.arange(len(song)), place)
        np.testing.assert_allclose(one[repeated], cost[repeated], rtol=1e-4)
        assert composer().tighter_nats([song], 3000)[0] == pytest.approx(cost.sum(), abs=0.03)
        assert one.sum() >= composer().tighter_nats([song], 8)[0] - 0.05


def test_parts_sum_to_the_bound():
    songs = some_songs([5, 9, 20], seed=2)
    bars = sum(map(len, songs))
    parts = composer().bound_parts(songs, 2, 3)
    total = sum(each.sum() for each in composer().nats(songs, 2, 3))
    assert parts["reconstruction_nats"] + parts["rate_nats"] == pytest.approx(total / bars)
    assert parts["kl_nats"] > 0


def test_bars_are_drawn_with_the_exact_chances():
    (seed,) = some_songs([5], tokens=4, seed=3)
    made = np.stack(composer().go_on([seed] * 3000, keys_of(3000), 1, WILD))[:, 0, 0]
    expected = len(made) * np.sum(exact(seed, 6), axis=0)
    common = expected >= 5
    assert common.sum() > 5
    counts = np.bincount(made, minlength=OUTCOMES)
    pooled = [np.append(each[common], each[~common].sum()) for each in (counts, expected)]
    assert chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue > 1e-4


@pytest.mark.more
def test_repetition_turns_the_odds_of_copies():
    (seed,) = some_songs([6], tokens=4, seed=3)
    copies, new = exact(seed, 7)
    outside = np.setdiff1d(np.arange(OUTCOMES), seed)
    shares = []
    for repetition in (0.0, 1.0, 8.0, 1e9):
        settings = Settings(temperature=1.0, tau_sigma=1.0, repetition=repetition)
        made = composer().go_on([seed] * 1500, keys_of(1500), 1, settings)
        share = np.isin([song[0, 0] for song in made], outside).mean()
        expected = new[outside].sum() / (new.sum() + repetition * copies.sum())
        assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 1500))
        shares.append(share)
    assert shares[0] > shares[1] > shares[2] and shares[3] == 0


def test_songs_that_may_end_have_no_bar_left_after_their_last():
    """The chance of a song of one bar, from nothing, is that of the stop head; and lengths differ."""
    nothing = [np.empty((0, 1), np.uint8)] * 2000
    songs = composer().go_on(nothing, keys_of(2000), None, WILD, max_bars=12)
    lengths = np.array([len(song) for song in songs])
    p = expit(float(says(compose(begin(), np.zeros(1, int)))[-1]))
    assert lengths.min() == 1 and lengths.max() <= 12 and len(set(lengths)) > 3
    assert np.mean(lengths == 1) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 2000))


def test_what_is_rendered_is_made_of_the_given_latents():
    z = [np.full((3, 1), value, np.float32) for value in (-3.0, 3.0)]
    greedy = Settings(temperature=0.0)
    songs = composer().render(z, keys_of(2), greedy)
    assert [song.shape for song in songs] == [(3, 1)] * 2
    alone = composer().render(z[1:], keys_of(2)[1:], greedy)
    assert np.array_equal(alone[0], songs[1])
    many = composer().render([np.array([[value]], np.float32) for value in GRID[::20]], keys_of(101), greedy)
    assert len({int(song[0, 0]) for song in many}) > 1, "the latents change nothing"


@pytest.mark.more
def test_a_gap_is_filled_with_what_the_bars_after_it_make_likely():
    (song,) = some_songs([12], tokens=4, seed=4)
    filled = composer().fill(song, [(3, 5), (8, 9)], keys_of(6), WILD)
    for one in filled:
        kept = [n for n in range(12) if n not in (3, 4, 8)]
        assert np.array_equal(one.bars[kept], song[kept]) and len(one.effective) == 2
        assert all(1 - 1e-6 <= each <= 64 + 1e-6 for each in one.effective)
    assert len({one.bars.tobytes() for one in filled}) > 1


def test_tables_hold_each_bar_once_in_the_order_of_its_appearance():
    songs = some_songs([9, 32, 3], tokens=5, seed=5)
    table = song_tables(songs, [0, 8, 2], [True, False, True], 4, 32)
    assert table.bars.shape == (4, 8, 1) and table.of.shape == (4, 32)
    for row, song in enumerate(songs):
        place, of = first_appearances(song)
        assert [bytes(bar) for bar in song[place]] == list(dict.fromkeys(bytes(bar) for bar in song))
        np.testing.assert_array_equal(table.bars[row][table.of[row, : len(song)]], song)
        np.testing.assert_array_equal(of, table.of[row, : len(song)])
    assert table.left[0, :9].tolist() == list(range(9, 0, -1)) and not table.left[0, 9:].any()
    assert not table.left[1].any() and table.first.tolist() == [0, 8, 2, 0]
    (long,) = some_songs([20])
    assert song_tables([long], [0], [True], 1, 32).left[0, :6].tolist() == [16, 16, 16, 16, 16, 15]
