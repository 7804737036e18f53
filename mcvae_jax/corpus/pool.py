"""Worker processes that may die: a task that crashes or hangs its worker costs that task alone.

The workers are plain child processes of this interpreter, fed through pipes. They import only what the
function needs, and not the caller's main module, so notebooks and scripts need no guard around their code.
"""

import contextlib
import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

CRASHED, TOO_SLOW = "crashed", "too slow"


def map_chunks(
    function: Callable[[Any], Any],
    chunks: Iterator[Sequence[Any]],
    workers: int,
    seconds: Callable[[Sequence[Any]], float],
    failed: Callable[[Any, str], Any],
) -> Iterator[Any]:
    """function(task) for every task of every chunk, in order, by `workers` processes.

    Args:
      function: importable (or a partial of one); its result and its tasks go through pickle.
      seconds: how long a chunk may take; if it takes longer it is done again task by task.
      failed: the result of a task that failed, from the task and CRASHED or TOO_SLOW.
    """
    chunks = enumerate(chunks)
    pool = [_Worker(function) for _ in range(workers)]
    done: dict[int, list[Any]] = {}
    emitted, following = 0, next(chunks, None)
    try:
        while True:
            for worker in pool:
                if following and worker.idle and following[0] < emitted + 4 * workers:  # bounds `done`
                    worker.send(*following, seconds(following[1]))
                    following = next(chunks, None)
            for worker in _ready(pool):
                index, chunk = worker.index, worker.chunk
                results = worker.receive()
                if not isinstance(results, list):
                    results = _one_by_one(worker, chunk, seconds, failed)
                done[index] = results
            while emitted in done:
                yield from done.pop(emitted)
                emitted += 1
            if not following and all(worker.idle for worker in pool) and not done:
                return
    finally:
        for worker in pool:
            worker.stop()


def _ready(pool: Sequence["_Worker"]) -> list["_Worker"]:
    """The busy workers that have answered, died or run out of time; waits for the first."""
    busy = [worker for worker in pool if not worker.idle]
    if not busy:
        return []
    wait = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    answered = select.select([worker.answers for worker in busy], [], [], wait)[0]
    now = time.monotonic()
    return [worker for worker in busy if worker.answers in answered or worker.deadline <= now]


def _one_by_one(worker: "_Worker", chunk: Sequence[Any], seconds: Callable, failed: Callable) -> list[Any]:
    results = []
    for task in chunk:
        worker.send(-1, [task], seconds([task]))
        _ready([worker])
        result = worker.receive()
        results += result if isinstance(result, list) else [failed(task, result)]
    return results


class _Worker:
    """One child process, started when it is first needed and again after it failed."""

    def __init__(self, function: Callable[[Any], Any]):
        self._function = pickle.dumps(function)
        self._process: subprocess.Popen | None = None
        self.idle = True

    def send(self, index: int, chunk: Sequence[Any], seconds: float) -> None:
        """Give it a chunk; a worker that is dead already is noticed in `receive`."""
        if self._process is None:
            path = os.pathsep.join(filter(None, sys.path))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mcvae_jax.corpus.pool"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
            )
            self._write(self._function)
        self.index, self.chunk, self.idle = index, chunk, False
        self.deadline = time.monotonic() + seconds
        self._write(pickle.dumps(chunk))

    def receive(self) -> list[Any] | str:
        """The results of its chunk; CRASHED or TOO_SLOW where there are none."""
        self.idle = True
        if not select.select([self.answers], [], [], 0)[0]:
            self.stop()
            return TOO_SLOW
        try:
            return pickle.load(self.answers)
        except (EOFError, pickle.UnpicklingError):
            self.stop()
            return CRASHED

    @property
    def answers(self):
        return self._process.stdout

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)
            self._process.stdin.flush()


def _serve() -> None:
    """The child's side: a function, then chunks until its input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    function = pickle.load(sys.stdin.buffer)
    while True:
        try:
            chunk = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump([function(task) for task in chunk], answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
