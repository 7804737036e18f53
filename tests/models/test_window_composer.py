"""Songs in windows: bounds against integrals over z, draws against the chances that integrals give."""

import functools

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chisquare, norm

from mcvae_jax.models.copying import LAGS, PHRASE, RUNS, Copying, Switch, find_matches, switch_log_p
from mcvae_jax.models.music_vae import CONDUCTOR, FLAT, MusicVAE, init
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.window_composer import WindowComposer, cut
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.nn.layers import applied
from tests.draws import keys_of
from tests.random_params import random_params

pytestmark = pytest.mark.more

N, T = 3, 2
GRID = np.linspace(-6, 6, 201).astype(np.float32)  # of z
BOTH = pytest.mark.parametrize("decoder", [pytest.param(FLAT, marks=pytest.mark.slow), CONDUCTOR])
WILD = Settings(temperature=1.0, tau_sigma=1.0)


@functools.cache
def a_composer(decoder):
    """With one latent, which can be integrated, on which what it says depends, and a q that is not too narrow."""
    network = MusicVAE(decoder, N, latent=1, layers=1, encoder_units=3, conductor_units=4, units=5, steps=T)
    params = random_params(functools.partial(init, network), 1.2)
    for name in ("mu", "log_var"):
        params["params"][name] = jax.tree.map(lambda leaf: 0.3 * leaf, params["params"][name])
    return WindowComposer(network, params)


def some_song(bars, seed=0):
    return np.random.default_rng(seed).integers(0, OUTCOMES, (bars, T)).astype(np.uint8)


@functools.partial(jax.jit, static_argnums=0)
def predict(network, params, z, windows):
    return applied(network, MusicVAE.predict, params, z, windows)


def log_p_on_grid(composer, windows):
    """log p(tokens | z), (W, grid, N, T), of windows (W, N, T) at each z of the grid."""
    made = np.repeat(windows, len(GRID), axis=0)
    z = np.tile(GRID[:, None], (len(windows), 1))
    log_p = predict(composer.network, composer.params, z, made).log_p
    return np.asarray(log_p, np.float64).reshape(len(windows), len(GRID), N, T)


def log_integral(log_f):
    """log of the integral of exp(log_f) N(z; 0, 1), for log_f (..., grid)."""
    return logsumexp(log_f + norm.logpdf(GRID), axis=-1) + np.log(GRID[1] - GRID[0])


def exact_nats(composer, song):
    """-log p of each window of a song, by integrals."""
    windows = cut([song], N)
    log_p = log_p_on_grid(composer, windows.bars).sum(axis=-1) * windows.mask[:, None]
    return -log_integral(log_p.sum(axis=-1))


@BOTH
@pytest.mark.slow
def test_bounds_lie_above_the_integral_over_z_and_come_near_it_with_many_draws(decoder):
    composer, songs = a_composer(decoder), [some_song(7), some_song(3, 1)]
    exact = np.array([exact_nats(composer, song).sum() for song in songs])
    bound = np.array([each.sum() for each in composer.nats(songs, draws=200)])
    many = composer.tighter_nats(songs, 1000)
    assert (bound > exact + 0.1).all() and (many < bound).all()
    np.testing.assert_allclose(many, exact, rtol=0.005)


@BOTH
def test_what_bars_cost_is_their_reconstruction_and_an_equal_share_of_the_kl_of_their_window(decoder):
    composer, songs = a_composer(decoder), [some_song(7), some_song(2, 1)]
    parts, nats = composer.bound_parts(songs, draws=3, seed=5), composer.nats(songs, draws=3, seed=5)
    total = (parts["reconstruction_nats"] + parts["kl_nats"]) * 9
    assert [each.shape for each in nats] == [(7,), (2,)]
    assert sum(each.sum() for each in nats) == pytest.approx(total, rel=1e-5) and parts["kl_nats"] > 0
    windows = cut(songs, N)
    mu, log_var = applied(composer.network, MusicVAE.encode, composer.params, windows.bars, windows.mask)
    mu, log_var = np.float64(mu), np.float64(log_var)
    kl = 0.5 * np.sum(mu**2 + np.exp(log_var) - 1 - log_var, axis=1)  # (W,), of windows of 3, 3, 1 and 2 bars
    assert parts["kl_nats"] == pytest.approx(kl.sum() / 9, rel=1e-4)


