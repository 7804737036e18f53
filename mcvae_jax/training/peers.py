"""The wires between the processes of a run: a star of TCP connections to the first one, a JSON object a line.

JAX tells nobody who is missing, ends its processes with a stack of C++ when one dies, and has no public way to tell the
others of a stop. So each process keeps a connection to the first one from the roll call on. The system closes it
when a process dies, however it dies, and that is noticed at once.
"""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Required, TypedDict, TypeVar, Unpack

import msgspec

from mcvae_jax import stopping
from mcvae_jax.errors import UserError

LOST = 75  # EX_TEMPFAIL: nothing is wrong with the command, start all of them again
FIRST_LINE, LINES = 3.0, 30.0  # seconds until it is said who is waited for, and between such lines
LONGEST = 1 << 24  # bytes of a message
T = TypeVar("T")


class Message(TypedDict, total=False):
    """What processes tell each other; which fields there are goes by `kind`."""

    kind: Required[str]
    status: int
    line: str
    signal: int
    processes: list[int]
    address: str
    name: str
    value: Any
    number: int
    step: int


class ProcessLost(UserError):
    """Another process did not come, or is gone."""

    status = LOST


class Peers:
    """What this process knows of the others. Threads that read call `_take`; all else is the main thread's."""

    def __init__(self, count: int, index: int, address: str) -> None:
        self.count, self.index, self.address = count, index, address
        self.changed = threading.Condition()
        self.wires: dict[int, socket.socket] = {}  # to all others in process 0, to process 0 in the others
        self.here = {index}
        self.service = ""  # the address of JAX's own service in process 0; '' until all are there
        self.refused: UserError | None = None
        self.is_over = False  # all have come to their end: who leaves now is not missed
        self._values: dict[str, Any] = {}
        self._calls: Counter[str] = Counter()
        self._meetings = 0  # that this process has come to
        self._met: Counter[int] = Counter()  # the same of the others, as far as they tell this one
        self._step = -1  # that this process has reached in its training
        self._reached: dict[int, int] = {}  # the same of all, once a stop was asked for
        self._stop_at: int | None = None
        self._is_stopping = self._was_told = self._is_heard = self._is_dying = False
        self._sending = threading.Lock()
        stopping.when_asked(self._tell_stop)

    # ---- the main thread

    def wait(self, is_so: Callable[[], bool], until: float = float("inf")) -> bool:
        """Returns when it is so, or at a time of time.monotonic(): whether it is; Stopped where a stop may come."""
        with self.changed:
            while not is_so() and self.refused is None and time.monotonic() < until:
                self.changed.wait(0.1)
                stopping.check()
            if self.refused is not None:
                raise self.refused
            return is_so()

    def wait_for_all(self, is_so: Callable[[], bool], until: float) -> None:
        """The same for the roll call, with lines that say who is missing; ProcessLost when time is over."""
        started, told = time.monotonic(), FIRST_LINE
        while not self.wait(is_so, min(until, started + told)):
            if time.monotonic() >= until:
                raise ProcessLost(f"{self._missing()} did not come within {until - started:.0f} s; start all of them")
            say(f"waiting for {self._missing()} ({until - time.monotonic():.0f} s left)")
            told += LINES

    def by_first(self, name: str, make: Callable[[], Any]) -> Any:
        """make() of process 0, for all: the others wait for it. JSON."""
        self._calls[name] += 1
        key = f"{name} {self._calls[name]}"
        if self.index == 0:
            value = make()
            self._tell({"kind": "value", "name": key, "value": value})
            return value
        self.wait(lambda: key in self._values)
        return self._values.pop(key)

    def meet(self) -> None:
        """Returns when all have called it."""
        self._meetings += 1
        number = self._meetings
        if self.index:
            self._tell({"kind": "met", "number": number})
            self.wait(lambda: self._met[0] >= number)
        else:
            self.wait(lambda: all(self._met[index] >= number for index in range(1, self.count)))
            self._tell({"kind": "met", "number": number})

    def agree_to_stop(self, step: int) -> bool:
        """Whether all stop at this step, which each of them calls this at: the first that none has passed yet."""
        with self.changed:
            if not self._is_stopping or self._stop_at is not None:
                self._step = step
                return self._stops_at(step)
        self.wait(lambda: self._stop_at is not None)
        self._step = step
        return self._stops_at(step)

    def _stops_at(self, step: int) -> bool:
        return self._stop_at is not None and step >= self._stop_at

    def end(self, status: int, line: str) -> None:
        """Tells the others that this process ends badly, and waits for them to hear it."""
        if self._is_dying:
            return
        self.is_over = True
        self._tell({"kind": "end", "status": status, "line": line and f"process {self.index}: {line}"})
        until = time.monotonic() + 3.0
        with self.changed:  # a reader takes away the wire that has been closed at its other end
            while self.wires and time.monotonic() < until:
                self.changed.wait(0.05)

    # ---- wires

    def attach(self, index: int, wire: socket.socket, lines: Any) -> None:
        """Takes over a connection to a process, and a thread to read it (`lines` is its file)."""
        wire.settimeout(None)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with self.changed:
            self.wires[index] = wire
        threading.Thread(target=self._read, args=(index, lines), daemon=True).start()

    def _read(self, index: int, lines: Any) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            while line := lines.readline(LONGEST):
                self._take(message_of(line, Message), index)
                self._is_heard = True
        with self.changed:
            del self.wires[index]
            if not self._is_heard and self.index and self.refused is None:
                self.refused = UserError(
                    f"what answers at {self.address} is no process of this run; choose another port"
                )
            is_missed = not self.is_over and self.refused is None
            self.changed.notify_all()
        if is_missed and self._is_stopping:
            self._die(128 + stopping.received(), "", index)
        elif is_missed:
            self._die(LOST, f"process {index} of {self.count} is gone, or cannot be reached", index)

    def _take(self, message: Message, sender: int) -> None:
        """What another process says; called by the thread that reads from it."""
        kind = message["kind"]
        if kind == "end":
            self._die(message["status"], message["line"], sender)
        if kind == "stop":
            with self.changed:
                known, self._was_told = self._was_told or self._is_stopping, True
            if not known:
                stopping.ask(message["signal"], "peers")  # which calls _tell_stop
        with self.changed:
            if kind == "here":
                self.here = set(message["processes"])
            elif kind == "refused":
                self.refused = _error(message["status"], message["line"])
            elif kind == "service":
                self.service = message["address"]
            elif kind == "value":
                self._values[message["name"]] = message["value"]
            elif kind == "met":
                self._met[sender] = message["number"]
            elif kind == "reached":
                self._note_reached(sender, message["step"])
            elif kind == "stop_at":
                self._stop_at = message["step"]
            self.changed.notify_all()

    def _tell(self, message: Message, but: int = -1) -> None:
        data = json.dumps(message).encode() + b"\n"
        for index, wire in list(self.wires.items()):
            if index != but:
                with self._sending, contextlib.suppress(OSError):  # its reader notices
                    wire.sendall(data)

    def tell_all(self, **message: Unpack[Message]) -> None:
        """From process 0 to the others, or from these to process 0."""
        self._tell(message)

    # ---- stops and ends

    def _tell_stop(self, number: int) -> None:
        """The first stop, from wherever it came, reaches all; each says how far it is."""
        with self.changed:
            self._is_stopping = True
            step = self._step
        self._tell({"kind": "stop", "signal": int(number)})
        if self.index:
            self._tell({"kind": "reached", "step": step})
        else:
            with self.changed:
                self._note_reached(0, step)

    def _note_reached(self, index: int, step: int) -> None:
        """In process 0."""
        self._reached[index] = step
        if len(self._reached) == self.count:
            self._stop_at = max(self._reached.values()) + 1
            self._tell({"kind": "stop_at", "step": self._stop_at})
            self.changed.notify_all()

    def _die(self, status: int, line: str, teller: int) -> None:
        """Ends this process, as another one has ended; process 0 first tells the others."""
        with self.changed:
            if self._is_dying:
                return
            self.is_over = self._is_dying = True
        if self.index == 0:
            self._tell({"kind": "end", "status": status, "line": line}, but=teller)
            time.sleep(0.2)  # JAX ends those that have not heard it by then with a stack
        if status > 128:
            stopping.end(status, stopping.last_line())
        go_on = "; the same command on all of them goes on from what is saved" if status == LOST else ""
        stopping.end(status, f"Error: {line}{go_on}")

    def _missing(self) -> str:
        missing = sorted(set(range(self.count)) - self.here)
        names = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        return f"{len(missing)} of {self.count} processes at {self.address} (number {names})"


def message_of(line: bytes, shape: type[T]) -> T:
    """A line that came over a wire, as `shape` (a TypedDict); ValueError where it is none."""
    try:
        return msgspec.convert(json.loads(line), shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError("no message of a process of this run") from error


def say(line: str) -> None:
    """A line for people, from whichever process."""
    print(line, flush=True)


def _error(status: int, line: str) -> UserError:
    return (ProcessLost if status == LOST else UserError)(line)
