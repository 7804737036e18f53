"""The loop: batch, step, log, evaluate, save; it knows no model by name.

Order of what a run starts from: 1. the newest good checkpoint of its workdir; 2. the best parameters of
--init_from; 3. random parameters. The step is the whole state beside the parameters and the optimiser, so a
run that was killed and started again ends with the same bits as one that was not.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mcvae_jax import stopping, versions
from mcvae_jax.command import say as say_at_once
from mcvae_jax.errors import UserError
from mcvae_jax.storage.buckets import mounted
from mcvae_jax.storage.checkpoints import OBJECTIVE, Checkpoints
from mcvae_jax.storage.disk import CannotWrite
from mcvae_jax.storage.files import names_in
from mcvae_jax.storage.workdir import Environment, Record, Workdir, differences, flatten
from mcvae_jax.training import parallel, processes, progress
from mcvae_jax.training.fields import OF_ALL as OF_ALL
from mcvae_jax.training.journal import Journal, NotFinite, make_evaluation
from mcvae_jax.training.optimizer import make_optimizer
from mcvae_jax.training.results import is_finished, write_results
from mcvae_jax.training.start import first_state, sources
from mcvae_jax.training.task import Batch, Task
from mcvae_jax.training.update import make_update

Say = Callable[[str], None]


MAX_BATCH = 2**20  # more than any device holds; beyond it the memory of the machine goes first


class Outcome(NamedTuple):
    """How a call of `train` ended."""

    step: int
    signal: int  # the signal that stopped it; 0 where it reached its last step


class Run(NamedTuple):
    """What the functions below share: the task, where it runs and where it writes."""

    task: Task
    config: Any
    layout: parallel.Layout
    workdir: Workdir
    checkpoints: Checkpoints
    say: Say


def check_config(config: Any) -> None:
    """UserError for numbers that no computer holds, and values of train, optimizer and seed that cannot work."""
    for name, value in flatten(config.to_dict()).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"config.{name} is {value}; it must be a finite number.")
        if isinstance(value, int) and abs(value) >= 2**31:  # steps and seeds are int32 on the devices
            raise UserError(f"config.{name} is {value}; whole numbers end at 2**31 - 1.")
    for name in ("steps", "batch_size", "log_every", "eval_every", "save_every"):
        if config.train[name] < 1:
            raise UserError(f"config.train.{name} is {config.train[name]}; it must be at least 1.")
    if config.train.batch_size > MAX_BATCH:
        raise UserError(f"config.train.batch_size is {config.train.batch_size}; it must be at most {MAX_BATCH}.")
    if config.seed < 0:
        raise UserError(f"config.seed is {config.seed}; it must not be negative.")
    make_optimizer(config.optimizer)
    layout = parallel.make_layout(config.train.parallel)
    parallel.check_batch_size(config.train.batch_size, layout.devices)


def check_start(config: Any, folder: Path | str, init_from: str) -> None:
    """What can be told before the data is read: UserError where this run cannot start."""
    check_config(config)
    if processes.is_first():
        if not os.path.isfile(folder):  # of which the next line tells
            names_in(Path(folder), "take another --workdir")
        Workdir(folder).check(config.to_dict())
    for source in sources(init_from):
        Workdir(source.folder).read()


def train(
    task: Task,
    config: Any,
    folder: Path | str,
    say: Say = say_at_once,
    init_from: str = "",
    command: str = "",
    code: str = "",
) -> Outcome:
    """Trains to config.train.steps, or goes on from where the workdir stands, and writes its results.

    Args:
      task: model, losses and data.
      config: the whole config; read here are seed, train.* and optimizer.*, all of it is recorded.
      folder: the workdir.
      say: takes each line for the user; only the first process speaks.
      init_from: workdirs whose best parameters are the start, see `start.sources`.
      command: what was typed, recorded for `inspect`.
      code: the folder of a model of one's own, recorded for those who open it.

    Raises:
      UserError: the config, the workdir or its checkpoints do not fit, or an update was not finite.
    """
    first = processes.is_first()
    with mounted(folder, say, is_first=first) as place:
        check_start(config, place, init_from)
        return _train_in(place, task, config, say, Record(config.to_dict(), task.data, init_from, command, code))


def _train_in(folder: Path, task: Task, config: Any, say: Say, record: Record) -> Outcome:
    """The same in a folder of this machine."""
    first, workdir = processes.is_first(), Workdir(folder)
    with stopping.watched(), workdir.locked() if first else contextlib.nullcontext():
        record = processes.made_once("record", lambda: workdir.claim(record, say), workdir.read)
        with Checkpoints(workdir.checkpoints, run=record._asdict()) as checkpoints, _going_on(checkpoints):
            layout = parallel.make_layout(config.train.parallel)
            run = Run(task, config, layout, workdir, checkpoints, say if first else lambda line: None)
            _remove_damaged(run)
            steps, newest = config.train.steps, checkpoints.newest() or 0
            if newest > steps:
                raise UserError(
                    f"{folder} is trained to step {newest} already, beyond config.train.steps={steps}; "
                    "ask for more steps, or take another --workdir."
                )
            if processes.by_first("done", lambda: newest == steps and is_finished(workdir, steps, run.say)):
                run.say(f"{folder} is done: step {steps}, results in {workdir.results}. Nothing is left to do.")
                return Outcome(steps, 0)
            with _memory_explained(config):
                outcome = _train_steps(run, record)
                if not outcome.signal:
                    write_results(task, layout, workdir, checkpoints, steps, run.say)
            return outcome


def is_done(workdir: Workdir, steps: int) -> bool:
    """Whether a run has come to its last step, with a record, results and checkpoints that are as they were written."""
    if not is_finished(workdir, steps) or workdir.stored().damage or not workdir.checkpoints.is_dir():
        return False
    with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
        return checkpoints.newest() == steps and checkpoints.whole() == checkpoints.steps()


def _remove_damaged(run: Run) -> None:
    """Removes the checkpoints that are not what was saved, and says so: the newest whole one is the state of the run.

    All are looked at, since one that is damaged may be the best; by the first of several processes, and all remove.
    """
    for step, damage in processes.by_first("damaged", lambda: _damaged(run.workdir)):
        run.say(f"{damage} It is removed.")
        run.checkpoints.delete(step)


def _damaged(workdir: Workdir) -> list[tuple[int, str]]:
    """The steps of the damaged checkpoints, newest first, each with what is wrong."""
    with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
        return [(error.step, str(error)) for error in checkpoints.damaged()]


@contextlib.contextmanager
def _going_on(checkpoints: Checkpoints) -> Iterator[None]:
    """What the disk refuses is told together with the step from which the same command goes on."""
    try:
        yield
    except CannotWrite as error:
        with contextlib.suppress(CannotWrite):
            checkpoints.wait()
        step = checkpoints.newest()
        raise CannotWrite(f"{error} {f'from step {step}' if step else 'from the start'}.") from error


@contextlib.contextmanager
def _memory_explained(config: Any) -> Iterator[None]:
    """Memory that runs out, of the host or of a device, becomes a UserError."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        has_songs = "data.max_bars" in flatten(config.to_dict())
        shorter = ", a lower config.data.max_bars (0 is no limit)" if has_songs else ""
        raise UserError(
            f"Out of memory. Take a smaller config.train.batch_size (it is {config.train.batch_size}){shorter} or a"
            " smaller model."
        ) from error


