"""What an update of a model costs, and how many parameters it has: a command of its own, on one core.

    python -m experiments.rivals.probe FOLDER --config=CONFIG --config.FIELD=VALUE ...

UPDATES are done twice with the same batches, so that the first round compiles all their shapes; the second one counts.
FOLDER/scores.json holds 'seconds' of an update and 'compiling', of the processor (on an accelerator of the clock), and
'parameters'.
"""

import time
from collections.abc import Callable
from pathlib import Path

import jax

from mcvae_jax.command import run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of
from mcvae_jax.options import parse as parse_config
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.storage.jsonfile import write_json
from mcvae_jax.training import parallel
from mcvae_jax.training.optimizer import make_optimizer
from mcvae_jax.training.update import init_state, make_update

UPDATES = 20


def main(argv: list[str]) -> None:
    """The command."""
    if len(argv) < 2:
        raise UserError("give FOLDER --config=...; experiments.compare calls this")
    config = parse_config(argv[1:]).config
    task = kind_of(config.task).make_task(config, say)
    optimizer = make_optimizer(config.optimizer, task.constants)
    layout = parallel.make_layout(config.train.parallel)
    state = layout.init_state(lambda seed: init_state(task, optimizer, seed), config.seed)
    update = layout.compile_update(make_update(task, optimizer), config.seed)
    clock: Callable[[], float] = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    rounds = []
    for _ in range(2):
        started = clock()
        for step in range(UPDATES):
            state, report = update(state, layout.place_batch(task.batch(step)))
        jax.block_until_ready(report)
        rounds.append(clock() - started)
    found = {"seconds": rounds[1] / UPDATES, "compiling": max(0.0, rounds[0] - rounds[1])}
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    write_json(Path(argv[0]) / "scores.json", found | {"parameters": count, "arguments": argv})
    say(f"{count:,} parameters, {found['seconds']:.3f} s an update")


if __name__ == "__main__":
    keep_compiled()
    run_command(main)
