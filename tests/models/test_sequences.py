"""Latent sequences on small MDRNNs and on priors whose every conditional is known: going on, ending, filling, paths."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mcvae_jax.models import mixture_prior, sequences
from mcvae_jax.models.mdrnn import MDRNN
from mcvae_jax.models.mixture_prior import MixturePrior
from mcvae_jax.models.prior import OneGaussian, Step, standard_normal
from mcvae_jax.models.sequences import LatentPrior, lerp, slerp
from mcvae_jax.models.settings import Settings
from mcvae_jax.nn.mixture import Mixture

LATENT = 3
SETTINGS = Settings(tau_sigma=1.0, tau_recall=1.0)  # the model as it is


@dataclasses.dataclass(frozen=True)
class Walk:
    """z_t = 0.8 z_{t-1} + N(0, 0.6^2) from z_0 = 0: a prior whose every conditional is known. It stops after `stop`."""

    stop: int = 0
    latent: int = LATENT

    def next_step(self, params, state, z):
        read = jnp.zeros(z.shape[0]) if state is None else state + 1
        mean = jnp.zeros_like(z) if state is None else 0.8 * z
        said = Mixture(jnp.zeros((len(z), 1)), mean[:, None], jnp.full((len(z), 1, LATENT), jnp.log(0.6)))
        log_stop = jnp.where((read == self.stop) & (read > 0), 0.0, -jnp.inf)
        return read, Step(said, log_stop, jnp.zeros((len(z), 0, LATENT)))


next_step = functools.partial(jax.jit, static_argnums=0)(lambda prior, *rest: prior.next_step(*rest))
log_density = functools.partial(jax.jit, static_argnums=0)(lambda prior, *rest: prior.log_density(*rest))


def keys_of(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def make_prior(recall):
    """A small MDRNN whose parameters are moved by noise, so that no two paths through it look alike."""
    network = MDRNN(latent=LATENT, units=8, layers=2, components=3, recall=recall, memory=6)
    leaves, tree = jax.tree.flatten(jax.jit(mixture_prior.init, static_argnums=0)(network, jax.random.key(0)))
    rng = np.random.default_rng(0)
    moved = [x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves]
    return LatentPrior(MixturePrior(network), tree.unflatten(moved))


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    """Few bars are several blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "BARS", 8)
        yield


@pytest.fixture(scope="module", params=[0, 2], ids=["mdrnn", "recall"])
def model(request):
    return make_prior(request.param)


@pytest.fixture(scope="module")
def seeds():
    rng = np.random.default_rng(3)
    return [rng.normal(size=(n % 14, LATENT)).astype(np.float32) for n in range(70)]


def test_songs_alone_and_among_others_are_the_same_to_the_bit(model, seeds):
    keys = keys_of(len(seeds))
    together = model.go_on(seeds, keys, 11, SETTINGS)
    assert [z.shape for z in together] == [(11, LATENT)] * len(seeds)
    for i in (0, 1, 31, 32, 50, 69):
        (alone,) = model.go_on([seeds[i]], keys[i : i + 1], 25, SETTINGS)
        assert np.array_equal(alone[:11], together[i])


def test_the_length_of_a_block_changes_no_bit(seeds, monkeypatch):
    for bars, most in ((11, 128), (None, 20)):
        in_short = make_prior(0).go_on(seeds[:40], keys_of(40), bars, SETTINGS, most)
        with monkeypatch.context() as patch:
            patch.setattr(sequences, "BARS", 32)
            jax.clear_caches()
            in_long = make_prior(0).go_on(seeds[:40], keys_of(40), bars, SETTINGS, most)
        jax.clear_caches()
        assert [z.tolist() for z in in_long] == [z.tolist() for z in in_short]
    assert len({len(z) for z in in_long}) > 3  # songs end where they end


def test_what_follows_is_what_the_prior_says_step_by_step(model, seeds):
    """Without draws (tau 0): the same as next_step called in a plain loop for one song."""
    for seed in (seeds[0], seeds[5], seeds[13]):
        (found,) = model.go_on([seed], keys_of(1), 9, Settings(tau_pi=0.0, tau_sigma=0.0, tau_recall=1.0))
        state, said = next_step(model.prior, model.params, None, jnp.zeros((1, LATENT)))
        for z in seed:
            state, said = next_step(model.prior, model.params, state, jnp.asarray(z[None]))
        for z in found:
            expected = said.mixture.mu[0, int(said.mixture.log_pi[0].argmax())]
            np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-4)
            state, said = next_step(model.prior, model.params, state, jnp.asarray(z[None]))


def test_reading_gives_the_density_that_the_prior_gives(model, seeds):
    songs = seeds[: sequences.SONGS.cpu]
    start = sequences._start(model.prior, model.params, len(songs))
    _, found = sequences._read(model.prior, model.params, start, songs)
    for song, density in zip(songs[12:15], found[12:15], strict=True):
        padded = jnp.pad(song, ((0, 13 - len(song)), (0, 0)))[None]  # what follows a bar does not change its figure
        expected = log_density(model.prior, model.params, padded)[0, : len(song)].sum()
        np.testing.assert_allclose(density, expected, rtol=1e-4)
    assert found[0] == 0.0 and len(songs[14]) == 0


