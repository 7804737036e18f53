"""MIDI ports: what is asked of them, and those of this machine by mido and python-rtmidi.

mido's MIDO_BACKEND names another backend than rtmidi, as it does for every program that plays with mido.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import mido

from mcvae_jax.errors import UserError
from mcvae_jax.text import brief

Hear = Callable[[float, mido.Message], None]  # a time of time.monotonic() and what came; called by any thread

INSTALL = "python-rtmidi is not installed, by which MIDI ports are reached: pip install 'mcvae_jax[live]'"
NO_ACCESS = "this system gives access to no MIDI ports ({}); on Linux 'modprobe snd-seq' may help, WSL has none"


class PortLost(UserError):
    """A port that has gone while it was played on."""


class InPort(Protocol):
    """Messages come from here until it is closed."""

    @property
    def name(self) -> str: ...
    def close(self) -> None: ...


class OutPort(Protocol):
    """Messages go here."""

    @property
    def name(self) -> str: ...
    def send(self, message: mido.Message) -> None:
        """Sends it at once. Raises PortLost."""

    def close(self) -> None: ...


class Ports(Protocol):
    """All ports that there are."""

    def names(self) -> tuple[list[str], list[str]]:
        """Of the ports from which messages come, and of those to which they go, at this moment."""

    def open_in(self, name: str, hear: Hear) -> InPort:
        """Opens one of these names."""

    def open_out(self, name: str) -> OutPort:
        """Opens one of these names."""


class MidoPorts:
    """The ports of this machine. UserError where none can be had at all."""

    def __init__(self) -> None:
        try:
            self._backend = mido.Backend(load=True)
        except ModuleNotFoundError as error:
            if error.name != "rtmidi":
                raise UserError(f"mido's backend is not there: {error}; unset MIDO_BACKEND") from None
            raise UserError(INSTALL) from None
        with _without_chatter():
            self.names()

    def names(self) -> tuple[list[str], list[str]]:
        """See `Ports`."""
        try:
            return self._backend.get_input_names(), self._backend.get_output_names()
        except Exception as error:  # each system's own
            raise UserError(NO_ACCESS.format(brief(error))) from None

    def open_in(self, name: str, hear: Hear) -> InPort:
        """See `Ports`."""

        def call(message: mido.Message) -> None:
            hear(time.monotonic(), message)

        return self._opened(self._backend.open_input, name, callback=call)

    def open_out(self, name: str) -> OutPort:
        """See `Ports`."""
        return _MidoOut(self._opened(self._backend.open_output, name))

    def _opened(self, opens: Callable[..., Any], name: str, **keywords: Any) -> Any:
        try:
            return opens(name, **keywords)
        except Exception as error:
            raise UserError(
                f"the port {name} cannot be opened ({brief(error)}); does another program hold it?"
            ) from None


class _MidoOut:
    def __init__(self, port: Any) -> None:
        self._port, self.name = port, str(port.name)

    def send(self, message: mido.Message) -> None:
        try:
            self._port.send(message)
        except Exception as error:  # OSError, ValueError of a closed one, and rtmidi's own
            raise PortLost(lost(self.name, error)) from None

    def close(self) -> None:
        self._port.close()


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """What libraries of the system print where they find no ports; the same is said in one line."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def lost(name: str, error: object = "") -> str:
    """The line that says that a port has gone."""
    why = f" ({brief(error)})" if error else ""
    return f"the port {name} has gone{why}; plug it in again and give the same command"


def find_port(asked: str, names: list[str], flag: str) -> str:
    """The port of this name, or the only one in whose name it stands; UserError that says which there are."""
    found = [name for name in names if name == asked] or [name for name in names if asked.lower() in name.lower()]
    found = list(dict.fromkeys(found))
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"'{brief(name)}'" for name in found or names) or "none; is the instrument plugged in?"
    if not asked:
        raise UserError(f"say with {flag}=PORT where to play; the ports are {there}")
    what = "several ports" if found else "no port"
    raise UserError(f"{flag}={brief(asked)}: {what} of that name; {'such are' if found else 'the ports are'} {there}")
