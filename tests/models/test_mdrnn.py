"""The MDRNN: one step at a time as along a sequence, causal, a density, and able to learn what can be known."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

from mcvae_jax.errors import UserError
from mcvae_jax.models.mdrnn import MDRNN, make_mdrnn
from mcvae_jax.models.mixture_prior import Dropout, MixturePrior, draw_noise, init
from mcvae_jax.models.prior import OneGaussian, fit_one_gaussian
from mcvae_jax.nn import mixture
from tests.random_params import random_params

MEAN, SCALE = np.array([1.0, -2.0, 0.5], np.float32), np.array([0.5, 3.0, 1.5], np.float32)
RECALLS = pytest.mark.parametrize("recall", [pytest.param(0, marks=pytest.mark.slow), 2])


@functools.cache
def make(recall=0, **sizes):
    """A small network with parameters that are far from the first ones; standardised by MEAN and SCALE."""
    net = MDRNN(**{"latent": 3, "units": 6, "components": 3, "recall": recall, "memory": 4} | sizes)
    params = random_params(functools.partial(init, net))
    of_net = params["params"] | {"standard_mean": MEAN[: net.latent], "standard_scale": SCALE[: net.latent]}
    return net, {"params": of_net}


def sequences(songs, bars, latent=3, seed=0):
    return (MEAN + SCALE * np.random.default_rng(seed).normal(size=(songs, bars, 3)).astype(np.float32))[..., :latent]


@functools.partial(jax.jit, static_argnums=0)
def log_density(net, params, z):
    return MixturePrior(net).log_density(params, z)


@functools.partial(jax.jit, static_argnums=0)
def unrolled(net, params, z, noise=None):
    return net.apply(params, z, noise, method="unroll")


def unroll(net, params, z, noise=None):
    """What the network says along z, as numpy arrays."""
    return jax.device_get(unrolled(net, params, z, noise))


@RECALLS
def test_one_bar_at_a_time_it_says_what_it_says_along_the_sequence(recall):
    net, params = make(recall)
    z = sequences(2, 9)  # more than twice the memory of 4 bars
    along = unroll(net, params, z)
    step_by_step = jax.jit(MixturePrior(net).next_step)
    state = None
    for t in range(9):
        state, step = step_by_step(params, state, z[:, t - 1])
        for a, b in zip(step.mixture, along.mixture, strict=True):
            np.testing.assert_allclose(a, b[:, t], rtol=1e-4, atol=1e-5)
        expected = -np.logaddexp(0, -along.stop_logit[:, t - 1]) if t else np.full(2, -np.inf)
        np.testing.assert_allclose(step.log_stop, expected, rtol=1e-4)
    of_mixtures = jax.jit(mixture.log_density)(along.mixture, z)
    np.testing.assert_allclose(log_density(net, params, z), of_mixtures, rtol=1e-5)


@RECALLS
def test_no_bar_sees_itself_or_the_future(recall):
    net, params = make(recall)
    z = sequences(1, 7)

    def told(z):
        """The mixtures' own numbers, (T, ...), and not the density of z under them."""
        m = MixturePrior(net).network.apply(params, z[None], method="unroll").mixture
        return jnp.concatenate([m.mu, m.log_sigma], axis=-1)[0].sum(axis=(-2, -1)), log_density(net, params, z[None])[0]

    of_mixture, of_density = (np.abs(j).max(axis=-1) for j in jax.jit(jax.jacrev(told))(z[0]))  # (T, T)
    assert not np.any(np.triu(of_mixture)) and not np.any(np.triu(of_density, 1))
    assert np.all(of_mixture[np.tril_indices(7, -1)] > 0) and np.all(of_density[np.tril_indices(7)] > 0)


def test_padding_and_other_songs_change_nothing():
    net, params = make(2)
    z = sequences(2, 8)
    other = z.copy()
    other[0, 5:], other[1] = 1e4, -7.0
    np.testing.assert_array_equal(log_density(net, params, z)[0, :5], log_density(net, params, other)[0, :5])


