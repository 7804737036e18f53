"""The thesis' Algorithms 1 to 4 on a tiny VAE, with priors of which every step is known."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.kinds import open_model
from mcvae_jax.models.prior import Step
from mcvae_jax.models.sequences import LatentPrior, slerp
from mcvae_jax.models.settings import Settings
from mcvae_jax.nn.mixture import Mixture
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.interpolation import (
    between,
    mcvae_conditional,
    mcvae_unconditional,
    pair_keys,
    vae_conditional,
    vae_unconditional,
)
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import Setting
from tests.small_models import VAE_MODEL, save_mdrnn, save_vae

PAIRS, BARS, LATENT = 35, 5, VAE_MODEL["latent"]  # more pairs than are composed at a time
SURE = Settings(tau_sigma=0.0)
WILD = Settings(temperature=1.0, tau_sigma=1.0, tau_recall=1.0)


@dataclasses.dataclass(frozen=True)
class SumOfWhatWasRead:
    """z_t = 1 + the sum over s < t of z_s / 2, without noise: it tells which bars were read."""

    latent: int = LATENT

    def next_step(self, params, state, z):
        total = jnp.zeros_like(z) if state is None else state + z
        said = Mixture(jnp.zeros((len(z), 1)), 1 + total[:, None] / 2, jnp.full((len(z), 1, LATENT), -20.0))
        return total, Step(said, jnp.full(len(z), -jnp.inf), jnp.zeros((len(z), 0, LATENT)))


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    save_mdrnn(folder / "mdrnn", folder / "vae", save_vae(folder / "vae"))
    return open_model(folder / "mdrnn")


@pytest.fixture(scope="module")
def known(composer):
    """The composer with the prior of which every step is known."""
    return dataclasses.replace(composer, prior=LatentPrior(SumOfWhatWasRead(), {}))


@pytest.fixture(scope="module")
def ends():
    return 0.7 * np.random.default_rng(0).normal(size=(2, PAIRS, BARS, LATENT)).astype(np.float32)


@pytest.fixture(scope="module")
def z(ends):
    return between(*ends, 0.3)


KEYS = pair_keys(0, range(PAIRS), 0.3)


def rendered(composer, z):
    """Latents (P, n, Z) -> the likeliest tokens; keys are not used."""
    bars = composer.codec.decode(z.reshape(-1, LATENT), KEYS.tokens[np.zeros(z[..., 0].size, int)], SURE)
    return bars.reshape(len(z), -1, 16)


def test_between_is_equation_6_2(ends):
    a, b = ends
    np.testing.assert_allclose(between(a, b, 0.3), 0.3 * a.astype(float) + 0.7 * b, rtol=1e-5, atol=1e-6)
    for path in ((), (slerp,)):
        np.testing.assert_allclose(between(a, b, 1.0, *path), a, atol=1e-6)
        np.testing.assert_allclose(between(a, b, 0.0, *path), b, atol=1e-6)
    assert between(a, b, 0.3).dtype == np.float32


def test_algorithm_1_at_alpha_1_is_the_reconstruction_of_a(composer):
    bars = np.random.default_rng(1).integers(50, 130, (2, BARS, 16)).astype(np.uint8)
    a, b = (composer.codec.encode(song)[0][None] for song in bars)
    seed = Seed(bars[0], Setting(90.0, (4, 4), ""), "a", BARS, ())
    expected = modes.reconstruct(composer, seed)[1].bars
    keys = pair_keys(0, [0], 1.0)
    assert np.array_equal(vae_conditional(composer.codec, between(a, b, 1.0), keys, Settings())[0], expected)
    assert not np.array_equal(vae_conditional(composer.codec, between(a, b, 0.5), keys, Settings())[0], expected)


def test_algorithm_1_renders_every_bar_for_itself(composer, z):
    whole = vae_conditional(composer.codec, z, KEYS, SURE)
    assert np.array_equal(whole, rendered(composer, z)) and whole.shape == (PAIRS, BARS, 16)
    assert np.array_equal(vae_conditional(composer.codec, z[:, ::-1], KEYS, SURE), whole[:, ::-1])
    assert len({bar.tobytes() for bar in whole.reshape(-1, 16)}) > PAIRS


def test_algorithm_2_begins_the_same_however_long_and_needs_the_first_bar_alone(composer, z):
    short, long = (vae_unconditional(composer.codec, z, KEYS, WILD, bars) for bars in (5, 25))
    assert np.array_equal(short.reshape(PAIRS, -1), long.reshape(PAIRS, -1)[:, :80]) and long.shape == (PAIRS, 25, 16)
    other = np.concatenate([z[:, :1], -z[:, 1:]], axis=1)
    assert np.array_equal(vae_unconditional(composer.codec, other, KEYS, WILD), short)
    sure = vae_unconditional(composer.codec, z, KEYS, SURE)
    assert np.array_equal(sure[:, :1], rendered(composer, z[:, :1]))  # START stands before the first step alone
    assert not np.array_equal(sure[:, 1:2], sure[:, :1])


def test_algorithm_3_reads_the_true_latents_and_never_its_own(known, z):
    expected = np.concatenate([z[:, :1], 1 + np.cumsum(z, axis=1)[:, :-1] / 2], axis=1)
    found = mcvae_conditional(known, z, KEYS, SURE)
    assert np.array_equal(found, rendered(known, expected))
    as_printed = mcvae_conditional(known, z, KEYS, SURE, with_first=False)
    assert as_printed.reshape(PAIRS, -1).shape == (PAIRS, 64) and np.array_equal(as_printed, found[:, 1:])


def test_algorithm_4_goes_on_from_its_own(known, z):
    expected = [z[:, 0]]
    while len(expected) < 7:
        expected.append(1 + np.sum(expected, axis=0) / 2)
    found = mcvae_unconditional(known, z, KEYS, SURE, bars=7)
    assert np.array_equal(found, rendered(known, np.stack(expected, axis=1)))
    assert not np.array_equal(found[:, :5], mcvae_conditional(known, z, KEYS, SURE))
    as_printed = mcvae_unconditional(known, z, KEYS, SURE, with_first=False)
    assert as_printed.shape == (PAIRS, 4, 16) and np.array_equal(as_printed, found[:, 1:5])


def test_a_pair_is_the_same_whatever_else_is_in_the_call(composer, ends):
    def all_of(pairs):
        z, keys = between(*ends[:, pairs], 0.7), pair_keys(5, pairs, 0.7)
        yield vae_conditional(composer.codec, z, keys, WILD)
        yield vae_unconditional(composer.codec, z, keys, WILD)
        yield mcvae_conditional(composer, z, keys, WILD)
        yield mcvae_unconditional(composer, z, keys, WILD)

    for many, few in zip(all_of(list(range(PAIRS))), all_of([3, 34]), strict=True):
        assert np.array_equal(many[[3, 34]], few)


def test_seeds_pairs_and_alphas_have_keys_of_their_own(composer, z):
    def drawn(seed, pairs, alpha):
        return mcvae_unconditional(composer, z[: len(pairs)], pair_keys(seed, pairs, alpha), WILD)

    same_start = np.repeat(z[:1], 3, axis=0)
    assert len({m.tobytes() for m in mcvae_unconditional(composer, same_start, pair_keys(0, range(3), 0.1), WILD)}) == 3
    found = [drawn(0, [0], 0.1), drawn(1, [0], 0.1), drawn(0, [1], 0.1), drawn(0, [0], 0.3)]
    assert len({melody.tobytes() for melody in found}) == 4
    assert np.array_equal(drawn(0, [0], 0.1), found[0])
