"""The bar VAE on bars that it did not see: bound, importance-weighted bound, accuracies, active units.

Letters: B bars, T steps of a bar, V outcomes, Z latent size, K importance samples, D distinct bars.
"""

import functools
import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.bar_codec import BarModule, likeliest, posterior, prediction
from mcvae_jax.models.elbo import elbo_sums
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, OUTCOMES
from mcvae_jax.nn.gaussian import log_density
from mcvae_jax.nn.keys import example_keys

Array = jax.Array

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016 (arXiv:1509.00519): a unit is active where Var[mu] over the data is above


def score_bars(vae: BarModule, params: Any, batches: Iterable[dict], seed: int = 0) -> dict[str, Any]:
    """Scores a VAE on weighted bars.

    Args:
      vae, params: the model and its variables.
      batches: of one shape: {'bars': uint8 (B, T), 'weight': (B,), 'index': (B,)}.
      seed: of the draw from q; a bar's draw depends on the seed and its index alone.

    Returns:
      'reconstruction_nats', 'kl_nats', 'bound_nats' and the same in bits, per bar, from one draw of z;
      'kl_per_dimension_nats' (Z,); 'active_units' of 'latent' many; 'teacher_forced' and 'greedy' accuracies and
      onset-and-pitch F1 from z = mu; 'always_no_event', the same for the control; 'bars', the sum of the weights.
      The teacher-forced F1 of a model of events counts no onset where it ends a note too early (`events.step_log_p`),
      so between encodings the greedy one compares.
    """
    totals: dict[str, Any] = {}
    for batch in batches:
        sums = _score_batch(vae, params, batch, seed)
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + np.asarray(value, np.float64)
    weight = totals["weight"]
    mean = {name: value / weight for name, value in totals.items()}
    variance = mean["mu_squared"] - mean["mu"] ** 2
    bound = mean["reconstruction"] + mean["kl"]
    return {
        "bars": float(weight),
        "reconstruction_nats": float(mean["reconstruction"]),
        "kl_nats": float(mean["kl"]),
        "bound_nats": float(bound),
        "reconstruction_bits": float(mean["reconstruction"] / math.log(2)),
        "kl_bits": float(mean["kl"] / math.log(2)),
        "bound_bits": float(bound / math.log(2)),
        "kl_per_dimension_nats": mean["kl_per_dim"].tolist(),
        "active_units": int(np.sum(variance > ACTIVE_VARIANCE)),
        "latent": vae.latent,
        "teacher_forced": _accuracies(totals, "forced"),
        "greedy": _accuracies(totals, "greedy"),
        "always_no_event": _accuracies(totals, "control"),
    }


@functools.partial(jax.jit, static_argnums=0)
def _score_batch(vae: BarModule, params: Any, batch: dict, seed: int) -> dict[str, Array]:
    bars, weight = batch["bars"].astype(jnp.int32), batch["weight"]
    mu, log_var = posterior(vae, params, bars)
    eps = _draws(vae.latent, seed, batch["index"])
    log_p, guess = prediction(vae, params, mu + jnp.exp(log_var / 2) * eps, bars)
    sums = elbo_sums(log_p, guess, bars, mu, log_var, weight, token_weights=jnp.ones(OUTCOMES), free_nats=0.0)
    sums |= {"mu": weight @ mu, "mu_squared": weight @ (mu * mu)}
    forced = prediction(vae, params, mu, bars).guess
    greedy = likeliest(vae, params, mu)
    for name, guess in (("forced", forced), ("greedy", greedy), ("control", jnp.full_like(bars, NO_EVENT))):
        sums |= _agreement(name, bars, guess, weight)
    return sums


def _draws(latent: int, seed: int, index: Array) -> Array:
    """Standard normal (B, Z); each row is a function of the seed and its index."""
    keys = example_keys(jax.random.key(seed), index)
    return jax.vmap(lambda key: jax.random.normal(key, (latent,)))(keys)


def _agreement(name: str, bars: Array, guess: Array, weight: Array) -> dict[str, Array]:
    right = bars == guess
    onset, guessed_onset = bars < NOTE_OFF, guess < NOTE_OFF
    return {
        f"{name}_tokens": weight @ jnp.mean(right, axis=-1),
        f"{name}_bars": weight @ jnp.all(right, axis=-1).astype(jnp.float32),
        f"{name}_hits": weight @ jnp.sum(right & onset, axis=-1),
        f"{name}_onsets": weight @ (jnp.sum(onset, axis=-1) + jnp.sum(guessed_onset, axis=-1)),
    }


def _accuracies(totals: dict[str, Any], name: str) -> dict[str, float]:
    onsets = totals[f"{name}_onsets"]
    return {
        "token_accuracy": float(totals[f"{name}_tokens"] / totals["weight"]),
        "bar_accuracy": float(totals[f"{name}_bars"] / totals["weight"]),
        "onset_pitch_f1": float(2 * totals[f"{name}_hits"] / onsets) if onsets else 0.0,
    }


def importance_bound(
    vae: BarModule, params: Any, batches: Iterable[dict], samples: int, seed: int = 0
) -> dict[str, float]:
    """The importance-weighted bound with K = `samples` draws for each bar (Burda et al. 2016, arXiv:1509.00519).

    Returns 'bound_nats' per bar beside 'elbo_nats', the mean of the same K draws without their weighing, both as
    negative log likelihoods; 'samples' and 'bars'.
    """
    weight = tight = loose = 0.0
    for batch in batches:
        rows = np.flatnonzero(batch["weight"])  # what pads a batch may be impossible, and 0 * inf is no number
        log_weights = np.asarray(_log_weights(vae, params, batch, samples, seed), np.float64)[:, rows]
        of_row = np.asarray(batch["weight"])[rows]
        weight += float(np.sum(of_row))
        tight -= float(of_row @ importance_weighted(log_weights))
        loose -= float(of_row @ log_weights.mean(axis=0))
    return {"bound_nats": tight / weight, "elbo_nats": loose / weight, "samples": samples, "bars": weight}


def importance_weighted(log_weights: np.ndarray) -> np.ndarray:
    """log of the mean weight over K draws: (K, B) -> (B,), nats, in float64."""
    log_weights = np.asarray(log_weights, np.float64)
    top = log_weights.max(axis=0)
    return top + np.log(np.mean(np.exp(log_weights - top), axis=0))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _log_weights(vae: BarModule, params: Any, batch: dict, samples: int, seed: int) -> Array:
    """log p(x | z) + log p(z) - log q(z | x) for K draws of z from q: (K, B), nats."""
    bars = batch["bars"].astype(jnp.int32)
    mu, log_var = posterior(vae, params, bars)

    def one(_: None, k: Array) -> tuple[None, Array]:
        eps = _draws(vae.latent, seed, batch["index"] * samples + k)
        z = mu + jnp.exp(log_var / 2) * eps
        log_x = jnp.sum(prediction(vae, params, z, bars).log_p, axis=-1)
        zeros = jnp.zeros_like(mu)
        return None, log_x + log_density(z, zeros, zeros) - log_density(z, mu, log_var)

    return jax.lax.scan(one, None, jnp.arange(samples))[1]
