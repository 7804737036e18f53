"""The runs of an experiment, one by one or side by side: in this process, or in processes pinned to a core each.

With N jobs the runs are processes of their own, N at a time, each on one core: at these sizes two such runs do twice
what one run does on two cores. This module is then also the command of a run:

    python -m experiments.trainings.jobs WORKDIR MODELS SONGS --config=configs/mcvae.py --config.FIELD=VALUE ...
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.trainings.scores import Scores, score_run
from mcvae_jax import stages, stopping
from mcvae_jax.command import clock, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.options import parse as parse_config
from mcvae_jax.storage.jsonfile import read_or_none
from mcvae_jax.tasks import mcvae

Say = Callable[[str], None]

PROJECT = Path(__file__).resolve().parents[2]
RUNS = "runs"  # the folder in which an experiment has the workdirs of its runs
SECONDS_TO_END = 60  # that a child is given to save and end


class Run(NamedTuple):
    """One training to be done or done."""

    arm: str
    seed: int
    folder: Path
    arguments: list[str]  # of the command below, which writes them into scores.json when all is done
    module: str = "experiments.trainings.jobs"  # whose command does it
    after: Path | None = None  # the folder of another of the runs, which must have ended before

    @property
    def name(self) -> str:
        """'beta-1-seed0'; where runs lie in folders of several tables, with that of its table."""
        table = self.folder.parent.name
        return self.folder.name if table == RUNS else f"{table}/{self.folder.name}"


def read_scores(run: Run) -> dict[str, Any]:
    """What a run left of itself, {} where it has not come to its end or came to it by other arguments."""
    scores = read_or_none(run.folder / "scores.json", Scores, say, "the run is scored anew") or {}
    return scores if scores.get("arguments") == run.arguments else {}


def train_all(runs: Sequence[Run], jobs: int, say: Say, apart: bool = False) -> dict[str, str]:
    """Trains and scores what is left, and returns why each of those that failed did, by name.

    With `apart` each run has a process of its own on one core, where there is one job, too.
    """
    todo = [run for run in runs if not read_scores(run)]
    if len(todo) < len(runs):
        say(f"{len(runs) - len(todo)} of {len(runs)} runs are done already")
    failed: dict[str, str] = {}
    started, ended = time.monotonic(), 0
    in_turn = jobs == 1 and not apart
    with contextlib.closing(_one_by_one(todo, say) if in_turn else _side_by_side(todo, jobs, say)) as ends:
        for run, reason in ends:
            ended += 1
            if reason:
                failed[run.name] = reason
            spent = time.monotonic() - started
            left = f"; about {clock(spent / ended * (len(todo) - ended))} left" if ended < len(todo) else ""
            how, place = f"FAILED: {reason}" if reason else "done", len(runs) - len(todo) + ended
            say(f"[{place}/{len(runs)}] {run.name} {how}, {clock(spent)} since the start{left}")
    return failed


def _one_by_one(runs: Sequence[Run], say: Say) -> Iterator[tuple[Run, str]]:
    """Each run in this process, and why it failed ('' where it did not)."""
    for run in runs:
        say(f"--- {run.name}")
        try:
            status = train_and_score(run.arguments, say)
        except Exception as error:  # whatever happens to one run, the others are to be done
            yield run, _in_one_line(error)
            continue
        if status:
            raise stopping.Stopped(status - 128)
        yield run, ""


def _side_by_side(runs: Sequence[Run], jobs: int, say: Say) -> Iterator[tuple[Run, str]]:
    """The same in processes pinned to a core each, `jobs` at a time, which write into RUN.log."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None] * jobs
    if jobs > len(cores):
        raise UserError(f"--jobs={jobs}: there are {len(cores)} cores; ask for at most as many jobs")
    free, waiting, active = cores[:jobs], list(runs), {}
    with stopping.held("Stopping after the runs that are under way have saved"), contextlib.ExitStack() as children:
        children.callback(_stop, active)
        while (waiting or active) and not stopping.received():
            while free and (run := _next(waiting, [busy for busy, _ in active.values()])):
                core = free.pop(0)
                waiting.remove(run)
                say(f"--- {run.name} starts; its lines go to {_log(run)}")
                active[core] = run, _start(run, core)
            for core, (run, process) in list(active.items()):
                if process.poll() is not None:
                    del active[core]
                    free.append(core)
                    yield run, _last_line(run) if process.returncode else ""
            time.sleep(0.1)


def _next(waiting: Sequence[Run], active: Sequence[Run]) -> Run | None:
    """The first of those waiting that needs none of the runs that have not ended."""
    open_ends = {run.folder for run in [*waiting, *active]}
    return next((run for run in waiting if run.after not in open_ends), None)


def _stop(active: dict[int | None, tuple[Run, subprocess.Popen]]) -> None:
    """Lets the children save and end; one that does not is killed, which loses what it did since its last save."""
    for _, process in active.values():
        process.send_signal(signal.SIGINT)
    for _, process in active.values():
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()


def _start(run: Run, core: int | None) -> subprocess.Popen:
    """A process in a session of its own, so that Ctrl-C reaches it once only, through `_side_by_side`."""
    _log(run).parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    with _log(run).open("w") as log, _pinned(core):
        return subprocess.Popen(
            [sys.executable, "-m", run.module, *run.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )


@contextlib.contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """This thread, and what it starts, on one core; None changes nothing."""
    if core is None:
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _log(run: Run) -> Path:
    return run.folder.with_name(run.folder.name + ".log")


def _last_line(run: Run) -> str:
    lines = _log(run).read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"it ended at once, see {_log(run)}")


def _in_one_line(error: Exception) -> str:
    first = str(error).strip().split("\n")[0]
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"


def train_and_score(argv: Sequence[str], say: Say) -> int:
    """One run: WORKDIR MODELS SONGS and the arguments of its config; the exit status."""
    folder, models, songs = Path(argv[0]), argv[1].split(","), int(argv[2])
    config = parse_config(list(argv[3:])).config
    if not jax.config.jax_compilation_cache_dir:  # compiling takes about a minute of a run that finds nothing there
        jax.config.update("jax_compilation_cache_dir", str(folder.absolute().parent.parent / "compiled"))
    command = shlex.join(["python", "-m", "experiments.trainings.jobs", *argv])
    status = stages.run(mcvae.stages(config, folder, say, command), folder, say, models)
    if not status:
        score_run(folder, songs, list(argv), say)
    return status


def main(argv: list[str]) -> int:
    """The command of one run; see the head of this module."""
    if len(argv) < 4 or not argv[2].isdecimal():
        raise UserError("give WORKDIR MODELS SONGS --config=...; experiments call this, see experiments/capacity.py")
    return train_and_score(argv, say)


if __name__ == "__main__":
    run_command(main)
