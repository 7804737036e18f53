"""The losses: closed forms, schedules by their formulas, and what is additive and what is not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models import elbo
from mcvae_jax.models.elbo import ObjectiveSettings
from mcvae_jax.music.tokens import OUTCOMES

ONES = jnp.ones(OUTCOMES)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def example(bars=6, latent=4, seed=0):
    keys = jax.random.split(jax.random.key(seed), 6)
    return {
        "log_p": -jax.random.exponential(keys[0], (bars, 16)),
        "guess": jax.random.randint(keys[5], (bars, 16), 0, 3),
        "bars": jax.random.randint(keys[1], (bars, 16), 0, 5),
        "mu": 2 * jax.random.normal(keys[2], (bars, latent)),
        "log_var": jax.random.normal(keys[3], (bars, latent)) - 1,
        "weight": jnp.array([1.0, 2.0, 0.0, 3.0, 1.0, 0.5])[:bars],
    }


@jax.jit
def sums_of(data, token_weights=ONES, free_nats=0.0):
    return elbo.elbo_sums(**data, token_weights=token_weights, free_nats=free_nats)


def test_sums_against_a_loop_in_float64():
    data, free = example(), 6.0
    token_weights = jnp.linspace(0.5, 2.0, OUTCOMES)
    expected = dict.fromkeys(
        ("weight", "reconstruction", "weighted_reconstruction", "kl", "kl_above_free", "tokens"), 0.0
    )
    names = "log_p", "guess", "bars", "mu", "log_var", "weight"
    for log_p, guess, bar, mu, log_var, weight in zip(*(np.float64(data[name]) for name in names), strict=True):
        nats = -log_p
        kl = 0.5 * np.sum(mu**2 + np.exp(log_var) - 1 - log_var)
        expected["weight"] += weight
        expected["reconstruction"] += weight * nats.sum()
        expected["weighted_reconstruction"] += weight * (nats * np.asarray(token_weights)[bar.astype(int)]).sum()
        expected["kl"] += weight * kl
        expected["kl_above_free"] += weight * max(kl - free, 0)
        expected["tokens"] += weight * np.mean(guess == bar)
    mine = sums_of(data, token_weights, free)
    for name, value in expected.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(jnp.sum(mine["kl_per_dim"]), mine["kl"], rtol=1e-6)
    assert 0 < expected["kl_above_free"] < expected["kl"] - free * expected["weight"] * 0.1


def test_sums_add_and_padding_counts_for_nothing():
    data = example()
    whole = sums_of(data)
    parts = [sums_of({k: v[part] for k, v in data.items()}) for part in (slice(0, 2), slice(2, 6))]
    jax.tree.map(lambda w, a, b: np.testing.assert_allclose(w, a + b, rtol=1e-5), whole, *parts)
    changed = data | {name: np.array(data[name]) for name in ("bars", "mu", "log_p")}
    changed["bars"][2], changed["mu"][2] = 0, 99.0
    changed["log_p"][2] = -np.inf  # as of a pitch out of the model's range
    jax.tree.map(np.testing.assert_array_equal, whole, sums_of(changed))
    slope = jax.grad(lambda log_p: sums_of(changed | {"log_p": log_p})["weighted_reconstruction"])(changed["log_p"])
    np.testing.assert_array_equal(slope, np.repeat(-data["weight"][:, None], 16, axis=1))


def test_beta_schedules():
    def at(step, **fields):
        return float(elbo.beta_at(ObjectiveSettings(beta=0.5, **fields), step))

    assert [at(s) for s in (0, 100)] == [0.5, 0.5]
    linear = {"beta_schedule": "linear", "beta_steps": 10}
    np.testing.assert_allclose([at(s, **linear) for s in (0, 5, 10, 50)], [0, 0.25, 0.5, 0.5])
    exponential = {"beta_schedule": "exponential", "beta_rate": 0.999}
    np.testing.assert_allclose(
        [at(s, **exponential) for s in (0, 7, 5000)], [0.5 * (1 - 0.999**s) for s in (0, 7, 5000)], rtol=1e-4, atol=1e-9
    )
    cyclical = {"beta_schedule": "cyclical", "beta_steps": 8}
    np.testing.assert_allclose([at(s, **cyclical) for s in (0, 2, 4, 7, 8, 10)], [0, 0.25, 0.5, 0.5, 0, 0.25])


def test_capacity_rises_from_zero_and_pulls_the_kl_from_both_sides():
    settings = ObjectiveSettings(kind="capacity", gamma=3.0, capacity=20.0, capacity_steps=10)
    np.testing.assert_allclose([float(elbo.capacity_at(settings, s)) for s in (0, 5, 10, 99)], [0, 10, 20, 20])
    sums = sums_of(example())
    kl = float(sums["kl"] / sums["weight"])
    slope = jax.grad(lambda s, step: elbo.objective(settings, s, step)[0])
    assert float(slope(sums, 0)["kl"] * sums["weight"]) == pytest.approx(3.0)
    assert kl < 20.0 and float(slope(sums, 10)["kl"] * sums["weight"]) == pytest.approx(-3.0)


def test_free_bits_act_on_the_batch_mean_per_dimension_and_on_each_bar():
    data = example()
    sums = sums_of(data, free_nats=6.0)
    mean = {k: np.asarray(v / sums["weight"]) for k, v in sums.items()}
    assert (mean["kl_per_dim"] < 1.6).any() and (mean["kl_per_dim"] > 1.6).any()
    per_dim = ObjectiveSettings(beta=0.5, free_bits="per_dim", free_nats=1.6)
    expected = mean["reconstruction"] + 0.5 * np.maximum(mean["kl_per_dim"], 1.6).sum()
    assert float(elbo.objective(per_dim, sums, 0)[0]) == pytest.approx(float(expected), rel=1e-6)
    per_bar = ObjectiveSettings(beta=0.5, free_bits="per_bar", free_nats=6.0)
    expected = mean["reconstruction"] + 0.5 * mean["kl_above_free"]
    assert float(elbo.objective(per_bar, sums, 0)[0]) == pytest.approx(float(expected), rel=1e-6)


def test_the_held_out_objective_has_the_final_beta_no_free_bits_and_no_token_weights():
    sums = sums_of(example(), jnp.linspace(0.5, 2.0, OUTCOMES), 6.0)
    settings = ObjectiveSettings(beta=0.5, beta_schedule="linear", beta_steps=1000, free_bits="per_bar", free_nats=6.0)
    value, terms = elbo.held_out_objective(settings, sums)
    expected = (sums["reconstruction"] + 0.5 * sums["kl"]) / sums["weight"]
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    assert float(terms["bound"]) == pytest.approx(
        float((sums["reconstruction"] + sums["kl"]) / sums["weight"]), rel=1e-6
    )
    assert abs(float(elbo.objective(settings, sums, 0)[0]) - float(value)) > 1.0


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"kind": "gan"}, "loss.kind"),
        ({"beta_schedule": "cosine"}, "loss.beta_schedule"),
        ({"beta": -1.0}, "loss.beta is -1.0"),
        ({"free_bits": "some"}, "loss.free_bits"),
        ({"kind": "capacity", "free_bits": "per_bar"}, "how much KL is free"),
        ({"beta_rate": 1.0}, "loss.beta_rate"),
        ({"capacity_steps": 0}, "start at 1"),
    ],
)
def test_settings_that_cannot_work_are_named(fields, words):
    with pytest.raises(UserError, match=words):
        ObjectiveSettings(**fields)
