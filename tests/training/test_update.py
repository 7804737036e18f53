"""The update against plain differentiation, and the optimiser against its equations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from mcvae_jax.errors import UserError
from mcvae_jax.training import parallel, update
from mcvae_jax.training.optimizer import make_optimizer, make_schedule
from tests import toy_task

ADAM = dict(
    name="adam",
    learning_rate=0.1,
    schedule="constant",
    warmup_steps=0,
    decay_steps=0,
    final_learning_rate=0.0,
    clip_norm=0.0,
    amsgrad=False,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
)


def optimizer_config(**fields):
    return ConfigDict(ADAM | fields)


def one_device(fn, seed=0):
    """fn(x, batch, seed, reduce) compiled for one device."""
    return jax.jit(lambda x, batch: fn(x, batch, seed, lambda tree: tree))


def start(task, optimizer, seed):
    return jax.jit(lambda: update.init_state(task, optimizer, seed))()


@pytest.mark.parametrize("objective", ["capacity", "free_bits"])
def test_gradient_is_that_of_the_objective_of_the_sums(objective):
    task = toy_task.make_task(objective)
    state = start(task, optax.sgd(1.0), seed=5)._replace(step=jnp.int32(7))
    batch = task.batch(7)
    new, report = one_device(update.make_update(task, optax.sgd(1.0)), seed=5)(state, batch)
    key = jax.random.fold_in(jax.random.key(5), 7)
    objective = jax.jit(lambda p: task.objective(task.sums(p, batch, key, True), 7)[0])
    loss, grads = jax.value_and_grad(objective)(state.params)
    expected = jax.tree.map(jnp.subtract, state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), new.params, expected)
    np.testing.assert_allclose(report.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(report.grad_norm, np.sqrt(sum(np.sum(g**2) for g in jax.tree.leaves(grads))), rtol=1e-5)
    assert new.step == 8 and bool(report.finite)


def test_randomness_belongs_to_the_example_and_not_to_its_place():
    task = toy_task.make_task()
    state = start(task, optax.sgd(1.0), seed=0)
    step_fn = one_device(update.make_update(task, optax.sgd(1.0)))
    batch, order = task.batch(0), np.random.default_rng(0).permutation(16)
    shuffled = {k: v[order] for k, v in batch.items()}
    renumbered = shuffled | {"index": batch["index"]}
    losses = [float(step_fn(state, b)[1].loss) for b in (batch, shuffled, renumbered)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_held_out_noise_is_the_same_at_every_evaluation_and_without_dropout():
    task = toy_task.make_task()
    params = jax.jit(task.init)(jax.random.key(0))
    held_out_sums = one_device(update.make_held_out_sums(task))
    batch = next(iter(task.held_out_batches()))
    first, second = (held_out_sums(params, batch) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    key = update.step_key(0, update.HELD_OUT_STEP)
    without, with_dropout = (
        float(jax.jit(task.sums, static_argnums=3)(params, batch, key, train)["error"]) for train in (False, True)
    )
    assert float(first["error"]) == pytest.approx(without, rel=1e-5) and without != pytest.approx(
        with_dropout, rel=1e-3
    )


def test_an_exploding_batch_is_reported_as_not_finite():
    task = toy_task.make_task(explode_at=1)
    optimizer = make_optimizer(optimizer_config(clip_norm=1.0))
    step_fn = one_device(update.make_update(task, optimizer))
    state, report = step_fn(start(task, optimizer, seed=0), task.batch(0))
    assert bool(report.finite)
    assert not bool(step_fn(state, task.batch(1))[1].finite)


def adam_by_hand(grads, amsgrad, lr=0.1, b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba 2015, algorithm 1; with amsgrad the largest second moment so far (Reddi et al. 2018)."""
    x = m = v = largest = 0.0
    for t, g in enumerate(grads, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        second = v / (1 - b2**t)
        largest = max(largest, second)
        x -= lr * m / (1 - b1**t) / (np.sqrt(largest if amsgrad else second) + eps)
    return x


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_and_amsgrad_follow_their_equations(amsgrad):
    grads = [1.0, -8.0, 0.1, 0.2, 0.1, 0.3]
    optimizer = make_optimizer(optimizer_config(amsgrad=amsgrad))
    x = jnp.zeros(())
    opt_state = optimizer.init(x)
    for g in grads:
        updates, opt_state = optimizer.update(jnp.float32(g), opt_state, x)
        x = optax.apply_updates(x, updates)
    assert float(x) == pytest.approx(adam_by_hand(grads, amsgrad), rel=1e-4)
    assert adam_by_hand(grads, True) != pytest.approx(adam_by_hand(grads, False), rel=1e-2)


def test_clip_bounds_the_gradient_that_adam_sees():
    optimizer = make_optimizer(optimizer_config(clip_norm=1.0))
    params = {"a": jnp.zeros(2)}
    _, opt_state = optimizer.update({"a": jnp.array([30.0, 40.0])}, optimizer.init(params), params)
    first_moment = optax.tree.get(opt_state, "mu")["a"]
    np.testing.assert_allclose(first_moment, 0.1 * np.array([0.6, 0.8]), rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "middle"),
    [
        ("constant", 1e-2),
        ("cosine", (1e-2 + 1e-4) / 2),
        ("exponential", 1e-3),
    ],  # geometric mean for the exponential
)
def test_schedules(schedule, middle):
    fields = dict(schedule=schedule, learning_rate=1e-2, warmup_steps=10, decay_steps=110, final_learning_rate=1e-4)
    rate = make_schedule(optimizer_config(**fields))
    end = 1e-2 if schedule == "constant" else 1e-4
    expected = [0.0, 5e-3, 1e-2, middle, end, end]
    np.testing.assert_allclose([rate(s) for s in (0, 5, 10, 60, 110, 5000)], expected, rtol=1e-5)


def test_without_warm_up_the_first_rate_is_the_full_one():
    assert make_schedule(optimizer_config())(0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "fields",
    [
        dict(name="sgd"),
        dict(schedule="linear"),
        dict(schedule="cosine", final_learning_rate=0.01),  # no decay_steps
        dict(schedule="exponential", decay_steps=10),  # no final_learning_rate
        dict(learning_rate=-1.0),
        dict(b2=1.0),
        dict(clip_norm=-1.0),
    ],
)
def test_impossible_optimisers_are_refused(fields):
    with pytest.raises(UserError, match="config.optimizer"):
        make_optimizer(optimizer_config(**fields))


@pytest.mark.more
def test_runs_that_differ_in_their_seed_alone_share_a_program():
    task, optimizer = toy_task.make_task(), optax.sgd(1.0)
    traced = []
    counted = task._replace(sums=lambda *given: (traced.append(1), task.sums(*given))[1])
    layout = parallel.make_layout("jit", jax.devices()[:1])
    program = jax.jit(lambda *given: update.make_update(counted, optimizer)(*given, lambda tree: tree))
    for seed in (1, 2, 2**31 - 1):
        state, _ = program(start(task, optimizer, seed), task.batch(0), np.uint32(seed))
        expected = layout.compile_update(update.make_update(task, optimizer), seed)(
            start(task, optimizer, seed), task.batch(0)
        )[0]
        fixed = one_device(update.make_update(task, optimizer), seed)(start(task, optimizer, seed), task.batch(0))[0]
        for found in (expected, fixed):
            jax.tree.map(np.testing.assert_array_equal, state.params, found.params)
    assert len(traced) == 1
