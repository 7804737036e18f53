"""Child processes that may die: a task that crashes, hangs or eats memory costs itself alone.

A child is a plain process of this interpreter, fed through pipes (child.py is its side). It imports only what its
function needs, and not the caller's main module, so notebooks and scripts need no guard around their code. The system
bounds its processor time and, on Linux, its memory; this side bounds its time by the clock and the size of its answers.
"""

import collections
import contextlib
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO, Any, NamedTuple

from mcvae_jax.child import HEADER, MAX_ANSWER, OUT_OF_MEMORY, End, Failure, How, Items, Limits
from mcvae_jax.errors import UserError

__all__ = ["Failure", "How", "Limits", "call", "map_chunks", "stream"]

PATIENCE = 10  # seconds by the clock for each of processor time: a machine may be busy
STARTING = 10.0  # seconds by the clock until a child has started
AHEAD = 64  # items that the child of a stream may be ahead
_PART = 1 << 20  # bytes that pass a pipe at a time
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def map_chunks(
    function: Callable[[Any], Any],
    chunks: Iterator[Sequence[Any]],
    workers: int,
    limits: Callable[[Any], Limits],
    failed: Callable[[Any, Failure], Any],
) -> Generator[Any, None, None]:
    """function(task) for every task of every chunk, in order, by `workers` children.

    Args:
      function: importable (or a partial of one); its result and its tasks go through pickle. A UserError that it raises
        is raised here.
      limits: of a task.
      failed: the result of a task that failed.
    """
    numbered = enumerate(chunks)
    children = [Child(function) for _ in range(workers)]
    given: dict[Child, tuple[int, Sequence[Any], list[Any]]] = {}  # number of a chunk, its tasks, their results
    done: dict[int, list[Any]] = {}
    emitted, following = 0, next(numbered, None)
    try:
        while following or given:
            for child in children:
                if following and child not in given and following[0] < emitted + 4 * workers:  # bounds `done`
                    given[child] = (*following, [])
                    child.send([(task, limits(task)) for task in following[1]])
                    following = next(numbered, None)
            for child in wait(list(given)):
                number, tasks, results = given[child]
                for result in child.collect():
                    results.append(failed(tasks[len(results)], result) if isinstance(result, Failure) else result)
                if len(results) == len(tasks):
                    done[number] = results
                    del given[child]
            while emitted in done:
                yield from done.pop(emitted)
                emitted += 1
    finally:
        for child in children:
            child.stop()


def call(function: Callable[[Any], Any], task: Any, limits: Limits) -> Any:
    """function(task) by a child: its result, or a Failure; raises the UserError that it raises."""
    chunks = iter([[task]])
    with contextlib.closing(map_chunks(function, chunks, 1, lambda _: limits, lambda _, failure: failure)) as results:
        return next(results)


def stream(function: Callable[[Any], Iterator[Any]], task: Any, limits: Limits) -> Iterator[Any]:
    """The items of function(task), made by a child as they are asked for; a Failure is the last.

    limits: of each item, in time; of all that is held at once, in memory. A UserError is raised here.
    """
    child = Child(Items(function, task), retries=False)
    try:
        while True:
            child.send([(None, limits)] * AHEAD)
            while not child.idle:
                wait([child])
                for item in child.collect():
                    if isinstance(item, End):
                        return
                    yield item
                    if isinstance(item, Failure):
                        return
    finally:
        child.stop()


def wait(children: Sequence["Child"]) -> list["Child"]:
    """The children that have something to collect, at least one child given; waits a second at most.

    Time counts for a child while this side waits for it: neither while the caller does other things, nor while both
    are stopped.
    """
    poller = select.poll()
    of = {handle: child for child in children for handle in child.register(poller)}
    started = time.monotonic()
    ready = {of[handle] for handle, _ in poller.poll(max(0.0, 1000 * min(1.0, *(child.left for child in children))))}
    waited = min(time.monotonic() - started, 1.0)
    for child in children:
        child.left -= waited
    return [child for child in children if child in ready or child.left <= 0]


def pipe_end(stream: IO[bytes] | None) -> IO[bytes]:
    """This side's end of a pipe to a process, which there is where the process was started with subprocess.PIPE."""
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream


class _Running(NamedTuple):
    """A process, and this side's ends of its pipes."""

    process: subprocess.Popen
    stdin: IO[bytes]
    stdout: IO[bytes]


