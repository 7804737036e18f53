"""A small latent-variable model with every difficulty of the real ones, for tests of the training machinery.

Unequal weights and masks, dropout and noise per example, and objectives that are no sum over examples. It
learns within a few steps and compiles in a second.


    python -m tests.toy_task WORKDIR '{"steps": 300, "sleep": 0.01}'

trains it in a process that a test can kill; `sleep` is the seconds that every batch takes, `distributed` is
HOST:PORT,PROCESSES,ID, all else are fields of config.train.
"""

import functools
import json
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mcvae_jax.nn.keys import example_keys
from mcvae_jax.training.task import Task

STEPS, LATENT = 6, 3  # T and L


def make_task(objective="beta", batch_size=16, units=5, explode_at=-1, sleep=0.0) -> Task:
    """objective: 'beta', 'capacity' or 'free_bits'. The batch of step `explode_at` holds an infinity."""

    def batch(step):
        time.sleep(sleep)
        return make_batch(np.random.default_rng((0, step)), batch_size, step == explode_at)

    return Task(
        init=functools.partial(init, units=units),
        sums=sums,
        objective=OBJECTIVES[objective],
        held_out_objective=lambda s: beta_objective(s, 10**6),
        batch=batch,
        held_out_batches=held_out_batches,
        finish=finish,
        data={"identity": "toy"},
    )


def make_config(**train) -> ConfigDict:
    """The config of a run; keyword arguments are fields of config.train."""
    defaults = dict(steps=40, batch_size=16, parallel="jit", log_every=10, eval_every=20, save_every=10)
    return ConfigDict(
        {
            "task": "toy",
            "seed": 1,
            "model": {"units": 5},
            "optimizer": {
                "name": "adam",
                "learning_rate": 0.02,
                "schedule": "exponential",
                "warmup_steps": 5,
                "decay_steps": 200,
                "final_learning_rate": 0.001,
                "clip_norm": 1.0,
                "amsgrad": False,
                "b1": 0.9,
                "b2": 0.999,
                "eps": 1e-8,
            },
            "train": defaults | {"tensorboard": False} | train,
        }
    )


def init(key, units):
    shapes = {"encoder": (STEPS, units), "heads": (units, 2 * LATENT), "decoder": (LATENT, STEPS)}
    ends = np.cumsum([math.prod(s) for s in shapes.values()])
    parts = jnp.split(jax.random.normal(key, ends[-1:]), ends[:-1])
    return {n: p.reshape(s) / math.sqrt(s[0]) for p, (n, s) in zip(parts, shapes.items(), strict=True)}


def sums(params, batch, key, train):
    """Sums of masked squared errors and of the KL by dimension (L,), with dropout of inputs in training."""
    keys = example_keys(key, batch["index"])
    x, mask, weight = batch["x"], batch["mask"], batch["weight"]
    noise = jax.vmap(lambda k: jax.random.normal(k, (STEPS + LATENT,)))(keys)
    kept, eps = noise[:, LATENT:] > -0.5, noise[:, :LATENT]
    mu, log_var = jnp.split(jnp.tanh((x * kept if train else x) @ params["encoder"]) @ params["heads"], 2, axis=-1)
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
        yield batch | {"index": batch["index"] + 10 * i, "weight": batch["weight"] * (1 + i)}


def finish(params, folder, say):
    """Writes one small result."""
    norm = float(sum(jnp.sum(p**2) for p in jax.tree.leaves(params)))
    (folder / "norm.txt").write_text(f"{norm}\n")
    say("toy results written")
    return {"norm": norm}


def main(argv):
    fields = json.loads(argv[1])
    with processes.joined(fields.pop("distributed", "")):
        toy = make_task(sleep=fields.pop("sleep", 0.0))
        outcome = train(toy, make_config(**fields), argv[0])
    return 128 + outcome.signal if outcome.signal else 0


if __name__ == "__main__":
    from mcvae_jax.command import run_command
    from mcvae_jax.training import processes
    from mcvae_jax.training.loop import train

    run_command(main)