@BOTH
def test_with_the_copy_switch_it_is_a_bound_on_one_z_a_window_and_bars_copied_or_written(decoder):
    """The integral of p(z) prod_t (p_new p(x_t | z, x_<t) + p_copy) over z, in a song with copies."""
    composer, song = a_composer(decoder), some_song(6)
    song[[2, 3, 5]] = song[[0, 1, 2]]
    zeros = np.zeros(max(LAGS, PHRASE), np.float32)
    switch = Switch(zeros[:LAGS], zeros[: len(RUNS)] + 1, zeros[:PHRASE] + 2, zeros[: len(RUNS)])
    found = find_matches([song])
    log_new, log_lags = (np.float64(each) for each in switch_log_p(switch, found.runs, found.bar))
    log_copy = logsumexp(np.where(found.matches, log_lags, -np.inf), axis=1)
    windows = cut([song], N)
    log_x = log_p_on_grid(composer, windows.bars).sum(axis=-1)  # (W, grid, N)
    mixed = np.logaddexp(log_new.reshape(2, 1, N) + log_x, log_copy.reshape(2, 1, N))
    exact = -log_integral(mixed.sum(axis=-1)).sum()
    (bound,) = Copying(composer, switch).nats([song], draws=200)
    assert bound.shape == (6,) and exact + 0.1 < bound.sum() < composer.nats([song], draws=200)[0].sum() - 10
    kl = composer.shared_nats([song])
    assert kl[0] == kl[1] == kl[2] and (bound >= kl).all(), "the z of copied bars is paid, too"


@BOTH
def test_windows_are_independent_and_bars_of_a_window_are_not(decoder):
    composer, song = a_composer(decoder), some_song(8)
    changed = song.copy()
    changed[4] = (song[4].astype(int) + 1) % OUTCOMES
    before, after = (composer.nats([each])[0] for each in (song, changed))
    moved = np.abs(before - after) > 1e-5
    assert moved[[3, 4, 5]].all() and not moved[[0, 1, 2, 6, 7]].any()


def test_what_a_window_costs_depends_on_no_other_song_and_no_padding():
    composer = a_composer(FLAT)
    songs = [some_song(n, n) for n in (4, 1, 90, 2)]
    together = composer.nats(songs, 2, 3)
    for i in range(1, 5):
        np.testing.assert_allclose(composer.nats(songs[:i], 2, 3)[i - 1], together[i - 1], rtol=1e-5)
    windows = cut([some_song(4)], N)
    assert windows.mask.tolist() == [[1, 1, 1], [1, 0, 0]] and windows.number.tolist() == [0, 1]
    assert not windows.bars[1, 1:].any() and np.array_equal(windows.bars[1, 0], some_song(4)[3])


def agree(drawn, p):
    """Whether tokens are drawn with chances p (V,): chi-squared by scipy, the rare ones together."""
    counts, expected = np.bincount(drawn, minlength=OUTCOMES), p / p.sum() * len(drawn)
    common = expected >= 5
    assert common.sum() > 3
    pooled = [np.append(each[common], max(each[~common].sum(), 1e-9)) for each in (counts, expected)]
    return chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue > 1e-4


def first_token_chances(composer, given):
    """p of the first token after some bars of a window, (V,), by the integral over z; `given` (0 to N - 1, T)."""
    windows = np.zeros((OUTCOMES, N, T), np.uint8)
    windows[:, : len(given)] = given
    windows[:, len(given), 0] = np.arange(OUTCOMES)
    log_p = log_p_on_grid(composer, windows)
    return np.exp(log_integral(log_p[:, :, : len(given)].sum(axis=(2, 3)) + log_p[:, :, len(given), 0]))


@BOTH
def test_songs_from_nothing_are_drawn_as_the_model_says(decoder):
    composer, nothing = a_composer(decoder), np.empty((0, T), np.uint8)
    made = np.stack(composer.go_on([nothing] * 2000, keys_of(2000), N + 1, WILD))
    p = first_token_chances(composer, nothing)
    assert p.sum() == pytest.approx(1, abs=1e-3)
    assert agree(made[:, 0, 0], p)
    assert agree(made[:, N, 0], p), "the next window begins as the first"


@BOTH
@pytest.mark.slow
def test_what_follows_given_bars_is_drawn_as_the_model_says(decoder):
    """With a window before them, which counts for nothing."""
    composer, seed = a_composer(decoder), some_song(N + 1, 4)
    made = np.stack(composer.go_on([seed] * 600, keys_of(600), 1, WILD))
    after, before = (first_token_chances(composer, given) for given in (seed[N:], seed[:0]))
    assert agree(made[:, 0, 0], after)
    assert not agree(made[:, 0, 0], before), "the given bar counts"


def test_temperature_and_tau_sigma_nought_leave_nothing_to_chance():
    composer, nothing = a_composer(FLAT), np.empty((0, T), np.uint8)
    made = composer.go_on([nothing] * 3, keys_of(3), N, Settings(temperature=0.0, tau_sigma=0.0))
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])
    z = np.zeros((OUTCOMES, 1), np.float32)
    for bar, step in np.ndindex(N, T):
        windows = np.repeat(made[0][None], OUTCOMES, axis=0)
        windows[:, bar, step] = np.arange(OUTCOMES)
        log_p = predict(composer.network, composer.params, z, windows).log_p
        assert made[0][bar, step] == int(np.argmax(log_p[:, bar, step]))