@RECALLS
def test_the_first_bar_has_a_density_from_the_start_vector(recall):
    net, params = make(recall)
    m = unroll(net, params, sequences(2, 3)).mixture
    np.testing.assert_array_equal(m.mu[0, 0, :3], m.mu[1, 0, :3])  # nothing of the song is known yet
    assert np.all(np.isneginf(m.log_pi[:, 0, 3:]))  # nor is there anything to recall
    assert np.all(np.isfinite(m.log_pi[:, 1:]))
    np.testing.assert_allclose(np.exp(m.log_pi).sum(axis=-1), 1.0, rtol=1e-5)
    gradient = jax.device_get(jax.jit(jax.grad(lambda p: log_density(net, p, sequences(2, 1)).sum()))(params)["params"])
    assert np.any(gradient["start"]) and all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))


def test_the_densities_of_the_first_and_of_later_bars_integrate_to_one():
    net, params = make(2, latent=1)
    grid = np.linspace(-40, 40, 8001, dtype=np.float32)
    for bar in (0, 1, 3):
        z = np.broadcast_to(sequences(1, 4, 1), (len(grid), 4, 1)).copy()
        z[:, bar, 0] = grid
        mass = np.exp(np.asarray(log_density(net, params, z), np.float64)[:, bar])
        assert np.trapezoid(mass, grid) == pytest.approx(1.0, abs=1e-3)


def test_standardised_the_density_is_that_of_the_standardised_vector_minus_the_sum_of_log_scales():
    net, params = make(2)
    z = sequences(2, 6)
    plain = {"params": params["params"] | {"standard_mean": np.zeros(3), "standard_scale": np.ones(3)}}
    expected = log_density(net, plain, (z - MEAN) / SCALE) - np.log(SCALE).sum()
    np.testing.assert_allclose(log_density(net, params, z), expected, rtol=1e-4)


def test_the_standardisation_is_not_learnt_and_all_else_is():
    net, params = make(2)
    gradient = jax.jit(jax.grad(lambda p: log_density(net, p, sequences(2, 6)).sum()))(params)["params"]
    fixed = {name: gradient.pop(name) for name in ("standard_mean", "standard_scale")}
    assert not any(np.any(g) for g in fixed.values())
    assert all(np.any(g) for g in jax.tree.leaves(gradient))


def test_scales_never_fall_below_the_floor():
    net, params = make(2, floor=0.25)
    pushed = jax.tree.map(lambda x: 50 * np.asarray(x), params)
    pushed["params"] |= {"standard_mean": MEAN, "standard_scale": SCALE}
    sigma = np.exp(unroll(net, pushed, sequences(2, 6)).mixture.log_sigma) / SCALE
    assert 0.25 * (1 - 1e-5) <= sigma.min() < 0.2501  # some stand on it


def test_recall_looks_back_no_further_than_its_memory():
    net, params = make(2, units=1, layers=1, memory=2)
    z = sequences(1, 6)
    silent = jax.tree.map(np.zeros_like, params["params"]["lstm_0"])  # the LSTM says nothing of the past
    params = {"params": params["params"] | {"lstm_0": silent}}

    def recalled(z):
        return unrolled(net, params, z).mixture.mu[0, 5, 3:].sum()

    reach = np.any(jax.device_get(jax.jit(jax.grad(recalled))(z))[0], axis=-1)
    assert reach.tolist() == [False, False, False, True, True, False]


def noise_of(net, keys, bars, shares):
    return jax.device_get(jax.jit(draw_noise, static_argnums=(0, 2, 3))(net, keys, bars, shares))


def test_dropout_of_a_song_does_not_depend_on_its_place_in_the_batch():
    net, params = make(2)
    keys, shares = jax.random.split(jax.random.key(4), 3), Dropout(0.5, 0.3, 0.3)
    noise, swapped = (noise_of(net, ordered, 5, shares) for ordered in (keys, keys[::-1]))
    for mask, other in zip(noise, swapped, strict=True):
        np.testing.assert_array_equal(mask, other[::-1])
        assert not np.array_equal(mask[0], mask[1])
    z = sequences(3, 5)
    mu = unroll(net, params, z, noise).mixture.mu
    np.testing.assert_allclose(mu, unroll(net, params, z[::-1], swapped).mixture.mu[::-1], rtol=1e-4, atol=1e-5)
    assert np.any(np.abs(mu - unroll(net, params, z).mixture.mu) > 0.1)
    assert jax.tree.leaves(draw_noise(net, keys, 5, Dropout())) == []


