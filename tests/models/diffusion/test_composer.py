"""The diffusion prior and its composer: what the denoiser sees, what the bound counts, how songs are drafted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.models.bounds import song_draws
from mcvae_jax.models.diffusion.prior import COSINE, DiffusionPrior
from mcvae_jax.models.diffusion.process import LEAST, MOST, log_snr
from mcvae_jax.models.latent_windows import LENGTHS, Draft, Place, window_start
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.settings import Settings
from mcvae_jax.nn import gaussian
from tests.diffusion_layouts import a_diffusion, a_prior
from tests.draws import keys_of
from tests.known_songs import some_songs
from tests.random_params import random_params

pytestmark = pytest.mark.more

WILD = Settings(temperature=1.0, tau_sigma=1.0)
NETWORK = a_prior().network


@functools.cache
def network_params():
    return random_params(lambda key: NETWORK.init(key, *zeros(1), method="denoise"))


def zeros(windows, bars=6):
    places = Place(jnp.zeros(windows, jnp.int32), jnp.full(windows, bars, jnp.int32), jnp.zeros(windows))
    return jnp.zeros((windows, bars, 3)), jnp.zeros(windows), places


def denoised(x, ratio, place):
    return _denoised(network_params(), x, ratio, place)


@jax.jit
def _denoised(params, x, ratio, place):
    return NETWORK.apply(params, x, ratio, place, method="denoise")


def test_the_denoiser_sees_both_ways_what_is_there_and_nothing_behind_it():
    x = np.random.default_rng(0).normal(size=(1, 6, 3)).astype(np.float32)
    place = Place(np.array([3]), np.array([4]), np.ones(1, np.float32))
    plain = denoised(x, np.zeros(1), place)

    def moved(bar, **changed):
        other = x.copy()
        other[:, bar] += 1
        found = denoised(other, changed.get("ratio", np.zeros(1)), place._replace(**changed.get("place", {})))
        return np.abs(np.asarray(found - plain))[0].max(axis=-1) > 1e-4

    assert moved(0)[:4].all() and moved(3)[:4].all(), "both ways"
    assert not moved(4)[:4].any() and not moved(5)[:4].any(), "padding"
    for other in (
        denoised(x, np.ones(1), place),
        denoised(x, np.zeros(1), place._replace(first=np.array([4]))),
        denoised(x, np.zeros(1), place._replace(ends=np.zeros(1, np.float32))),
    ):
        assert np.abs(other - plain).max() > 1e-3
    eight = denoised(x, np.zeros(1), place._replace(first=np.array([11])))
    np.testing.assert_allclose(eight, plain, atol=1e-6, err_msg="a phrase has eight bars")


@pytest.mark.parametrize("weighting", ["even", COSINE])
def test_training_draws_levels_as_often_as_its_weighting_says(weighting):
    """For the cosine schedule log SNR = -2 log tan(pi u / 2) has the distribution function 2 / pi atan(exp(x / 2))."""
    prior = DiffusionPrior(NETWORK, 6, 1000, weighting)
    u = (np.arange(4000) + 0.5) / 4000
    found = np.sort(np.asarray(log_snr(prior._training_level(jnp.asarray(u)), 1000)))
    assert found.min() >= LEAST and found.max() <= MOST
    for ratio in (-4.0, -1.0, 0.0, 2.0, 6.0):
        below = np.mean(found < ratio)
        cut = [2 / np.pi * np.arctan(np.exp(x / 2)) for x in (LEAST, ratio, MOST)]
        expected = (cut[1] - cut[0]) / (cut[2] - cut[0]) if weighting == COSINE else (ratio - LEAST) / (MOST - LEAST)
        assert below == pytest.approx(expected, abs=0.003), ratio


def test_moments_move_the_bound_by_their_volume_alone():
    """-log p(z) = -log p(x) + sum log scale for z = mean + scale x, with the same levels and noise."""
    prior, x = a_prior(), np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    mean, scale = np.array([0.5, -1.0, 2.0], np.float32), np.array([0.5, 1.0, 3.0], np.float32)
    of = {}
    for name, moments in (("plain", Moments(np.zeros(3), np.ones(3))), ("moved", Moments(mean, scale))):
        params = network_params() | {"standard_mean": moments.mean, "standard_scale": moments.scale}
        z = moments.mean + moments.scale * x
        of[name] = jax.jit(functools.partial(prior.bound_nats, drawn=4))(params, z, zeros(2)[2], keys_of(2))
    np.testing.assert_allclose(of["moved"], of["plain"] + np.log(scale).sum(), rtol=1e-4)


def test_a_song_costs_reconstruction_and_the_bound_of_its_windows_less_the_entropy():
    model, songs = a_diffusion(), some_songs([5, 14])
    drawn = song_draws(model.codec, songs, 3)
    entropy = np.asarray(gaussian.entropy(drawn.posteriors.log_var), np.float64)
    expected = np.mean(
        [model.latent_nats(drawn[n].z, np.array([5, 14]), 3, n) - drawn[n].log_x for n in range(2)], axis=0
    )
    np.testing.assert_allclose(np.concatenate(model.nats(songs, 2, 3)), expected - entropy, rtol=1e-6)


def test_windows_of_a_long_song_know_nothing_of_each_other_and_bars_of_one_do():
    model, songs = a_diffusion(), some_songs([14])
    before = model.nats(songs)[0]
    for place, window in ((1, slice(0, 6)), (8, slice(6, 12)), (13, slice(12, 14))):
        changed = [songs[0].copy()]
        changed[0][place] = changed[0][place][::-1]
        moved = np.abs(model.nats(changed)[0] - before) > 1e-4
        assert moved[window].all() and moved.sum() == len(before[window])


def test_windows_of_drafts_see_half_a_window_before_them_and_reach_the_end():
    assert window_start(0, 5, 6) == window_start(4, 5, 6) == window_start(0, 20, 6) == 0
    assert window_start(6, 20, 6) == 3 and window_start(18, 20, 6) == 14
    covered, first = np.zeros(20, bool), 0
    while first < 20:
        start = window_start(first, 20, 6)
        covered[start : start + 6] = True
        assert Draft(np.zeros((20, 1)), covered, True).first > first
        first = Draft(np.zeros((20, 1)), covered, True).first


def test_songs_are_as_long_as_training_songs_longer_than_their_seed():
    lengths = np.repeat([4, 8, 9], [50, 25, 25])
    init = jax.jit(functools.partial(a_prior().init, moments=Moments(np.zeros(3), np.ones(3)), lengths=lengths))
    kept = np.asarray(init(jax.random.key(0))["song_lengths"])
    assert kept.shape == (LENGTHS,) and [np.mean(kept == n) for n in (4, 8, 9)] == [0.5, 0.25, 0.25]
    model = a_diffusion(kept)
    seeds, keys = some_songs([0] * 10 + [5] * 5 + [9]), keys_of(16)
    found = [len(song) for song in model.go_on(seeds, keys, None, WILD, max_bars=12)]
    assert set(found[:10]) == {4, 8, 9} and set(found[10:15]) == {3, 4} and found[15] == 12
    cut = [len(song) for song in model.go_on(seeds, keys, None, WILD, max_bars=8)]
    assert cut == [min(n, 8) for n in found]


@pytest.mark.parametrize("bars", [5, 15])
def test_filled_songs_keep_what_is_given_and_have_keys_of_their_own(bars):
    model, (song,) = a_diffusion(), some_songs([bars])
    gaps = [(1, 2), (3, 5)] + [(10, 12)] * (bars == 15)
    missing = np.concatenate([np.arange(*gap) for gap in gaps])
    filled = model.fill(song, gaps, keys_of(6), WILD)
    assert all(each.effective == [] and each.bars.shape == song.shape for each in filled)
    for each in filled:
        assert np.array_equal(np.delete(each.bars, missing, axis=0), np.delete(song, missing, axis=0))
    assert len({each.bars.tobytes() for each in filled}) == 6
    (alone,) = model.fill(song, gaps, keys_of(6)[2:3], WILD)
    assert np.array_equal(alone.bars, filled[2].bars)


def test_a_bar_that_is_drawn_depends_on_given_ones_before_and_after_it():
    prior, place, is_given = a_prior(), zeros(2)[2], np.tile([True, False, False, False, True, True], (2, 1))
    params = a_diffusion().params
    draw = jax.jit(lambda z: prior.sample(params, z, is_given, place, keys_of(2), prior.path, jnp.float32(1)))
    z = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    plain = np.asarray(draw(z))
    np.testing.assert_array_equal(plain[is_given], z[is_given])
    for bar, drawn in ((0, True), (2, False), (4, True)):
        other = z.copy()
        other[0, bar] += 1
        found = np.asarray(draw(other))
        assert (np.abs(found[0, 1:4] - plain[0, 1:4]).max(axis=-1) > 1e-3).all() == drawn
        np.testing.assert_array_equal(found[1], plain[1])
