"""What a run finds out about itself while it trains: finiteness, metrics of both sides, rate and ETA."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mcvae_jax.command import clock
from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import OBJECTIVE
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.training import metrics, parallel, processes
from mcvae_jax.training.optimizer import make_schedule
from mcvae_jax.training.task import Params, Sums, Task
from mcvae_jax.training.update import Report, make_held_out_sums


class NotFinite(Exception):
    """An update or an evaluation gave a NaN or an infinity; the message names the step."""


class Journal:
    """Looks at each update one step late, so that fetching its figures does not hold up the next one."""

    def __init__(self, task: Task, config: Any, workdir: Workdir, say: Callable[[str], None], step: int) -> None:
        board = workdir.tensorboard if config.train.tensorboard else None
        self._log = metrics.MetricsLog(workdir.metrics, step, say, board) if processes.is_first() else None
        self._earlier = self._log.seconds if self._log else 0.0
        self._train, self._say, self._first_step = config.train, say, step
        self._metrics_fn = metrics.compile_scalars(lambda sums, step: task.objective(sums, step)[1])
        self._learning_rate = make_schedule(config.optimizer)
        self._pending: tuple[int, Report] | None = None
        self._window: dict[str, np.ndarray] | None = None
        self._window_weight = 0.0
        self._started = self._window_started = time.perf_counter()

    def note(self, step: int, report: Report) -> None:
        """Takes the report of the update that led to `step`, and looks at the one before."""
        self.flush()
        self._pending = step, report

    def flush(self) -> None:
        """Looks at the pending report: NotFinite where it is not, a log line where one is due."""
        if self._pending is None:
            return
        (step, report), self._pending = self._pending, None
        report = jax.device_get(report)
        if not report.finite:
            raise NotFinite(f"update {step}: loss {report.loss:.4g}, gradient norm {report.grad_norm:.4g}")
        self._window = window = metrics.add_sums(self._window, report.sums)
        self._window_weight += float(report.sums["weight"])
        if step == self._first_step + 1:  # this one compiled; rate and ETA are counted from here
            self._started = self._window_started = time.perf_counter()
            self._window_weight = 0.0
        if step % self._train.log_every == 0 or step == self._train.steps:
            self._write_window(step, report, window)
            self._window, self._window_weight, self._window_started = None, 0.0, time.perf_counter()

    def write_held_out(self, step: int, scores: dict[str, float]) -> None:
        """The lines of an evaluation."""
        self._say(f"held-out at step {step}:  {metrics.terms(scores)}")
        self._write(step, metrics.HELD_OUT, scores)

    def close(self) -> None:
        """Flushes and closes the files."""
        self.flush()
        if self._log:
            self._log.close()

    def _write_window(self, step: int, report: Report, window: dict[str, np.ndarray]) -> None:
        """The lines of all updates since the last ones, their sums taken together as those of one batch."""
        now, steps = time.perf_counter(), self._train.steps
        scores = self._metrics_fn(metrics.as_float32(window), np.int32(step - 1))
        eta = (steps - step) * (now - self._started) / max(step - self._first_step - 1, 1)
        rate = self._window_weight / max(now - self._window_started, 1e-9)
        self._say(
            f"step {step}/{steps}  {100 * step // steps}%  {rate:.0f}/s  ETA {clock(eta)}  " + metrics.terms(scores)
        )
        more = {"learning_rate": float(self._learning_rate(step - 1)), "grad_norm": float(report.grad_norm)}
        self._write(step, metrics.TRAIN, scores | more | {"examples_per_second": round(rate, 1)})

    def _write(self, step: int, split: str, values: dict[str, float]) -> None:
        if self._log:
            seconds = self._earlier + time.perf_counter() - self._started
            self._log.write(step, split, values | {"seconds": round(seconds, 2)})


def make_evaluation(task: Task, layout: parallel.Layout, seed: int) -> Callable[[Params, int], dict[str, float]]:
    """The function evaluate(params, step) -> held-out metrics, with 'objective' first among them."""
    sums_fn = layout.compile_sums(make_held_out_sums(task), seed)

    @metrics.compile_scalars
    def scores_fn(sums: Sums) -> dict[str, jax.Array]:
        objective, scores = task.held_out_objective(sums)
        return {OBJECTIVE: objective} | scores

    def evaluate(params: Params, step: int) -> dict[str, float]:
        total = None
        for batch in task.held_out_batches():
            placed = layout.place_batch(parallel.pad_batch(batch, layout.devices))
            total = metrics.add_sums(total, sums_fn(params, placed))
        if total is None or total["weight"] == 0:
            raise UserError("There are no held-out examples; hold out a larger share, or take more music.")
        scores = scores_fn(metrics.as_float32(total))
        if not np.isfinite(scores[OBJECTIVE]):
            raise NotFinite(f"update {step}: held-out objective {scores[OBJECTIVE]}")
        return scores

    return evaluate
