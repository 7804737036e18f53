"""The lock of a folder in a bucket: an object with a sign of life, since no process can hold a bucket's file open.

Locks are numbered, .lock-1, .lock-2, ...; that with the highest number counts. A lock is made by creating an object
that must not be there yet, of which only one of many succeeds, so that of those who find a lock dead only one takes it
over. Whoever holds a lock writes it anew every BEAT seconds. A lock is dead when its process is, as far as the same
machine can tell, or when it has not changed for LIFE seconds, as measured by the one who waits: no clocks are compared.
"""

import json
import os
import re
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcvae_jax import stopping
from mcvae_jax.errors import UserError
from mcvae_jax.storage.objects import BucketError, Objects

BEAT, LIFE = 15.0, 60.0  # seconds
LOCK = ".lock-"

Say = Callable[[str], None]


class Lease:
    """The lock of one folder, held from `__init__` to `release`."""

    def __init__(self, objects: Objects, prefix: str, name: str, say: Say, wait: bool = False) -> None:
        """Takes the lock.

        Args:
          prefix: of the folder's objects, with a slash at its end.
          name: what the folder is called in messages.
          say: takes a line where the lock of another must be watched.
          wait: for the other process to end, else that is a UserError.
        """
        self._objects, self._prefix, self._name = objects, f"{prefix}{LOCK}", name
        self._here = {**this_process(), "token": uuid.uuid4().hex}
        self._beats, self.lost = 0, threading.Event()
        self._number = self._take(say, wait)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the lock back."""
        self._ended.set()
        self._thread.join()
        if not self.lost.is_set():
            self._objects.delete(self._lock(self._number))

    def _take(self, say: Say, wait: bool) -> int:
        while True:
            numbers = self._numbers()
            if numbers and not self._is_dead(numbers[-1], say, wait):
                continue
            number = max(numbers, default=0) + 1
            if self._objects.create(self._lock(number), self._content()):
                if max(self._numbers(), default=number) > number:  # another began where no lock had been seen
                    self._objects.delete(self._lock(number))
                    continue
                for old in numbers:
                    self._objects.delete(self._lock(old))
                return number

    def _is_dead(self, number: int, say: Say, wait: bool) -> bool:
        """Whether a lock can be taken over; False where it has gone by itself; UserError where its holder lives."""
        before = data = self._objects.read(self._lock(number))
        holder = _holder(data)
        known = is_alive(holder)
        if known is False:
            return True
        if known is None and data is not None:
            say(f"{self._name} is locked by {_describe(holder)}; watching it for {LIFE:.0f} s for a sign of life.")
        until = time.monotonic() + LIFE
        while data is not None:
            if known or data != before:
                if not wait:
                    raise UserError(
                        f"Another process is writing to {self._name} ({_describe(holder)}); wait or stop it."
                    )
                until = time.monotonic() + LIFE
                if is_alive(holder) is False:
                    return True
            elif time.monotonic() > until:
                return True
            time.sleep(min(1.0, LIFE / 20))
            before, data = data, self._objects.read(self._lock(number))
        return False

    def _live(self) -> None:
        """Writes the lock anew until it is released; learns whether another has taken it over."""
        while not self._ended.wait(BEAT):
            try:
                numbers = self._numbers()
                if numbers[-1:] != [self._number]:
                    self.lost.set()
                    self._objects.delete(self._lock(self._number))
                    stopping.ask(signal.SIGTERM, "lease")
                    return
                self._beats += 1
                self._objects.write(self._lock(self._number), self._content())
            except BucketError:  # it is tried again; who pushes says it
                continue

    def _content(self) -> bytes:
        return json.dumps(self._here | {"beats": self._beats}).encode()

    def _lock(self, number: int) -> str:
        return f"{self._prefix}{number}"

    def _numbers(self) -> list[int]:
        names = self._objects.list(self._prefix)
        return sorted(int(found[1]) for name in names if (found := re.fullmatch(r".*-(\d+)", name)))


def this_process() -> dict[str, Any]:
    """What tells this process from all others of all machines."""
    return {"host": socket.gethostname(), "pid": os.getpid(), **_space(), "started": _started(os.getpid())}


def is_alive(holder: dict[str, Any]) -> bool | None:
    """Whether a process lives, as far as can be told from here; None where it runs elsewhere."""
    here = _space()
    if not here["boot"] or any(holder.get(name) != value for name, value in here.items()):
        return None
    return bool(holder.get("started")) and _started(holder.get("pid")) == holder["started"]


def _space() -> dict[str, str]:
    """In which processes are told by their numbers: this start of this machine, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"boot": boot, "space": os.readlink("/proc/self/ns/pid")}
    except OSError:  # not Linux
        return {"boot": "", "space": ""}


def _started(pid: Any) -> str:
    """When a process began, in ticks since the machine did; '' where there is none, or it has ended."""
    try:
        state, *rest = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    except (OSError, ValueError, TypeError, IndexError):
        return ""


def _holder(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _describe(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown machine')}"
