"""The transformer prior against PyTorch, its cache against whole songs, causal, a density, and what it can learn."""

import functools
import math

import jax
import numpy as np
import pytest
from scipy import stats

from mcvae_jax.errors import UserError
from mcvae_jax.models.mdrnn import make_prior as make_mdrnn_prior
from mcvae_jax.models.mixture_prior import Dropout, MixturePrior, draw_noise, init
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.transformer_prior import TransformerPrior, make_prior
from mcvae_jax.nn import mixture
from mcvae_jax.options import load_config
from tests.draws import keys_of
from tests.models.test_mdrnn import MEAN, SCALE, log_density, repeating, sequences, train, unroll
from tests.random_params import random_params
from tests.torch_transformer import dense, leaves_of, norm, through_layers

pytestmark = pytest.mark.more

UNITS, LAYERS, HEADS, MEMORY, COMPONENTS = 12, 2, 3, 4, 3
KINDS = pytest.mark.parametrize("per_dimension", [False, True])
PER_DIMENSION = pytest.mark.parametrize("per_dimension", [pytest.param(False, marks=pytest.mark.slow), True])


@functools.cache
def make(per_dimension=False, **sizes):
    """A small network with parameters that are far from the first ones; standardised by MEAN and SCALE."""
    fields = {"latent": 3, "units": UNITS, "layers": LAYERS, "heads": HEADS, "memory": MEMORY, "components": COMPONENTS}
    net = TransformerPrior(**fields | {"per_dimension": per_dimension} | sizes)
    params = random_params(functools.partial(init, net))
    moments = {"standard_mean": MEAN[: net.latent], "standard_scale": SCALE[: net.latent]}
    return net, {"params": params["params"] | moments}


def torch_figures(params, z, per_dimension):
    """log p of each bar of one song z (T, Z), and the stop logits, (T,) each, by PyTorch in float64."""
    torch = pytest.importorskip("torch")
    distributions, leaves = torch.distributions, leaves_of(params)
    x = torch.cat([leaves["start"][None], torch.tensor((np.float64(z) - MEAN) / SCALE)])
    x = through_layers(dense(x, leaves["taken"]), leaves, LAYERS, HEADS, MEMORY)
    said = dense(norm(x, leaves["norm"]), leaves["heads"])
    size = COMPONENTS * 3
    logits, mu, raw, stop = said.split([size if per_dimension else COMPONENTS, size, size, 1], dim=1)
    mu, sigma = mu.reshape(-1, COMPONENTS, 3)[:-1], 1e-3 + torch.nn.functional.softplus(raw.reshape(-1, COMPONENTS, 3))
    mu, sigma = torch.tensor(MEAN) + torch.tensor(SCALE) * mu, torch.tensor(SCALE) * sigma[:-1]
    if per_dimension:
        logits = logits.reshape(-1, COMPONENTS, 3)[:-1].transpose(1, 2)
        of_dimensions = distributions.Normal(mu.transpose(1, 2), sigma.transpose(1, 2))
        mixed = distributions.MixtureSameFamily(distributions.Categorical(logits=logits), of_dimensions)
        log_p = mixed.log_prob(torch.tensor(np.float64(z))).sum(dim=1)
    else:
        of_vectors = distributions.Independent(distributions.Normal(mu, sigma), 1)
        mixed = distributions.MixtureSameFamily(distributions.Categorical(logits=logits[:-1]), of_vectors)
        log_p = mixed.log_prob(torch.tensor(np.float64(z)))
    return log_p.numpy(), stop[1:, 0].numpy()


