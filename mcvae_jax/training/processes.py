"""Several processes that train as one: how they come together, what one makes for all, how all of them end.

A run is the same program in every process (of a TPU pod, of a cluster, or started by hand). The first one, process 0,
talks and writes; what needs to be made once is made there (`by_first`) and read by the others from the same disk. In
training all work together. A stop that reaches one reaches all, and they stop at the same step. When one is gone, all
others end within moments, with one line and the exit status LOST.
"""

import atexit
import contextlib
import dataclasses
import functools
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from mcvae_jax import stopping
from mcvae_jax.command import end_now, platform_mistake
from mcvae_jax.errors import UserError
from mcvae_jax.storage import buckets
from mcvae_jax.training.peers import Peers, ProcessLost, say
from mcvae_jax.training.rollcall import call, free_port, listen, roll_call

SECONDS = 300.0  # that a process waits for the others at the start
HEARTBEAT = 100  # seconds after which JAX misses a process whose connection stands, at most
LONGEST_ADDRESS = 512  # bytes
OF_OTHERS = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "coordination", "Connection", "preempted")

Made = TypeVar("Made")

_peers: Peers | None = None


@dataclasses.dataclass(frozen=True)
class Place:
    """What --distributed=HOST:PORT,PROCESSES,ID says."""

    host: str
    port: int
    count: int
    index: int


def read_place(how: str) -> Place | None:
    """The place that was said by hand; None for 'auto', which asks the cluster; UserError for anything else."""
    if how == "auto":
        return None
    try:
        address, count, index = how.split(",")
        host, port = address.rsplit(":", 1)
        place = Place(host.strip("[]"), int(port), int(count), int(index))
    except ValueError as error:
        raise UserError(f"--distributed={how}: give auto or HOST:PORT,PROCESSES,ID.") from error
    if not host or not 0 < place.port < 2**16:
        raise UserError(f"--distributed={how}: {address} is no address; give HOST:PORT, with a port from 1 to 65535.")
    if place.count < 1 or not 0 <= place.index < place.count:
        raise UserError(
            f"--distributed={how}: PROCESSES is {count} and ID is {index}; ID must be from 0 to PROCESSES - 1."
        )
    return place


@contextlib.contextmanager
def joined(how: str, seconds: float = SECONDS, facts: dict[str, Any] | None = None) -> Iterator[None]:
    """The work of this process among the others of its run; the end of the block waits for all to come there.

    Args:
      how: 'auto' asks the cluster, 'HOST:PORT,PROCESSES,ID' says it by hand; '' is one process alone.
      seconds: how long to wait for the others at the start.
      facts: JSON that must be the same for all, such as the config.

    Raises:
      UserError: an address that cannot be, or other facts.
      ProcessLost: not all have come in time.
    """
    if not how:
        yield
        return
    place = read_place(how)
    try:
        peers = _start(place, seconds, facts or {})
        with stopping.undone(lambda: peers.end(128 + stopping.received(), "")):
            yield
        with stopping.held("Stopping after the others"):  # whose last save may need this process
            peers.meet()
            peers.is_over = True
            jax.distributed.shutdown()
    except BaseException as error:
        lost = _missed(error)
        _leave(lost or error)
        if lost:
            raise lost from error
        raise


def by_first(name: str, make: Callable[[], Any]) -> Any:
    """make() of the first process, as JSON, for all: the others wait for it. All must call it in the same order."""
    peers = _all()
    if peers is None:
        return make()
    made = peers.by_first(name, lambda: _pushed(make))
    if not is_first():
        buckets.refresh()
    return made


def _pushed(make: Callable[[], Made]) -> Made:
    """make(), and what it wrote into a bucket is there."""
    made = make()
    buckets.flush()
    return made


def made_once(name: str, make: Callable[[], Made], read: Callable[[], Made]) -> Made:
    """make() of the first process, which leaves it on the disk, where the others then read() it."""
    made: list[Made] = []
    by_first(name, lambda: made.append(make()))
    if made:
        return made[0]
    try:
        return read()
    except UserError as error:
        raise UserError(f"{error} (process 0 has made it there: all processes need the same disk)") from error


