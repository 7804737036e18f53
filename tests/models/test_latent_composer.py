"""Composers over latents: what their costs sum to, untrained twins and baselines, and how the VAE goes on alone."""

import functools

import jax
import numpy as np
import pytest

from mcvae_jax.kinds import open_model
from mcvae_jax.models.bounds import SongDraws, whole_song_bounds
from mcvae_jax.models.latent_composer import BarByBar, FreeRun, LatentComposer
from mcvae_jax.models.particles import particle_bounds
from mcvae_jax.models.prior import OneGaussian, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import main_origin
from mcvae_jax.nn.keys import Purpose, for_purpose, song_keys
from tests.known_songs import some_songs
from tests.small_models import save_mdrnn, save_vae

LENGTHS = (5, 1, 9)
SONGS = some_songs(LENGTHS)


@pytest.fixture(scope="module")
def composer(tmp_path_factory) -> LatentComposer:
    folder = tmp_path_factory.mktemp("runs")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae"))
    return open_model(folder / "mdrnn")


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def of_songs(nats):
    return np.array([each.sum() for each in nats])


@pytest.mark.parametrize("draws, seed", [(1, 0), (3, 5)])
def test_the_costs_of_the_bars_sum_to_the_whole_song_bound(composer, draws, seed):
    found = whole_song_bounds(composer.codec, {"prior": composer.prior}, SONGS, draws, seed)
    expected = found["reconstruction_nats"] + found["rate_nats"]["prior"]
    np.testing.assert_allclose(of_songs(composer.nats(SONGS, draws, seed)), expected, rtol=1e-5)
    parts = composer.bound_parts(SONGS, draws, seed)
    bars = sum(LENGTHS)
    assert parts["reconstruction_nats"] == pytest.approx(found["reconstruction_nats"].sum() / bars)
    assert parts["rate_nats"] == pytest.approx(found["rate_nats"]["prior"].sum() / bars)
    assert parts["kl_nats"] == pytest.approx(found["kl_nats"].sum() / bars)


def test_without_memory_the_rate_is_the_kl_in_closed_form(composer):
    alone = BarByBar(composer.codec)
    mu, log_var = (np.asarray(a, np.float64) for a in composer.codec.encode(np.concatenate(SONGS)))
    kl = 0.5 * (mu**2 + np.exp(log_var) - log_var - 1).sum(axis=1)
    reconstruction = whole_song_bounds(composer.codec, {}, SONGS, 2, 7)["reconstruction_nats"]
    expected = reconstruction + [part.sum() for part in np.split(kl, np.cumsum(LENGTHS)[:-1])]
    np.testing.assert_allclose(of_songs(alone.nats(SONGS, 2, 7)), expected, rtol=1e-5)
    parts = alone.bound_parts(SONGS, 2, 7)
    assert parts["rate_nats"] == parts["kl_nats"] == pytest.approx(kl.sum() / sum(LENGTHS), rel=1e-5)
    assert parts["reconstruction_nats"] + parts["rate_nats"] == pytest.approx(expected.sum() / sum(LENGTHS), rel=1e-5)


@pytest.mark.more
def test_log_weights_and_tighter_bounds_are_of_the_same_draws(composer):
    """-log w of one draw is the cost with -log q of the draw in place of its entropy, of one particle the same sum."""
    weights = composer.log_weights(SONGS, 2, 3)
    assert weights.shape == (2, sum(LENGTHS))
    one = particle_bounds(SongDraws(composer.codec, SONGS, 3), {"prior": composer.prior}, 1, 3)["prior"]
    np.testing.assert_allclose(-np.add.reduceat(weights[0], [0, 5, 6]), one, rtol=1e-4)
    np.testing.assert_allclose(composer.tighter_nats(SONGS, 1, 3), one)
    drawn = SongDraws(composer.codec, SONGS, 3)
    (mu, log_var, _), costs = drawn.posteriors, np.concatenate(composer.nats(SONGS, 2, 3))
    standard = np.stack([(drawn[n].z - mu) / np.exp(log_var / 2) for n in (0, 1)])
    surplus = 0.5 * (standard**2 - 1).sum(axis=2).mean(axis=0)  # -log q(z) less H[q], by the formula of the normal
    np.testing.assert_allclose(-weights.mean(axis=0) + surplus, costs, rtol=1e-4)


def test_songs_are_encoded_bar_by_bar_and_rendered_as_long_as_they_are(composer):
    for (mu, log_var), song in zip(composer.encode(SONGS), SONGS, strict=True):
        expected = composer.codec.encode(song)
        np.testing.assert_allclose(mu, expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_var, expected[1], rtol=1e-5, atol=1e-6)
    rendered = composer.render([mu for mu, _ in composer.encode(SONGS)], song_keys(0, range(3)), Settings())
    assert [bars.shape for bars in rendered] == [(n, 16) for n in LENGTHS]


