"""The child's side of children.py: does tasks one by one, within limits, and dies with its parent."""

import contextlib
import ctypes
import enum
import math
import os
import pickle
import resource
import select
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mcvae_jax.errors import UserError
from mcvae_jax.text import brief

MAX_ANSWER = 64  # MiB, pickled
OUT_OF_MEMORY = 77  # exit status
HEADER = struct.Struct(">Q")  # the size of the answer that follows
_MAPPED = 512  # MiB of address space beside what counts as memory: libraries
_PR_SET_PDEATHSIG = 1


class Limits(NamedTuple):
    """What a task may use."""

    seconds: float  # of processor time; by the clock children.PATIENCE times as many
    mebibytes: int  # of memory, all that the process holds


class How(enum.Enum):
    """How a task fails."""

    CRASHED = "crashed"
    TOO_SLOW = "too slow"
    TOO_MUCH_MEMORY = "too much memory"
    TOO_LARGE = "answer too large"


class Failure(NamedTuple):
    """What comes in place of a task's result."""

    how: How
    detail: str  # names the limit, or what happened


class End(NamedTuple):
    """What comes after the last item of a stream."""


class Items:
    """A task for each item of function(task): called again and again it gives them one by one, then End()."""

    def __init__(self, function: Callable[[Any], Iterator[Any]], task: Any) -> None:
        self._function, self._task = function, task
        self._items: Iterator[Any] | None = None

    def __call__(self, _: None) -> Any:
        if self._items is None:
            self._items = iter(self._function(self._task))
        return next(self._items, End())


def serve(parent: int, by_main_thread: bool) -> None:
    """Does what comes through standard input, until that ends: a function, then lists of (task, limits)."""
    _die_with(parent, by_main_thread)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the parent decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    try:
        function, memory = pickle.load(sys.stdin.buffer), 0
        while True:
            for task, limits in pickle.load(sys.stdin.buffer):
                if limits.mebibytes != memory:
                    memory = limits.mebibytes
                    _bound(resource.RLIMIT_DATA, memory << 20)
                    _bound(resource.RLIMIT_AS, (memory + _MAPPED) << 20)
                _bound(resource.RLIMIT_CPU, math.ceil(time.process_time() + limits.seconds))
                answer = answer_of(function, task)
                answers.write(HEADER.pack(len(answer)) + answer)
                answers.flush()
    except EOFError:
        return
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # what is left of the process is not to be trusted


def answer_of(function: Callable[[Any], Any], task: Any) -> bytes:
    """The pickled result, Failure or UserError of a task; MemoryError where it needs too much."""
    try:
        result = function(task)
    except UserError as error:
        result = error
    except MemoryError:
        raise
    except Exception as error:
        result = Failure(How.CRASHED, brief(f"{type(error).__name__}: {error}"))
    answer = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    if len(answer) > MAX_ANSWER << 20:
        answer = pickle.dumps(Failure(How.TOO_LARGE, f"what it holds takes over {MAX_ANSWER} MiB"))
    return answer


def _bound(kind: int, bound: int) -> None:
    """Sets a limit of the system, not above what this process may have; where there is none, it goes without."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


def _die_with(parent: int, by_main_thread: bool) -> None:
    """Ends this process when its parent does: by the system on Linux, and by a thread that sees its pipe close.

    Linux takes the end of the thread that started this process for the parent's, so only the main thread's counts.
    """
    if sys.platform == "linux" and by_main_thread:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before this was said
            os._exit(1)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    closed = select.poll()
    closed.register(sys.stdin.fileno(), 0)  # that the other end has closed is always told
    closed.poll()
    os.kill(os.getpid(), signal.SIGKILL)