@KINDS
def test_densities_and_stops_are_those_of_pytorch_within_and_beyond_the_memory(per_dimension):
    net, params = make(per_dimension)
    z = sequences(2, 11)
    of_bars, along = log_density(net, params, z), unroll(net, params, z)
    for n in range(2):
        log_p, stop = torch_figures(params, z[n], per_dimension)
        np.testing.assert_allclose(of_bars[n], log_p, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(along.stop_logit[n], stop, rtol=1e-4, atol=1e-4)


@PER_DIMENSION
def test_bar_by_bar_with_a_cache_it_says_what_it_says_along_the_sequence(per_dimension):
    net, params = make(per_dimension)
    z = sequences(2, 9)  # more than twice the memory of 4
    along, step_by_step, state = unroll(net, params, z), jax.jit(MixturePrior(net).next_step), None
    for t in range(9):
        state, step = step_by_step(params, state, z[:, t - 1])
        for a, b in zip(step.mixture, along.mixture, strict=True):
            np.testing.assert_allclose(a, b[:, t], rtol=1e-4, atol=1e-4)
        expected = -np.logaddexp(0, -along.stop_logit[:, t - 1]) if t else np.full(2, -np.inf)
        np.testing.assert_allclose(step.log_stop, expected, rtol=1e-4)
        assert step.recalled.shape == (2, 0, 3)
    np.testing.assert_allclose(log_density(net, params, z), mixture.log_density(along.mixture, z), rtol=1e-5)
    assert {leaf.shape[1] for leaf in jax.tree.leaves(state.memory)} == {MEMORY}, "the cache does not grow"


@pytest.mark.parametrize("place", [0, 3, 8])
def test_a_bar_changes_its_own_density_and_those_after_it_as_far_as_the_layers_reach(place):
    net, params = make()
    z = sequences(1, 16)
    changed = z.copy()
    changed[:, place] += 1
    one, other = (jax.device_get(log_density(net, params, x))[0] for x in (z, changed))
    moved = np.abs(other - one) > 1e-5
    assert not moved[:place].any() and moved[place : place + MEMORY + 1].all()
    assert not moved[place + LAYERS * (MEMORY - 1) + 2 :].any()
    stops = [unroll(net, params, x).stop_logit[0] for x in (z, changed)]
    assert (np.flatnonzero(stops[0] != stops[1])[0]) == place


@PER_DIMENSION
def test_the_densities_of_the_first_and_of_later_bars_integrate_to_one(per_dimension):
    """Over the second of two dimensions, to the density of the first alone."""
    net, params = make(per_dimension, latent=2)
    grid = np.linspace(-80, 80, 16001, dtype=np.float32)
    for bar in (0, 3):
        z = np.broadcast_to(sequences(1, 4, 2), (len(grid), 4, 2)).copy()
        z[:, bar, 1] = grid
        mass = np.exp(np.asarray(log_density(net, params, z), np.float64)[:, bar])
        m = jax.tree.map(lambda a, bar=bar: np.float64(a[0, bar]), unroll(net, params, z[:1]).mixture)
        pi = np.exp(m.log_pi[:, 0] if per_dimension else m.log_pi)
        alone = pi @ stats.norm(m.mu[:, 0], np.exp(m.log_sigma[:, 0])).pdf(z[0, bar, 0])
        assert np.trapezoid(mass, grid) == pytest.approx(alone, rel=1e-3)
        assert pi.sum() == pytest.approx(1, rel=1e-5)


def test_it_starts_near_the_gaussian_of_the_moments():
    """So that untrained it is a control that says what no learning is worth, and not how wild its first numbers are."""
    prior = MixturePrior(TransformerPrior(latent=16, units=32, layers=2), standardise=True)
    params = jax.jit(prior.init)(jax.random.key(0), Moments(np.full(16, 2.0), np.full(16, 0.5)))
    z = (2 + 0.5 * np.random.default_rng(0).normal(size=(8, 10, 16))).astype(np.float32)
    cost = -np.asarray(jax.jit(prior.log_density)(params, z)).mean()
    known = 16 * stats.norm(2, 0.5).entropy()
    assert known < cost < known + 0.3 * 16


def test_the_standardisation_is_not_learnt_and_all_else_is():
    net, params = make()
    gradient = jax.jit(jax.grad(lambda p: log_density(net, p, sequences(2, 6)).sum()))(params)["params"]
    fixed = {name: gradient.pop(name) for name in MixturePrior.constants}
    assert not any(np.any(g) for g in fixed.values())
    assert all(np.any(g) for g in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_dropout_belongs_to_the_song_and_only_to_training():
    net, params = make()
    prior = MixturePrior(net, Dropout(inputs=0.3, hidden=0.3))
    z, keys = sequences(4, 5), keys_of(4)
    once = jax.jit(prior.unroll)(params, z, keys).log_density
    alone = jax.jit(prior.unroll)(params, z[2:3], keys[2:3]).log_density
    np.testing.assert_allclose(alone[0], once[2], rtol=1e-3, atol=1e-3)
    assert np.abs(once - prior.unroll(params, z, None).log_density).max() > 1e-2
    assert draw_noise(net, keys, 5, prior.dropout).gates is None


@pytest.mark.slow
def test_it_learns_what_repeats_by_itself():
    """The process of `test_recall_learns_what_a_small_lstm_cannot_carry`, without a recall head."""
    z = repeating(np.random.default_rng(9), songs=50).astype(np.float32)
    net = TransformerPrior(latent=8, units=32, layers=2, heads=2, components=1, memory=16)
    params = train(net, repeating, steps=250, rate=1e-2)
    nats = -float(log_density(net, params, z).mean())
    alone = 8 * stats.norm.entropy()
    truth = alone + 8 * 8 / 12 * math.log(0.1)
    assert truth - 0.2 < nats < (truth + alone) / 2


def test_its_size_is_near_that_of_the_mdrnn():
    """For latents of 64 dimensions."""
    sizes = []
    for name, make_one in (("mdrnn", make_mdrnn_prior), ("transformer_prior", make_prior)):
        prior = make_one(load_config(f"configs/{name}.py"), 64)
        leaves = jax.tree.leaves(jax.eval_shape(functools.partial(init, prior.network), jax.random.key(0)))
        sizes.append(sum(leaf.size for leaf in leaves))
    assert 0.8 < sizes[1] / sizes[0] < 1.2, sizes


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("heads", 3, "multiple of twice the heads"), ("memory", 0, "from 1"), ("floor", 1.0, "between 0 and 1")],
)
def test_sizes_that_cannot_be_are_told(name, value, says):
    config = load_config("configs/transformer_prior.py")
    config.model[name] = value
    with pytest.raises(UserError, match=says):
        make_prior(config, 4)
