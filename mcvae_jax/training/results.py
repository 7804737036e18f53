"""What a run leaves behind when it has reached its last step."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import jax

from mcvae_jax.storage.checkpoints import Checkpoints, DamagedCheckpoint, Restored, target
from mcvae_jax.storage.files import adding
from mcvae_jax.storage.jsonfile import digest_of, write_json
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import curves, metrics, parallel, processes
from mcvae_jax.training.task import Params, Task

Say = Callable[[str], None]


class HasResults(Protocol):
    """A task, as far as its results go."""

    @property
    def finish(self) -> Callable[[Params, Path, Say], dict]:
        """See `Task`."""


def is_finished(workdir: Workdir, steps: int, say: Say = lambda line: None) -> bool:
    """Whether all results of the last step are there, as they were written; what is damaged is said."""
    summary = workdir.read_summary(say)
    if summary is None or summary.step != steps:
        return False
    damaged = workdir.damaged_result(summary)
    if damaged:
        say(f"{workdir.results / damaged} is gone or damaged; the results are made anew.")
    return not damaged


def write_results(
    task: Task, layout: parallel.Layout, workdir: Workdir, checkpoints: Checkpoints, steps: int, say: Say
) -> None:
    """What the task says of its best parameters, the learning curve, and last of all the summary."""
    processes.by_first("checkpoints", checkpoints.wait)
    checkpoints.reload()
    wanted = jax.eval_shape(task.init, jax.random.key(0))
    best = _best_that_reads(checkpoints, {"params": target(wanted, layout.replicated)}, say)
    processes.by_first("results", lambda: write_best(task, workdir, best, steps, say))


def write_best(task: HasResults, workdir: Workdir, best: Restored, steps: int, say: Say) -> None:
    """The same of parameters that are read already; a curve where there were updates."""
    results = workdir.results
    lines = metrics.read_metrics(workdir.metrics)
    with adding(results) as place:
        workdir.summary.unlink(missing_ok=True)
        figures = task.finish(jax.device_get(best.items["params"]), place, say)
        if lines:
            curves.draw_learning_curve(place / "learning_curve.png", lines, best.step)
    files = sorted(path for path in results.rglob("*") if path.is_file())
    summary = {
        "step": steps,
        "best_step": best.step,
        "held_out": best.metrics,
        "seconds": max((line["seconds"] for line in lines), default=0.0),
        "results": figures,
        "files": [str(path.relative_to(results)) for path in files],
        "checksums": {str(path.relative_to(results)): digest_of(path) for path in files},
    }
    write_json(workdir.summary, summary)
    say(f"Done: step {steps}, best at step {best.step}. Results in {results}.")
    say(f"Next: python -m mcvae_jax.inspect {workdir.folder}")


def _best_that_reads(checkpoints: Checkpoints, wanted: dict[str, Params], say: Say) -> Restored:
    """The best checkpoint; one that is damaged is removed, and the next best takes its place."""
    while True:
        try:
            return checkpoints.restore("best", wanted)
        except DamagedCheckpoint as error:
            say(f"{error} It is removed.")
            checkpoints.delete(error.step)
