"""Loss -> update step, for objectives that are no sum over examples.

The capacity term gamma * |KL - C| and free bits act on means over the whole batch, so the gradient of a
device's own examples needs sums from all devices. No psum is differentiated for it: with s the sums, g = sum
over devices of s and L the objective,

    dL/dparams = sum over devices of (ds/dparams)^T (dL/dg)

so each device pulls the common cotangent dL/dg back through its own sums, and the results are added.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mcvae_jax.training.task import Params, Placed, Sums, Task

Reduce = Callable[[Any], Any]  # adds a tree over all devices; the identity where the program sees the whole batch
Seed = jax.Array | np.uint32 | int  # config.seed: an argument, so that runs that differ in it alone share a program

# fold_in(key(seed), step) with steps that no run reaches, for randomness that belongs to no step
INIT_STEP = 2**32 - 1
HELD_OUT_STEP = 2**32 - 2


class State(NamedTuple):
    """All that a run needs to go on. It holds no key: randomness is a function of the seed and the step."""

    step: jax.Array  # int32 (), updates done
    params: Params
    opt_state: Any


class Report(NamedTuple):
    """What one update says about itself."""

    sums: Sums  # over the whole batch
    loss: jax.Array  # (), the objective before the update
    grad_norm: jax.Array  # (), before clipping
    finite: jax.Array  # bool (): the loss, the gradient and the updated parameters


def step_key(seed: Seed, step: jax.Array | int) -> jax.Array:
    """The key of one step; `nn.keys.example_keys` folds the examples into it."""
    return jax.random.fold_in(jax.random.key(seed), step)


def init_state(task: Task, optimizer: optax.GradientTransformation, seed: Seed) -> State:
    """The state before the first update."""
    params = task.init(step_key(seed, INIT_STEP))
    return State(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def make_update(
    task: Task, optimizer: optax.GradientTransformation
) -> Callable[[State, Placed, Seed, Reduce], tuple[State, Report]]:
    """The function update(state, batch, seed, reduce) -> (State, Report)."""

    def update(state: State, batch: Placed, seed: Seed, reduce: Reduce) -> tuple[State, Report]:
        key = step_key(seed, state.step)
        local_sums, pullback = jax.vjp(lambda params: task.sums(params, batch, key, True), state.params)
        sums = reduce(local_sums)
        loss, cotangent = jax.value_and_grad(lambda s: task.objective(s, state.step)[0])(sums)
        grads = reduce(pullback(cotangent)[0])
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        grad_norm = optax.tree.norm(grads)
        finite = all_finite((loss, grad_norm, params))
        return State(state.step + 1, params, opt_state), Report(sums, loss, grad_norm, finite)

    return update


def make_held_out_sums(task: Task) -> Callable[[Params, Placed, Seed, Reduce], Sums]:
    """The function held_out_sums(params, batch, seed, reduce) -> Sums; the noise is the same every time."""

    def held_out_sums(params: Params, batch: Placed, seed: Seed, reduce: Reduce) -> Sums:
        return reduce(task.sums(params, batch, step_key(seed, HELD_OUT_STEP), False))

    return held_out_sums


def all_finite(tree: Any) -> jax.Array:
    """bool (): no leaf holds a NaN or an infinity."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
