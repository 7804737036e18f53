"""A command that runs in a child process, for what a process cannot do for itself: to end in one line.

When another process of a run dies, or the network goes, JAX's coordination service ends this one from C++, with a
stack, wherever it is; no option of JAX turns that off. So of several processes each is two: a parent that waits, and
a child that works. What C++ writes goes through the parent, who shows it only where the child dies of something else.

    parent -> child    a byte for the signal that asks to stop, through the child's standard input; its end is the
                       parent's end
    child -> parent    what C++ writes to descriptors 1 and 2, which Python's own streams leave
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

from mcvae_jax import stopping
from mcvae_jax.children import pipe_end
from mcvae_jax.training.peers import LOST

CHILD = "MCVAE_CHILD"  # in the environment of a child
KEPT = 1 << 18  # bytes of what C++ wrote, at most
OF_JAX = ("JAX distributed service", "coordination service", "coordination_service")
GO_ON = "the same command on all of them goes on from what is saved"


def is_child() -> bool:
    """Whether this process is the child that does the work."""
    return CHILD in os.environ


def run(module: str, argv: Sequence[str]) -> int:
    """Runs `python -m MODULE ARGUMENTS` as a child to its end; its exit status, LOST where JAX ended it."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *argv],
        stdin=subprocess.PIPE,
        pass_fds=(write,),
        env=os.environ | {CHILD: str(write)},
        start_new_session=True,  # a terminal's Ctrl-C comes by this process alone
    )
    os.close(write)
    stdin = pipe_end(process.stdin)
    written = bytearray()
    reader = threading.Thread(target=_collect, args=(read, written), daemon=True)
    reader.start()
    stopping.when_asked(lambda number: _pass_on(stdin, number))
    with stopping.held(""):  # the child speaks for itself; a second signal ends this process, and so the child
        status = process.wait()
        stopping.take()
    reader.join(1.0)
    return _explained(status, written.decode(errors="replace"))


def work() -> None:
    """In the child: Python's streams stay where they are, those of C++ go to the parent, whose signals are obeyed."""
    write = int(os.environ[CHILD])
    for number, stream in ((1, "stdout"), (2, "stderr")):
        getattr(sys, stream).flush()
        copy = os.fdopen(os.dup(number), "w", buffering=1, encoding=getattr(sys, stream).encoding, errors="replace")
        setattr(sys, stream, copy)
        os.dup2(write, number)
    os.close(write)
    threading.Thread(target=_obey, args=(os.dup(0),), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _pass_on(stdin: IO[bytes], number: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended
        stdin.write(bytes([number]))
        stdin.flush()


def _obey(read: int) -> None:
    while number := os.read(read, 1):
        stopping.ask(number[0], "parent")
    os._exit(128 + signal.SIGKILL)  # the parent is gone, so nobody waits for this process


def _collect(read: int, written: bytearray) -> None:
    while data := os.read(read, 1 << 16):
        written += data
        del written[: max(0, len(written) - KEPT)]


def _explained(status: int, written: str) -> int:
    """The exit status for the shell, after the line that a child could not say."""
    if status >= 0:
        if status == 1:  # an error of the program, of which this may tell more
            sys.stderr.write(written)
        return status
    if status == -signal.SIGABRT and any(words in written for words in OF_JAX):
        print(f"Error: {_who_is_gone(written)}; {GO_ON}", file=sys.stderr)
        return LOST
    if status == -signal.SIGKILL:
        print(f"Error: this process was killed, perhaps as memory ran out; {GO_ON}", file=sys.stderr)
        return LOST
    sys.stderr.write(written)
    print(f"Error: this process died of {signal.Signals(-status).name}; {GO_ON}", file=sys.stderr)
    return 128 - status


def _who_is_gone(written: str) -> str:
    """What the text says of the other processes."""
    if found := re.search(r"unhealthy[^\n]*:\s*((?:\d+[\s,]*)+)", written):
        gone = found[1].split()
        return f"process {', '.join(gone)} of this run {'is' if len(gone) == 1 else 'are'} gone, or cannot be reached"
    if "RegisterTask" in written or "timed out" in written:
        return "not all processes of this run came in time"
    return "another process of this run is gone, or cannot be reached"