def test_untrained_twins_are_fresh_where_they_say_so(composer):
    alone, fresh = composer.untrained(3).values()
    assert list(composer.untrained(3)) == ["untrained MDRNN", "untrained composer"]
    assert alone.codec is composer.codec
    assert same(alone.prior.params, fresh.prior.params)
    assert not same(fresh.codec.params, composer.codec.params)
    known, found = (model.prior.params["params"] for model in (composer, alone))
    for name in known:
        standardises = name in ("standard_mean", "standard_scale")
        assert same(known[name], found[name]) == standardises, name
    again, other = (composer.untrained(seed)["untrained composer"] for seed in (3, 4))
    assert same(again.codec.params, fresh.codec.params) and not same(other.codec.params, fresh.codec.params)
    (of_vae,) = BarByBar(composer.codec).untrained(3).values()
    assert isinstance(of_vae, BarByBar) and same(of_vae.codec.params, fresh.codec.params)
    assert not alone.prior.origin and not fresh.codec.origin, "no checkpoint holds them"


def test_the_baseline_is_the_gaussian_of_the_training_bars(composer):
    """No other mean and variance cost less on the very bars to which it was fitted."""
    (one,) = composer.baselines(SONGS).values()
    assert one.codec is composer.codec and one.name == "one Gaussian"
    mu, log_var = composer.codec.encode(np.concatenate(SONGS))
    variance = np.exp(log_var).mean(axis=0) + mu.var(axis=0)
    np.testing.assert_allclose(one.prior.params["mu"], mu.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(np.exp(one.prior.params["log_var"]), variance, rtol=1e-4)
    assert BarByBar(composer.codec).baselines(SONGS) == {}


def test_kin_are_the_vae_s_and_origins_those_of_its_parts(composer):
    free, alone = composer.kin()
    assert isinstance(free, FreeRun) and isinstance(alone, BarByBar)
    assert free.origins == alone.origins == {"VAE": composer.origins["VAE"]}
    assert main_origin(composer) == composer.codec.origin and list(composer.origins) == ["VAE", "MDRNN"]
    assert [type(kin) for kin in alone.kin()] == [FreeRun] and free.kin() == []
    without = BarByBar(composer.codec.untrained(0))
    assert without.origins == {} and "DIR holds a VAE alone" in without.lacks["memory of bars"]
    with pytest.raises(ValueError, match="was read from no workdir"):
        main_origin(without)


@functools.cache
def free_songs(codec, seeds, bars):
    return FreeRun(codec).go_on(SONGS[:seeds], song_keys(2, range(1, seeds + 1)), bars, Settings(temperature=1.0))


def test_the_free_run_after_a_seed_is_that_of_the_published_listening_test(composer):
    """The decoder runs one bar more, from the mean of q of the seed's last bar; what it renders first is left out."""
    codec = composer.codec
    z, _ = codec.encode(np.stack([song[-1] for song in SONGS]))
    tokens = for_purpose(song_keys(2, range(1, 4)), Purpose.TOKENS)
    expected = codec.free_run(z, tokens, 5, Settings(temperature=1.0))[:, 1:]
    assert np.array_equal(free_songs(codec, 3, 4), expected)


def test_with_empty_seeds_among_others_the_free_run_starts_from_n_0_i_without_leaving_a_bar_out(composer):
    codec, nothing = composer.codec, SONGS[0][:0]
    mixed = FreeRun(codec).go_on([SONGS[0], nothing], song_keys(2, (1, 2)), 4, Settings(temperature=1.0))
    assert np.array_equal(mixed[0], free_songs(codec, 3, 4)[0])
    (alone,) = FreeRun(codec).go_on([nothing], song_keys(2, [2]), 4, Settings(temperature=1.0))
    assert np.array_equal(mixed[1], alone) and len(alone) == 4


def test_bar_by_bar_no_latent_depends_on_another_and_all_are_n_0_i(composer):
    """As many songs of one bar as 4 bars of a song: the same bars, since a bar has a key of its own."""
    alone = BarByBar(composer.codec)
    nothing = [SONGS[0][:0]] * 3
    long, short = (alone.go_on(nothing, song_keys(0, range(3)), bars, Settings(temperature=1.0)) for bars in (4, 2))
    assert all(np.array_equal(a[:2], b) for a, b in zip(long, short, strict=True))
    assert alone.prior.prior == OneGaussian(3) and same(alone.prior.params, standard_normal(3))
    assert isinstance(alone.prior, LatentPrior) and alone.prior_name == "N(0, I)"