def together(jitted: jax.stages.Wrapped) -> Callable[..., Any]:
    """A jitted function that several processes call: all have compiled it before any runs it.

    Where one is not there within 30 s, the collective operations of a CPU fail, and compiling may take one process so
    much longer than another.
    """
    compiled: set[Any] = set()

    @functools.wraps(jitted)
    def call(*arguments: Any) -> Any:
        peers = _all()
        if peers is not None:
            leaves, tree = jax.tree.flatten(arguments)
            shapes = tree, *((leaf.shape, leaf.dtype) for leaf in leaves)
            if shapes not in compiled:
                jitted.lower(*arguments).compile()  # the call below takes what is compiled here
                peers.meet()
                compiled.add(shapes)
        return jitted(*arguments)

    return call


def agree_to_stop(step: int) -> bool:
    """Whether all processes stop at this step, which each of them asks in training; alone, whether a stop was asked."""
    peers = _all()
    return bool(stopping.received()) if peers is None else peers.agree_to_stop(step)


def is_first() -> bool:
    """True in the one process that talks and writes files."""
    return jax.process_index() == 0


def is_alone() -> bool:
    """True where there is one process."""
    return jax.process_count() == 1


def _all() -> Peers | None:
    """The others; None where there are none. Where jax.distributed was started by other hands, connects to them."""
    if _peers is None and not is_alone():
        _connect(time.monotonic() + SECONDS)
    return _peers


def _start(place: Place | None, seconds: float, facts: dict[str, Any]) -> Peers:
    global _peers
    until = time.monotonic() + seconds
    heartbeat = max(10, min(HEARTBEAT, round(seconds)))
    if place is None:
        say(f"waiting for the other processes of this job ({seconds:.0f} s at most)")
        _initialize({}, seconds, heartbeat)
        peers = _connect(until)
    else:
        _peers = peers = roll_call(place.host, place.port, place.count, place.index, facts, until)
        others = {"coordinator_address": peers.service, "num_processes": place.count, "process_id": place.index}
        _initialize(others, max(30.0, until - time.monotonic()), heartbeat)
    stopping.take_back()  # JAX has taken SIGTERM for itself
    try:
        jax.devices()  # all of them at the same time, since each waits here for the others
    except Exception as error:
        if line := platform_mistake():
            raise UserError(line) from error
        raise
    return peers


def _initialize(arguments: dict[str, Any], seconds: float, heartbeat: int) -> None:
    try:
        jax.distributed.initialize(
            **arguments, initialization_timeout=round(seconds), heartbeat_timeout_seconds=heartbeat
        )
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        where = "" if arguments else "=auto finds no cluster here; give HOST:PORT,PROCESSES,ID"
        raise UserError(f"--distributed{where}: {reason}") from error


def _connect(until: float) -> Peers:
    """Connects processes that JAX has brought together: process 0 sends the others its address through it."""
    global _peers
    count, index = jax.process_count(), jax.process_index()
    said = np.zeros(LONGEST_ADDRESS, np.uint8)
    if index == 0:
        facts: dict[str, Any] = {"host": _own_address(), "port": free_port(), "key": uuid.uuid4().hex}
        data = json.dumps(facts).encode()
        said[: len(data)] = list(data)
        _peers = peers = Peers(count, index, f"{facts['host']}:{facts['port']}")
        server = listen(peers, "", facts["port"], facts)
    facts = json.loads(bytes(multihost_utils.broadcast_one_to_all(said)).rstrip(b"\0"))
    if index:
        _peers = peers = Peers(count, index, f"{facts['host']}:{facts['port']}")
        call(peers, facts["host"], facts["port"], facts, until)
    peers.wait_for_all(lambda: len(peers.here) == count, until)
    if index == 0:
        server.close()
    return peers


def _own_address() -> str:
    """The address of this machine by which it reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:  # a machine by itself
            return "127.0.0.1"


def _leave(error: BaseException) -> None:
    """This process ends before its time: the others hear why, and JAX does not wait for them."""
    if _peers is None:
        return
    if isinstance(error, KeyboardInterrupt):
        status, line = 128 + getattr(error, "number", 2), ""
    elif isinstance(error, UserError):
        status, line = error.status, str(error)
    else:
        status, line = 1, f"it ended with an error of the program, {type(error).__name__}; see what it printed"
    _peers.end(status, line)
    atexit.register(end_now, status)  # before JAX, which would wait for the others


def _missed(error: BaseException) -> ProcessLost | None:
    """What an error of JAX that comes from missing another process is to the user; None for any other."""
    if not isinstance(error, jax.errors.JaxRuntimeError) or not any(word in str(error) for word in OF_OTHERS):
        return None
    time.sleep(2.0)  # who is gone is told by the wire, which then ends this process
    reason = str(error).splitlines()[0][:200]
    return ProcessLost(f"the other processes do not answer ({reason}); the same command on all of them goes on")
