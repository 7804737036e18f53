"""A small latent-variable model with every difficulty of the real ones, for tests of the training machinery.

Unequal weights and masks, dropout and noise per example, and objectives that are no sum over examples. It
learns within a few steps and compiles in a second.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.training.task import Task, example_keys

STEPS, LATENT = 6, 3  # T and L


def make_task(objective="beta", batch_size=16, units=5, explode_at=-1, seed=0) -> Task:
    """objective: 'beta', 'capacity' or 'free_bits'. At step `explode_at` a batch holds an infinity."""
    return Task(
        init=functools.partial(init, units=units),
        sums=sums,
        objective=OBJECTIVES[objective],
        held_out_objective=lambda s: beta_objective(s, 10**6),
        batch=lambda step: make_batch(np.random.default_rng((seed, step)), batch_size, step == explode_at),
        held_out_batches=held_out_batches,
        finish=finish,
        data={"identity": "toy"},
    )


def init(key, units):
    keys = jax.random.split(key, 3)
    shapes = {"encoder": (STEPS, units), "heads": (units, 2 * LATENT), "decoder": (LATENT, STEPS)}
    return {
        n: jax.random.normal(k, s) / math.sqrt(s[0]) for k, (n, s) in zip(keys, shapes.items(), strict=True)
    }


def sums(params, batch, key, train):
    """Sums of masked squared errors and of the KL by dimension (L,), with dropout of inputs in training."""
    keys = example_keys(key, batch["index"])
    x, mask, weight = batch["x"], batch["mask"], batch["weight"]
    kept = jax.vmap(lambda k: jax.random.bernoulli(jax.random.fold_in(k, 0), 0.7, (STEPS,)))(keys)
    eps = jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 1), (LATENT,)))(keys)
    mu, log_var = jnp.split(
        jnp.tanh((x * kept if train else x) @ params["encoder"]) @ params["heads"], 2, axis=-1
    )
    z = mu + jnp.exp(log_var / 2) * eps
    error = jnp.sum(mask * (z @ params["decoder"] - x) ** 2, axis=-1)
    kl = 0.5 * (mu**2 + jnp.exp(log_var) - log_var - 1)
    return {"error": weight @ error, "kl": weight @ kl, "weight": jnp.sum(weight)}


def beta_objective(s, step):
    error, kl = s["error"] / s["weight"], jnp.sum(s["kl"]) / s["weight"]
    loss = error + jnp.minimum(step / 10, 1.0) * 0.3 * kl
    return loss, {"loss": loss, "error": error, "kl": kl}


def capacity_objective(s, step):
    error, kl = s["error"] / s["weight"], jnp.sum(s["kl"]) / s["weight"]
    loss = error + 3.0 * jnp.abs(kl - 0.9 - 0.1 * step)
    return loss, {"loss": loss, "error": error, "kl": kl}


def free_bits_objective(s, step):
    error, kl = s["error"] / s["weight"], s["kl"] / s["weight"]
    loss = error + jnp.sum(jnp.maximum(0.3, kl))
    return loss, {"loss": loss, "error": error, "kl": jnp.sum(kl)}


OBJECTIVES = {"beta": beta_objective, "capacity": capacity_objective, "free_bits": free_bits_objective}


def make_batch(rng, size, explode=False):
    pattern = rng.normal(size=(size, 2)) @ np.array([[1, 0, 1, 0, -1, 0], [0, 1, 1, 1, 0, 0.5]])
    x = (pattern + 0.1 * rng.normal(size=(size, STEPS))).astype(np.float32)
    return {
        "x": np.full_like(x, np.inf) if explode else x,
        "mask": (np.arange(STEPS) < rng.integers(1, STEPS + 1, size)[:, None]).astype(np.float32),
        "weight": rng.integers(0, 4, size).astype(np.float32),
        "index": np.arange(size, dtype=np.int32),
    }


def held_out_batches():
    for i in range(2):
        batch = make_batch(np.random.default_rng((99, i)), 10)
        yield batch | {"index": batch["index"] + 10 * i}


def finish(params, folder, say):
    """Writes one small result."""
    norm = float(sum(jnp.sum(p**2) for p in jax.tree.leaves(params)))
    (folder / "norm.txt").write_text(f"{norm}\n")
    say("toy results written")
    return {"norm": norm}
