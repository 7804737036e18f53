"""Trains a task for a few steps by jit on 1 device, jit on 8 and pmap on 8, and compares the parameters.

A program of its own, since the number of virtual devices is fixed once jax has started.
"""

import importlib
import json
import os
import subprocess
import sys

from tests.conftest import NO_OPTIMISATION

TOLERANCE = 2e-5  # of the largest parameter; float32 sums in another order, over a few Adam steps


def check_layouts_agree(make_task: str, *options: dict, steps: int = 4) -> None:
    """Asserts that the layouts agree for the tasks that `make_task` ('module:function') makes of the options.

    The batch size of a task must be a multiple of 8.
    """
    # eight virtual devices; the compiler's optimisations would take most of the time
    flags = f"--xla_force_host_platform_device_count=8 {NO_OPTIMISATION}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.layouts", make_task, str(steps), json.dumps(options)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(options)
    for result in results:
        assert result["devices"] == 8
        assert result["moved"] > 100 * TOLERANCE, "the parameters hardly moved, so their agreement says nothing"
        assert max(result["jit8"], result["pmap8"], result["sums_jit8"], result["sums_pmap8"]) < TOLERANCE, result
        assert result["compilations"] == [1, 1, 1], result


def compare(task, steps: int) -> dict:
    """Largest differences to jit on one device, relative to the largest value."""
    import jax
    import numpy as np
    import optax

    from mcvae_jax.training import parallel, update

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9))

    def run(mode, devices):
        traces = []
        counted = task._replace(sums=lambda *a: (traces.append(1), task.sums(*a))[1])
        layout = parallel.make_layout(mode, devices)
        step_fn = layout.compile_update(update.make_update(counted, optimizer), seed=3)
        sums_fn = layout.compile_sums(update.make_held_out_sums(task), seed=3)
        state = layout.init_state(lambda seed: update.init_state(task, optimizer, seed), seed=3)
        start = jax.device_get(state.params)
        for step in range(steps):
            state, report = step_fn(state, layout.place_batch(task.batch(step)))
        assert bool(report.finite) and int(state.step) == steps
        held_out = parallel.pad_batch(next(iter(task.held_out_batches())), layout.devices)
        sums = jax.device_get(sums_fn(state.params, layout.place_batch(held_out)))
        return start, jax.device_get(state.params), (jax.device_get(report.sums), sums), len(traces)

    def difference(a, b):
        scale = max(np.abs(x).max() for x in jax.tree.leaves(a))
        return max(float(np.abs(x - y).max() / scale) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))

    runs = {"jit1": run("jit", jax.devices()[:1]), "jit8": run("jit", None), "pmap8": run("pmap", None)}
    start, params, sums, _ = runs["jit1"]
    result = {"devices": jax.device_count(), "moved": difference(start, params)}
    result["compilations"] = [r[3] for r in runs.values()]
    for name in ("jit8", "pmap8"):
        result |= {name: difference(params, runs[name][1]), f"sums_{name}": difference(sums, runs[name][2])}
    return result


if __name__ == "__main__":
    module, function = sys.argv[1].split(":")
    for options in json.loads(sys.argv[3]):
        task = getattr(importlib.import_module(module), function)(**options)
        print(json.dumps(compare(task, int(sys.argv[2]))))