def test_a_key_a_song(model, seeds):
    same = model.go_on([seeds[4]] * 2, keys_of(1)[jnp.zeros(2, int)], 3, SETTINGS)
    other = model.go_on([seeds[4]] * 2, keys_of(2), 3, SETTINGS)
    assert np.array_equal(same[0], same[1])
    assert not np.array_equal(other[0], other[1])


def test_temperatures_and_lengths_compile_nothing():
    model = make_prior(0)
    model.go_on([np.zeros((1, LATENT), np.float32)], keys_of(1), 2, SETTINGS)
    compiled = sequences._draw_block._cache_size(), sequences._read_block._cache_size()
    rng = np.random.default_rng(0)
    for bars, settings in ((2, Settings(tau_pi=0.5)), (20, Settings(tau_sigma=0.0)), (None, Settings(seed=3))):
        seed = rng.normal(size=(bars or 9, LATENT)).astype(np.float32)
        model.go_on([seed] * 3, keys_of(3), bars, settings)
    assert (sequences._draw_block._cache_size(), sequences._read_block._cache_size()) == compiled


def test_draws_have_the_moments_of_the_walk():
    """Given z_0, z_3 of the walk is normal with mean 0.8^3 z_0 and variance 0.36 (1 + 0.64 + 0.64^2)."""
    seed = np.array([[2.0, -1.0, 0.0]], np.float32)
    songs = np.stack(LatentPrior(Walk(), {}).go_on([seed] * 2000, keys_of(2000), 3, SETTINGS))
    expected = stats.norm(0.8**3 * seed[0], (0.36 * (1 + 0.64 + 0.64**2)) ** 0.5)
    for d in range(LATENT):
        assert stats.kstest(expected.cdf(songs[:, 2])[:, d], "uniform").pvalue > 1e-3
    spread = np.stack(LatentPrior(Walk(), {}).go_on([seed] * 2000, keys_of(2000), 1, Settings(tau_sigma=0.25)))
    assert np.abs(spread.std(axis=0) - 0.3).max() < 0.02  # variances times 0.25


@dataclasses.dataclass(frozen=True)
class Echo:
    """An even choice between N(0, 1) and a head that recalls the bar before last, by 0.5 of it and a spread of 0.3."""

    latent: int = LATENT

    def next_step(self, params, state, z):
        past = (jnp.zeros_like(z), jnp.zeros_like(z)) if state is None else (state[1], z)
        mu = jnp.stack([jnp.zeros_like(z), 0.5 * past[0]], axis=1)
        scales = jnp.broadcast_to(jnp.log(jnp.array([1.0, 0.3]))[:, None], mu.shape)
        said = Mixture(jnp.full((len(z), 2), jnp.log(0.5)), mu, scales)
        return past, Step(said, jnp.full(len(z), -jnp.inf), past[0][:, None])


def test_what_is_recalled_comes_back_exactly_or_as_the_model_says():
    seed = np.array([[2.0, -1.0, 0.5], [9.0, 9.0, 9.0]], np.float32)

    def drawn(**taus):
        return np.stack(LatentPrior(Echo(), {}).go_on([seed] * 2000, keys_of(2000), 1, Settings(**taus)))[:, 0]

    exact = drawn(tau_recall=0.0, tau_sigma=1.0)
    recalled = (exact == seed[0]).all(axis=1)
    assert abs(recalled.mean() - 0.5) < 5 * (0.25 / 2000) ** 0.5
    own = drawn(tau_recall=1.0, tau_sigma=1.0)
    assert np.array_equal(own[~recalled], exact[~recalled])  # the other component does not notice
    assert np.abs(own[recalled].mean(axis=0) - 0.5 * seed[0]).max() < 5 * 0.3 / 900**0.5
    assert np.abs(own[recalled].std(axis=0) - 0.3).max() < 0.04
    half = drawn(tau_recall=0.25, tau_sigma=1.0)
    np.testing.assert_allclose(half[recalled], seed[0] + 0.5 * (own[recalled] - seed[0]), atol=1e-6)


def test_the_stop_head_ends_songs():
    """The seed's bars count for the prior; the first composed bar is never refused; `bars` silences the stop head."""
    seeds = [np.zeros((n, LATENT), np.float32) for n in (0, 2, 11, 12, 30)]
    songs = LatentPrior(Walk(stop=12), {}).go_on(seeds, keys_of(5), None, SETTINGS, max_bars=40)
    assert [len(z) for z in songs] == [12, 10, 1, 40, 40]
    assert [len(z) for z in LatentPrior(Walk(stop=12), {}).go_on(seeds, keys_of(5), 14, SETTINGS)] == [14] * 5


