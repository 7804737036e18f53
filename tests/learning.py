"""Many updates on one batch, for tests that a model learns it by heart."""

import jax
import optax

from mcvae_jax.training.update import init_state, make_update


def whole_batch(sums):
    """The sums over all devices, where there is one."""
    return sums


def learnt(task, batch, updates: int, optimizer=None):
    """The state after so many updates, and the report of each."""
    optimizer = optimizer or optax.adam(0.02)
    update = jax.jit(make_update(task, optimizer), static_argnums=3)
    state, reports = init_state(task, optimizer, 0), []
    for _ in range(updates):
        state, report = update(state, batch, 0, whole_batch)
        reports.append(report)
    return state, reports
