"""Compares losses and gradients of the models, and a known case, with float64; prints JSON for test_canary.py.

A program of its own, since the flags of the compiler are fixed once jax has started: the suite compiles without
optimisation (tests/conftest.py), which hides what users would meet.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.mdrnn import MDRNN
from tests import mdrnn_layouts, vae_layouts
from tests.random_params import random_params


def _product_square_sum(dtype: str) -> dict:
    """Sums of squares of eye(3) @ (i, 0, 0), which are i * i, for i below 32769."""
    squares = np.arange(32769.0) ** 2
    rows = np.zeros((32769, 3), dtype)
    rows[:, 0] = np.arange(32769)
    eye = jnp.eye(3, dtype=dtype)
    found = jax.jit(lambda x: jax.vmap(lambda row: jnp.sum((eye @ row) ** 2))(x))(rows)
    wrong = np.abs(np.asarray(found, np.float64) - squares) > 1e-6 * squares
    return {"wrong": int(wrong.sum()), "last": float(found[-1])}


def _loss_and_gradient(task, params, batch, options=None) -> tuple:
    """The objective of one batch, with dropout, and its gradient, compiled with options of the compiler."""

    def loss(params, batch):
        return task.objective(task.sums(params, batch, jax.random.key(1), True), 1000)[0]

    return jax.device_get(jax.jit(jax.value_and_grad(loss), compiler_options=options)(params, batch))


def _against_float64(make_task, **constants) -> dict:
    """The largest relative differences between make_task(float32) and make_task(float64), which is not optimised."""

    def widened(tree):
        return jax.tree.map(lambda x: np.asarray(x, np.float64 if x.dtype == np.float32 else x.dtype), tree)

    task = make_task(np.float32)
    params = jax.device_get(random_params(task.init))
    params["params"] |= constants
    batch = task.batch(0)
    loss, gradient = _loss_and_gradient(task, params, batch)
    jax.config.update("jax_enable_x64", True)
    try:
        exact, exact_gradient = _loss_and_gradient(
            make_task(np.float64), widened(params), widened(batch), {"xla_backend_optimization_level": 0}
        )
    finally:
        jax.config.update("jax_enable_x64", False)
    assert {x.dtype for x in jax.tree.leaves((exact, exact_gradient))} == {np.dtype(np.float64)}
    largest = [np.abs(x).max() for x in jax.tree.leaves(exact_gradient)]
    differences = [np.abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, (gradient, exact_gradient)), strict=True)]
    return {
        "loss": float(abs(loss - exact) / abs(exact)),
        "gradient": float(max(d / size for d, size in zip(differences, largest, strict=True) if size)),
        "moved": float(max(largest)),
    }


def main() -> None:
    def drawn_in_float32(draw):
        """Random numbers in float64 would be other ones."""
        return lambda key, *arguments, **keywords: draw(key, *arguments, **{"dtype": np.float32} | keywords)

    normal, uniform = jax.random.normal, jax.random.uniform
    jax.random.normal = drawn_in_float32(normal)
    jax.random.bernoulli = lambda key, p, shape: uniform(key, shape, np.float32) < np.float32(p)

    def vae(dtype):
        return vae_layouts.make_task(units=48, dtype=dtype)

    def prior(dtype):
        model = MDRNN(latent=8, units=48, layers=1, components=3, recall=1, memory=6, dtype=dtype)
        return mdrnn_layouts.make_task(model=model, songs=64)

    scale = np.full(8, 1.3, np.float32)
    result = {"VAE": _against_float64(vae), "MDRNN": _against_float64(prior, standard_scale=scale)}
    result["float32"] = _product_square_sum("float32")
    jax.config.update("jax_enable_x64", True)
    result["float64"] = _product_square_sum("float64")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