def _train_steps(run: Run, record: Record) -> Outcome:
    """From where the workdir stands to the last step, or to a signal."""
    task, config, layout, checkpoints = run.task, run.config, run.layout, run.checkpoints
    optimizer = make_optimizer(config.optimizer, task.constants)
    state = first_state(task, optimizer, config, layout, run.workdir, checkpoints, record.init_from, run.say)
    step = first = int(state.step)
    steps = config.train.steps
    if step == steps:
        return Outcome(step, 0)
    _note_environment(run, record, step)
    update_fn = layout.compile_update(make_update(task, optimizer), config.seed)
    evaluate = make_evaluation(task, layout, config.seed)
    journal = Journal(task, config, run.workdir, run.say, step)
    lowest = _lowest_objective(checkpoints)
    try:
        with contextlib.ExitStack() as unsaved:
            for batch in _prefetch(lambda s: layout.place_batch(task.batch(s)), step, steps):
                state, report = update_fn(state, batch)
                if step == first:  # this one compiled; from here on there is something to lose
                    unsaved.enter_context(stopping.held("Stopping after this step and saving"))
                step += 1
                journal.note(step, report)
                scores = None
                if step % config.train.eval_every == 0 or step == steps:
                    journal.flush()
                    scores = evaluate(state.params, step)
                    journal.write_held_out(step, scores)
                found = np.inf if scores is None else scores[OBJECTIVE]
                improved, lowest = found < lowest, min(found, lowest)
                stop = processes.agree_to_stop(step)
                if improved or stop or step % config.train.save_every == 0 or step == steps:
                    journal.flush()  # whether the update was finite is known before its state is saved
                    checkpoints.save(step, {"params": state.params, "opt_state": state.opt_state}, scores)
                    progress.note(f"{run.workdir.folder} step {step}")
                if stop:
                    break
            journal.close()
            checkpoints.wait()
            received = stopping.take()
    except NotFinite as error:
        raise UserError(_explain_not_finite(run, error)) from error
    if received:
        run.say(f"Stopped at step {step}/{steps} and saved. The same command again goes on from there.")
    return Outcome(step, received)


def _note_environment(run: Run, record: Record, step: int) -> None:
    """Records on what the run is computed from this step; where that was something else before, it is said."""
    on = versions.here()
    earlier = [each for each in record.environments if each["from_step"] < step]
    changes = differences(earlier[-1]["on"], on) if earlier else []
    if changes:
        run.say(f"Other versions or devices than before ({'; '.join(changes)}): the last digits may differ.")
    if changes or not earlier:
        earlier.append(Environment(from_step=step, on=on))
    record = record._replace(environments=earlier)
    run.checkpoints.run = record._asdict()
    if processes.is_first():
        run.workdir.write(record)


def _lowest_objective(checkpoints: Checkpoints) -> float:
    best = checkpoints.best()
    metrics = None if best is None else checkpoints.metrics(best)
    return np.inf if metrics is None else metrics[OBJECTIVE]


def _explain_not_finite(run: Run, error: NotFinite) -> str:
    run.checkpoints.wait()
    good = run.checkpoints.newest()
    kept = "there is no checkpoint yet" if good is None else f"the last good checkpoint is step {good}"
    evaluated = run.checkpoints.best() is not None
    start = f" (--init_from={run.workdir.folder} starts there from the best parameters)" if evaluated else ""
    way_out = "Take" if good is None else "Take another --workdir with"
    return (
        f"Not finite at {error}. It was not saved; {kept}. {way_out} a lower "
        f"--config.optimizer.learning_rate or --config.optimizer.clip_norm{start}."
    )


def _prefetch(make: Callable[[int], Batch], start: int, stop: int) -> Iterator[Batch]:
    """make(start), ..., make(stop - 1), each made by another thread while the one before it is in use."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(make, start)
        for step in range(start + 1, stop + 1):
            batch = future.result()
            if step < stop:
                future = pool.submit(make, step)
            yield batch
