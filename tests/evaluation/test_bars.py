"""Held-out scores of the VAE against loops, and on models whose scores are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax.evaluation.bars import importance_bound, score_bars
from mcvae_jax.models.vae import VAE
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from tests.vae_layouts import apply, example_batch, far_from_the_start, make_model

SIZE = 12  # of a batch, the same in all tests, which then share their programs


def constant_model(token, certainty=40.0):
    """A VAE that says the same token with certainty whatever it is given, and whose posterior is the prior."""
    vae, params = make_model()
    params = jax.tree.map(jnp.zeros_like, params)
    params["params"]["logits"]["b"] = params["params"]["logits"]["b"].at[token].set(certainty)
    return vae, params


@pytest.mark.more
def test_scores_of_a_model_that_always_says_the_same():
    vae, params = constant_model(NO_EVENT)
    bars = np.full((SIZE, 16), NO_EVENT, np.uint8)
    bars[1, [0, 4]] = 60, NOTE_OFF
    weight = np.pad([2.0, 1.0, 1.0], (0, SIZE - 3)).astype(np.float32)
    batch = {"bars": bars, "weight": weight, "index": np.arange(SIZE, dtype=np.int32)}
    scores = score_bars(vae, params, [batch])
    assert scores["bars"] == 4
    # by weight three of four bars are silent; in the fourth 2 tokens of 16 are wrong, at 40 nats each
    assert scores["reconstruction_nats"] == pytest.approx(80 / 4, rel=1e-4)
    assert scores["kl_nats"] == 0 and scores["active_units"] == 0
    assert scores["greedy"] == scores["teacher_forced"] == scores["always_no_event"]
    assert scores["greedy"]["token_accuracy"] == pytest.approx((3 + 14 / 16) / 4)
    assert scores["greedy"]["bar_accuracy"] == pytest.approx(3 / 4)
    assert scores["greedy"]["onset_pitch_f1"] == 0


def test_accuracies_against_a_loop():
    vae, params = make_model()
    batch = example_batch(SIZE)
    batch["weight"][:] = np.arange(SIZE)
    guess = greedy(vae, params, batch["bars"])
    # let the greedy guess be right here and there, or everything would be 0
    batch["bars"][:4] = guess[:4]
    batch["bars"][4:8, :9] = guess[4:8, :9]
    guess = greedy(vae, params, batch["bars"])
    right = whole = hits = onsets = 0.0
    for bar, told, weight in zip(batch["bars"].tolist(), guess.tolist(), batch["weight"].tolist(), strict=True):
        right += weight * sum(a == b for a, b in zip(bar, told, strict=True)) / 16
        whole += weight * (bar == told)
        hits += weight * sum(a == b < NOTE_OFF for a, b in zip(bar, told, strict=True))
        onsets += weight * (sum(a < NOTE_OFF for a in bar) + sum(b < NOTE_OFF for b in told))
    scores = score_bars(vae, params, [batch])["greedy"]
    assert scores["token_accuracy"] == pytest.approx(right / 66, rel=1e-5) and right > 0
    assert scores["bar_accuracy"] == pytest.approx(whole / 66, rel=1e-5)
    assert scores["onset_pitch_f1"] == pytest.approx(2 * hits / onsets, rel=1e-5)


def greedy(vae, params, bars):
    mu, _ = apply(vae, "encode", params, bars)
    return np.asarray(apply(vae, "greedy", params, mu))


def test_batches_and_padding_do_not_change_the_scores():
    vae, params = make_model()
    batch = example_batch(SIZE)
    together = score_bars(vae, params, [batch])
    halves = [{k: v[part] for k, v in batch.items()} for part in (slice(0, SIZE // 2), slice(SIZE // 2, SIZE))]
    padding = example_batch(SIZE // 2) | {"weight": np.zeros(SIZE // 2, np.float32)}
    apart = score_bars(vae, params, [*halves, padding])
    for name in ("reconstruction_nats", "kl_nats", "bound_bits"):
        assert apart[name] == pytest.approx(together[name], rel=1e-5)
    assert apart["greedy"] == pytest.approx(together["greedy"])


@pytest.mark.more
def test_padding_with_pitches_that_the_model_rules_out_changes_nothing():
    _, params = make_model()
    vae = VAE(units=16, latent=5, min_pitch=30)
    batch = example_batch(4)
    batch["bars"] = np.maximum(batch["bars"], 30)
    batch["weight"][3] = 0.0
    impossible = batch | {"bars": np.concatenate([batch["bars"][:3], np.zeros((1, 16), np.uint8)])}
    for score in (score_bars, functools.partial(importance_bound, samples=2)):
        mine, other = score(vae, params, [impossible]), score(vae, params, [batch])
        assert np.isfinite(mine["bound_nats"]) and mine == other


def test_active_units_are_those_whose_mean_moves():
    vae, params = make_model()
    moving = params["params"]["mu"]["w"]
    params["params"]["mu"]["w"] = moving.at[:, 2:].set(0.0).at[:, :2].multiply(50.0)
    assert score_bars(vae, params, [example_batch(SIZE)])["active_units"] == 2


@pytest.mark.more
def test_more_importance_samples_give_a_tighter_bound_and_one_gives_the_elbo():
    vae, params = make_model()
    params = far_from_the_start(params)
    bounds = [importance_bound(vae, params, [example_batch(40)], k) for k in (1, 8, 64)]
    assert bounds[0]["bound_nats"] == pytest.approx(bounds[0]["elbo_nats"], rel=1e-6)
    assert bounds[0]["bound_nats"] > bounds[1]["bound_nats"] > bounds[2]["bound_nats"]


def test_draws_from_q_and_the_closed_form_kl_give_the_same_elbo():
    vae, params = make_model()
    drawn = importance_bound(vae, params, [example_batch(40)], 64)["elbo_nats"]
    # near its start the decoder hardly looks at z, so draws differ in log q and log p alone
    assert drawn == pytest.approx(score_bars(vae, params, [example_batch(40)])["bound_nats"], abs=0.2)
