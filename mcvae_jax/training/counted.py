"""Models that are counted and not learnt, made in one go: a workdir like any other, with one checkpoint of one step.

It stands in the place of training/loop.py for the kinds whose row says so: there are no updates, so that the config has
no sections `optimizer` and `train`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mcvae_jax import stopping
from mcvae_jax.command import check_range
from mcvae_jax.command import say as say_at_once
from mcvae_jax.errors import UserError
from mcvae_jax.storage.buckets import mounted
from mcvae_jax.storage.checkpoints import OBJECTIVE, Checkpoints, target
from mcvae_jax.storage.workdir import Record, Workdir
from mcvae_jax.training.fields import INT, TEXT
from mcvae_jax.training.loop import Outcome
from mcvae_jax.training.results import is_finished, write_best
from mcvae_jax.training.task import Params

Say = Callable[[str], None]

OF_ALL = {"task": TEXT, "seed": INT}  # the fields of every such config
STEP = 1  # of the checkpoint


class Counted(NamedTuple):
    """What the task of such a model tells; see training/task.py for the same of others."""

    params: Callable[[], Params]  # a nested dict of arrays
    nats: Callable[[Params], float]  # per bar of held-out songs; 0 for a model without likelihood
    finish: Callable[[Params, Path, Say], dict]
    data: dict


def check_start(config: Any, folder: Path | str, init_from: str) -> None:
    """UserError where this run cannot start, before the data is read."""
    check_range("config.seed", config.seed, 0, 2**31 - 1)
    if init_from:
        raise UserError(f"--init_from={init_from} gives parameters to learn from, and this model is counted anew.")
    if jax.process_count() > 1:
        raise UserError("This model is counted by one process; leave out --distributed.")
    Workdir(folder).check(config.to_dict())


def train(
    task: Counted,
    config: Any,
    folder: Path | str,
    say: Say = say_at_once,
    init_from: str = "",
    command: str = "",
    code: str = "",
) -> Outcome:
    """Counts, saves and writes results, or says that all is there; arguments and errors as `loop.train` has them."""
    with mounted(folder, say, is_first=True) as place:
        check_start(config, place, init_from)
        return _count_in(Workdir(place), task, say, Record(config.to_dict(), task.data, init_from, command, code))


def _count_in(workdir: Workdir, task: Counted, say: Say, record: Record) -> Outcome:
    with stopping.watched(), workdir.locked():
        record = workdir.claim(record, say)
        with Checkpoints(workdir.checkpoints) as checkpoints:  # which it leaves when what is removed is gone
            for error in checkpoints.damaged():
                say(f"{error} It is removed.")
                checkpoints.delete(error.step)
        with Checkpoints(workdir.checkpoints, run=record._asdict()) as checkpoints:
            if checkpoints.newest() == STEP and is_finished(workdir, STEP, say):
                say(f"{workdir.folder} is done: results in {workdir.results}. Nothing is left to do.")
                return Outcome(STEP, 0)
            if checkpoints.newest() != STEP:
                params = task.params()
                items = {"params": params, "opt_state": {"none": np.zeros(1, np.float32)}}  # nothing is optimised
                checkpoints.save(STEP, items, {OBJECTIVE: task.nats(params)})
                checkpoints.wait()
            wanted = target(checkpoints.stored(STEP, "params"), jax.sharding.SingleDeviceSharding(jax.devices()[0]))
            write_best(task, workdir, checkpoints.restore(STEP, {"params": wanted}), STEP, say)
    return Outcome(STEP, 0)
