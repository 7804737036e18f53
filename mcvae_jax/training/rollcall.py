"""How processes find each other: process 0 listens at an address, the others call it, and all must fit together."""

import errno
import json
import os
import socket
import threading
import time
from typing import Any, TypedDict

from mcvae_jax.errors import UserError
from mcvae_jax.storage.workdir import differences
from mcvae_jax.training.peers import FIRST_LINE, LINES, LONGEST, LOST, Message, Peers, ProcessLost, message_of, say

Facts = dict[str, Any]


class Hello(TypedDict):
    """What a process says first to process 0."""

    process: int
    processes: int
    facts: Facts


def roll_call(host: str, port: int, count: int, index: int, facts: Facts, until: float) -> Peers:
    """Returns when all processes are there and fit together; `service` is then an address for JAX's own service.

    Args:
      host, port: where process 0 is called.
      facts: JSON that is to be the same in all.
      until: a time of time.monotonic().

    Raises:
      UserError: they do not fit together, or the address cannot be.
      ProcessLost: not all have come in time.
    """
    name = f"[{host}]" if ":" in host else host
    peers = Peers(count, index, f"{name}:{port}")
    if index:
        call(peers, host, port, facts, until)
        peers.wait_for_all(lambda: bool(peers.service), until + 5.0)  # process 0 says first who has not come
        return peers
    server = listen(peers, host, port, facts)
    try:
        peers.wait_for_all(lambda: len(peers.here) == count, until)
    except ProcessLost as error:
        peers.tell_all(kind="refused", status=LOST, line=str(error))
        raise
    finally:
        server.close()
    peers.service = f"{name}:{free_port()}"
    peers.tell_all(kind="service", address=peers.service)
    return peers


def listen(peers: Peers, host: str, port: int, facts: Facts) -> socket.socket:
    """Process 0: takes the others' calls at an address from now on, by a thread; those that do not fit are refused."""
    try:
        server = _server(host, port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise UserError(f"process 0 cannot listen at {peers.address} ({reason}); choose another port") from error

    numbers: set[int] = set()  # of those that have called

    def take_calls() -> None:
        while True:
            try:
                wire, _ = server.accept()
            except OSError:  # closed
                return
            threading.Thread(target=_welcome, args=(peers, wire, facts, numbers), daemon=True).start()

    threading.Thread(target=take_calls, daemon=True).start()
    return server


def _server(host: str, port: int) -> socket.socket:
    """Listens at the address, or where this machine has it under another name, at all that it has."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise
        return socket.create_server(("", port))


def _welcome(peers: Peers, wire: socket.socket, facts: Facts, numbers: set[int]) -> None:
    """One call: its first line says who calls and what for; `numbers` gets its own where it fits."""
    lines = wire.makefile("rb")
    try:
        wire.settimeout(10)
        hello = message_of(lines.readline(LONGEST), Hello)
        index = hello["process"]
        with peers.changed:  # two that call at the same time with one number do not both fit
            wrong = _mismatch(peers, facts, hello, numbers)
            if not wrong:
                numbers.add(index)
        refusal: Message = {"kind": "refused", "status": UserError.status, "line": wrong}
        if wrong:
            wire.sendall(json.dumps(refusal).encode() + b"\n")
    except (OSError, ValueError, RecursionError):  # somebody else, who knocks at every port
        wire.close()
        return
    if wrong:
        wire.close()
        if hello["facts"].get("key") == facts.get("key"):  # one of this run, which cannot start
            peers.tell_all(**refusal)
            with peers.changed:
                peers.refused = UserError(wrong)
        return
    peers.attach(index, wire, lines)
    with peers.changed:
        peers.here.add(index)
        peers.changed.notify_all()
    peers.tell_all(kind="here", processes=sorted(peers.here))


def _mismatch(peers: Peers, facts: Facts, hello: Hello, numbers: set[int]) -> str:
    """Why a process cannot be of this run, of which some have called; '' where it can."""
    index = hello["process"]
    if hello["processes"] != peers.count:
        return f"process {index} was told of {hello['processes']} processes, process 0 of {peers.count}"
    if index in numbers or not 0 < index < peers.count:
        return f"two processes have the number {index}; give each its own, from 0 to {peers.count - 1}"
    changes = differences(facts, hello["facts"])
    return f"process {index} was started otherwise than process 0: {'; '.join(changes)}" if changes else ""


def call(peers: Peers, host: str, port: int, facts: Facts, until: float) -> None:
    """The other processes: calls process 0 until it is there; ProcessLost when time is over."""
    hello = {"process": peers.index, "processes": peers.count, "facts": facts}
    started, told, reason = time.monotonic(), FIRST_LINE, ""
    while True:
        try:
            wire = socket.create_connection((host, port), timeout=2)
            wire.sendall(json.dumps(hello).encode() + b"\n")
            peers.attach(0, wire, wire.makefile("rb"))
            return
        except OSError as error:
            reason = error.strerror or str(error)
        now = time.monotonic()
        if now >= until:
            raise ProcessLost(f"process 0 at {peers.address} did not answer within {until - started:.0f} s ({reason})")
        if now - started > told:
            say(f"waiting for process 0 at {peers.address} ({until - now:.0f} s left; {reason})")
            told += LINES
        peers.wait(lambda: False, now + 0.3)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]