class Child:
    """A child process: started when it has something to do, and again after it has failed."""

    def __init__(self, function: Callable[[Any], Any], retries: bool = True) -> None:
        """retries: whether a task that failed in a process that had done others is tried in a new one."""
        self._function, self._retries = pickle.dumps(function), retries
        self._running: _Running | None = None
        self._tasks: collections.deque[tuple[Any, Limits]] = collections.deque()
        self._unsent, self._received, self._served = memoryview(b""), bytearray(), 0
        self.left = math.inf  # seconds by the clock until the next result is late

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._tasks

    def send(self, tasks: Sequence[tuple[Any, Limits]]) -> None:
        """Gives tasks to an idle child."""
        self._tasks.extend(tasks)
        if self._running is not None:
            self._hand_over(self._running)

    def register(self, poller: select.poll) -> list[int]:
        """The handles on which something may happen; starts the process where it is not there."""
        running = self._running or self._start()
        wanted = [(running.stdout.fileno(), select.POLLIN)]
        if self._unsent:
            wanted.append((running.stdin.fileno(), select.POLLOUT))
        for handle, event in wanted:
            poller.register(handle, event)
        return [handle for handle, _ in wanted]

    def collect(self) -> list[Any]:
        """The results that have come, or Failures, in the order of the tasks; there may be none yet."""
        running = self._running or self._start()
        self._write(running)
        part = self._read(running)
        results = []
        while (answer := self._answer()) is not None:
            result = pickle.loads(answer)
            if isinstance(result, UserError):
                raise result
            results.append(result)
            self._tasks.popleft()
            self._served += 1
            self.left = self._tasks[0][1].seconds * PATIENCE if self._tasks else math.inf
        if self._tasks and (failure := self._failure(running, part)):
            again = self._retries and self._served and failure.how is not How.TOO_SLOW
            self.stop()
            if not again:
                results.append(failure)
                self._tasks.popleft()
        return results

    def stop(self) -> None:
        """Ends the process at once."""
        if self._running is not None:
            process, stdin, stdout = self._running
            process.kill()
            stdin.close()
            stdout.close()
            process.wait()
            self._running = None

    def _start(self) -> _Running:
        main = threading.current_thread() is threading.main_thread()
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from mcvae_jax.child import serve; serve({os.getpid()}, {main})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        running = self._running = _Running(process, pipe_end(process.stdin), pipe_end(process.stdout))
        os.set_blocking(running.stdin.fileno(), False)
        os.set_blocking(running.stdout.fileno(), False)
        self._unsent, self._received, self._served = memoryview(self._function), bytearray(), 0
        self._hand_over(running)
        self.left += STARTING
        return running

    def _hand_over(self, running: _Running) -> None:
        self._unsent = memoryview(bytes(self._unsent) + pickle.dumps(list(self._tasks)))
        self.left = self._tasks[0][1].seconds * PATIENCE
        self._write(running)

    def _write(self, running: _Running) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):  # that it ended is seen where it is read
            while self._unsent:
                sent = os.write(running.stdin.fileno(), self._unsent[:_PART])
                self._unsent = self._unsent[sent:]

    def _read(self, running: _Running) -> bytes | None:
        """Some of what is there to be read: None where nothing is, b'' where the process has ended."""
        try:
            part = os.read(running.stdout.fileno(), _PART)
        except BlockingIOError:
            return None
        self._received += part
        return part

    def _answer(self) -> bytes | None:
        """The next answer, where all of it has come."""
        if len(self._received) < HEADER.size:
            return None
        end = HEADER.size + HEADER.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        answer = bytes(self._received[HEADER.size : end])
        del self._received[:end]
        return answer

    def _failure(self, running: _Running, part: bytes | None) -> Failure | None:
        """Why the task at hand has failed, if it has; part: what was read last."""
        limits = self._tasks[0][1]
        if len(self._received) >= HEADER.size and HEADER.unpack_from(self._received)[0] > MAX_ANSWER << 20:
            return Failure(How.CRASHED, "it answered nonsense")
        if part is None and self.left <= 0:
            return Failure(How.TOO_SLOW, f"over {limits.seconds * PATIENCE:,.0f} s")
        if part != b"":
            return None
        running.process.kill()  # it has ended already, unless it closed its pipe alone
        status = running.process.wait()
        if status == OUT_OF_MEMORY:
            return Failure(How.TOO_MUCH_MEMORY, f"over {limits.mebibytes:,} MiB")
        if status == -signal.SIGXCPU:
            return Failure(How.TOO_SLOW, f"over {limits.seconds:,.0f} s of processor time")
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return Failure(How.CRASHED, f"its process died ({how})")