def test_dropout_of_a_song_does_not_depend_on_the_padding_after_it():
    net, keys, shares = MDRNN(latent=2, units=3), jax.random.split(jax.random.key(4), 2), Dropout(0.5, 0.3, 0.3)
    short, long = (noise_of(net, keys, bars, shares) for bars in (5, 8))
    np.testing.assert_array_equal(short.inputs, long.inputs[:, :6])
    np.testing.assert_array_equal(short.hidden, long.hidden[:, :, :6])
    np.testing.assert_array_equal(short.gates, long.gates)
    assert short.hidden.shape == (2, 2, 6, 3) and 0 < np.mean(short.hidden[:, 0] == short.hidden[:, 1]) < 1


def test_dropout_masks_have_a_mean_of_one():
    keys = jax.random.split(jax.random.key(0), 40)
    noise = noise_of(MDRNN(latent=2, units=50), keys, 49, Dropout(0.2, 0.6, 0.5))
    for mask, share in zip(noise, (0.2, 0.6, 0.5), strict=True):
        error = np.sqrt(share / (1 - share) / mask.size)
        assert float(mask.mean()) == pytest.approx(1.0, abs=5 * error)
        assert set(np.unique(mask)) == {0.0, np.float32(1 / (1 - share))}


@pytest.mark.parametrize("name", ["inputs", "hidden", "gates"])
@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_dropout_is_refused(name, share):
    with pytest.raises(UserError, match=f"config.dropout.{name}"):
        Dropout(**{name: share})


def test_bfloat16_products_come_close_to_float32():
    net, params = make(2)
    z = sequences(4, 8)
    exact = np.asarray(log_density(net, params, z))
    error = np.abs(exact - log_density(net.clone(dtype=jnp.bfloat16), params, z))
    assert 0 < error.mean() < 0.03 * np.abs(exact).mean()


def test_per_dimension_it_is_a_density_and_says_along_the_sequence_what_it_says_bar_by_bar():
    net, params = make(0, per_dimension=True)
    z = sequences(2, 5)
    along, step_by_step, state = unroll(net, params, z), jax.jit(MixturePrior(net).next_step), None
    assert along.mixture.log_pi.shape == (2, 5, 3, 3)
    np.testing.assert_allclose(np.exp(along.mixture.log_pi).sum(axis=2), 1.0, rtol=1e-5)
    for t in range(5):
        state, step = step_by_step(params, state, z[:, t - 1])
        for a, b in zip(step.mixture, along.mixture, strict=True):
            np.testing.assert_allclose(a, b[:, t], rtol=1e-4, atol=1e-5)
    sigma, mu = np.exp(np.float64(along.mixture.log_sigma)), np.float64(along.mixture.mu)
    each = stats.norm(mu, sigma).pdf(z[:, :, None]) * np.exp(np.float64(along.mixture.log_pi))
    np.testing.assert_allclose(log_density(net, params, z), np.log(each.sum(axis=2)).sum(axis=2), rtol=1e-4)


def test_mixtures_of_single_dimensions_recall_no_vectors():
    with pytest.raises(UserError, match="config.model.per_dimension needs config.model.recall=0"):
        make_mdrnn(SETTINGS | {"per_dimension": True}, 5)
    assert make_mdrnn(SETTINGS | {"per_dimension": True, "recall": 0}, 5).per_dimension
    old = {name: value for name, value in SETTINGS.items() if name != "per_dimension"}
    assert make_mdrnn(old, 5) == make_mdrnn(SETTINGS, 5), "workdirs of before the field open"


SETTINGS = {
    "units": 8,
    "layers": 1,
    "components": 2,
    "recall": 1,
    "memory": 8,
    "floor": 1e-3,
    "per_dimension": False,
    "matmul_dtype": "float32",
}


def test_make_mdrnn():
    net = make_mdrnn(SETTINGS | {"matmul_dtype": "bfloat16"}, 5)
    assert net == MDRNN(5, 8, 1, 2, memory=8, floor=1e-3, recall=1, dtype=jnp.dtype("bfloat16"))
    assert hash(MixturePrior(net)) == hash(MixturePrior(net)) and MixturePrior(net).latent == 5


@pytest.mark.parametrize(
    "field, value",
    [
        ("units", 0),
        ("units", 1 << 15),
        ("layers", 0),
        ("components", 0),
        ("recall", -1),
        ("recall", 1 << 15),
        ("memory", 0),
        ("floor", 0.0),
        ("floor", 1.0),
        ("matmul_dtype", "float16"),
    ],
)
def test_sizes_that_cannot_work_are_refused(field, value):
    with pytest.raises(UserError, match=f"config.model.{field} is"):
        make_mdrnn(SETTINGS | {field: value}, 5)