def test_a_stop_head_of_chances_ends_songs_as_often_as_it_says():
    network = MDRNN(latent=LATENT, units=8, components=2)
    params = jax.jit(mixture_prior.init, static_argnums=0)(network, jax.random.key(0))
    params = jax.tree.map(jnp.zeros_like, params)
    params["params"]["standard_scale"] = jnp.ones(LATENT)  # with zeros for the rest, each bar is the last by halves
    empty = np.zeros((0, LATENT), np.float32)
    songs = LatentPrior(MixturePrior(network), params).go_on([empty] * 640, keys_of(640), None, SETTINGS)
    lengths = np.array([len(z) for z in songs])
    assert abs(lengths.mean() - 2) < 0.25
    assert abs((lengths == 1).mean() - 0.5) < 0.08


def test_one_gaussian_composes_too():
    songs = LatentPrior(OneGaussian(LATENT), standard_normal(LATENT)).go_on(
        [np.ones((2, LATENT), np.float32)] * 500,
        keys_of(500),
        4,
        SETTINGS,
    )
    assert stats.kstest(np.concatenate(songs).ravel(), "norm").pvalue > 1e-3


def test_infill_is_the_prior_given_both_sides():
    """The walk's z_1 given z_0 and z_2 is normal: mean 0.8 (z_0 + z_2) / (1 + 0.64), variance 0.36 / (1 + 0.64).

    Few bars and three dimensions, so that 256 particles are enough.
    """
    before = np.array([[0.5, -0.4, 0.0]], np.float32)
    after = np.array([[1.2, 0.3, -0.5]], np.float32)
    fills = [LatentPrior(Walk(), {}).fill(before, after, 1, key, SETTINGS) for key in keys_of(100)]
    drawn = np.stack([fill.z[0] for fill in fills])
    mean, variance = 0.8 * (before[0] + after[0]) / 1.64, 0.36 / 1.64
    standard_error = (variance / len(drawn)) ** 0.5
    assert np.abs(drawn.mean(axis=0) - mean).max() < 4 * standard_error
    assert np.abs(drawn.var(axis=0) / variance - 1).max() < 0.6
    unweighed = np.abs(0.8 * before[0] - mean).max()
    assert unweighed > 8 * standard_error, "the prior alone would pass"
    effective = np.array([fill.effective for fill in fills])
    assert np.all((effective > 10) & (effective < 0.9 * sequences.PARTICLES))


@pytest.mark.parametrize("bars", [1, 8, 11])
def test_infill_weighs_by_the_bars_right_after_the_gap(bars):
    """Its first bar follows the last one of the gap: bars that the walk can hardly reach pull the gap towards them."""
    before, after = np.zeros((2, LATENT), np.float32), np.full((3, LATENT), 2.0, np.float32)
    ends = [LatentPrior(Walk(), {}).fill(before, after, bars, key, SETTINGS).z for key in keys_of(10)]
    assert all(z.shape == (bars, LATENT) for z in ends)
    free = [LatentPrior(Walk(), {}).fill(before, after[:0], bars, key, SETTINGS) for key in keys_of(10)]
    assert np.mean([z[-1] for z in ends]) > np.mean([fill.z[-1] for fill in free]) + 0.5
    assert all(fill.effective == pytest.approx(sequences.PARTICLES) for fill in free)


def test_infill_asks_no_more_than_the_following_bars():
    before = np.zeros((1, LATENT), np.float32)
    after = np.random.default_rng(0).normal(size=(20, LATENT)).astype(np.float32)
    all_of_them, nearest = (
        LatentPrior(Walk(), {}).fill(before, x, 2, keys_of(1)[0], SETTINGS) for x in (after, after[:8])
    )
    assert np.array_equal(all_of_them.z, nearest.z)


def test_paths_between_vectors():
    a, b = np.array([[3.0, 0, 0], [1, 2, 3]]), np.array([[0, 3.0, 0], [-1, 0.5, 2]])
    np.testing.assert_allclose(lerp(a, b, 0.25), 0.75 * a + 0.25 * b)
    for path in (lerp, slerp):
        np.testing.assert_allclose(path(a, b, 0.0), a, atol=1e-12)
        np.testing.assert_allclose(path(a, b, 1.0), b, atol=1e-12)
    np.testing.assert_allclose(slerp(a, b, 1 / 3)[0], [3 * np.cos(np.pi / 6), 3 * np.sin(np.pi / 6), 0], atol=1e-12)


@pytest.mark.parametrize("b", [[1.0, 0, 0], [2.0, 0, 0], [-1.0, 0, 0], [0.0, 0, 0], [1.0, 1e-9, 0]])
def test_slerp_without_an_angle_is_the_straight_line(b):
    a, b = np.array([1.0, 0, 0]), np.array(b)
    np.testing.assert_allclose(slerp(a, b, 0.3), 0.7 * a + 0.3 * b, atol=1e-6)