def train(net, batch, steps, rate):
    """Parameters after some steps of Adam on -log p of batch(rng), (B, T, Z), standardised by a first batch."""
    rng = np.random.default_rng(7)
    first = batch(rng).reshape(-1, net.latent)
    params = jax.jit(init, static_argnums=0)(net, jax.random.key(0), first.mean(axis=0), first.std(axis=0))
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(rate, steps)))

    @jax.jit
    def update(params, state, z):
        gradient = jax.grad(lambda p: -MixturePrior(net).log_density(p, z).mean())(params)
        changes, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, changes), state

    state = jax.jit(optimiser.init)(params)
    for _ in range(steps):
        params, state = update(params, state, jnp.asarray(batch(rng), jnp.float32))
    return params


class SwitchingProcess:
    """Two Gaussians about a line through the last two vectors, drawn by a coin: z_t = A z_{t-1} + B z_{t-2} +- c + e.

    Its density is known: that of a mixture of two, whose means no window of one bar can tell.
    """

    A = 0.6 * np.array([[math.cos(1.0), -math.sin(1.0)], [math.sin(1.0), math.cos(1.0)]])
    B = np.diag([-0.3, 0.3])
    C, SIGMA = np.array([1.5, 0.7]), 0.3

    @classmethod
    def means(cls, z):
        """The means of both Gaussians at each bar: (2, B, T, Z)."""
        before = np.pad(z, ((0, 0), (2, 0), (0, 0)))
        centre = before[:, 1:-1] @ cls.A.T + before[:, :-2] @ cls.B.T
        return np.stack([centre - cls.C, centre + cls.C])

    @classmethod
    def draw(cls, rng, songs=24, bars=16):
        z = np.zeros((songs, bars, 2))
        for t in range(bars):
            mean = cls.means(z)[rng.integers(0, 2, songs), np.arange(songs), t]
            z[:, t] = mean + cls.SIGMA * rng.normal(size=mean.shape)
        return z

    @classmethod
    def log_density(cls, z):
        each = stats.norm(cls.means(z), cls.SIGMA).logpdf(z).sum(axis=-1)
        return special.logsumexp(each, axis=0) - math.log(2)


@pytest.mark.more
def test_it_approaches_the_entropy_rate_of_a_process_whose_density_is_known():
    net = MDRNN(latent=2, units=24, layers=1, components=3)
    params = train(net, SwitchingProcess.draw, steps=200, rate=2e-2)
    z = SwitchingProcess.draw(np.random.default_rng(8), songs=200)
    truth = SwitchingProcess.log_density(z)
    excess = (truth - np.asarray(log_density(net, params, z.astype(np.float32)))).mean(axis=1)  # of songs, nats a bar
    error = excess.std() / math.sqrt(len(excess))
    assert -4 * error < excess.mean() < 0.05  # a KL divergence is never below 0
    flat = z.reshape(-1, 2)
    gaussian = fit_one_gaussian(flat, np.full(flat.shape, -np.inf), np.ones(len(flat)))
    alone = (truth - np.asarray(OneGaussian(2).log_density(gaussian, jnp.asarray(z, jnp.float32)))).mean()
    assert alone > 1.0


def repeating(rng, songs=12, bars=12, lag=4):
    """Random vectors of 8 numbers that come back after `lag` bars with a noise of 0.1."""
    z = rng.normal(size=(songs, bars, 8))
    for t in range(lag, bars):
        z[:, t] = z[:, t - lag] + 0.1 * z[:, t]
    return z


@pytest.mark.more
def test_recall_learns_what_a_small_lstm_cannot_carry():
    z = repeating(np.random.default_rng(9), songs=50).astype(np.float32)
    nats = {}
    for recall in (0, 1):
        net = MDRNN(latent=8, units=12, layers=1, components=2, recall=recall, memory=16)
        params = train(net, repeating, steps=120, rate=3e-2)
        nats[recall] = -float(log_density(net, params, z).mean())
    # known to the process: 4 bars of N(0, I), and 8 of a scale of 0.1
    truth = 8 * (stats.norm.entropy() + 8 / 12 * math.log(0.1))
    assert truth - 0.2 < nats[1] < truth + 1.5
    assert nats[0] > truth + 8
