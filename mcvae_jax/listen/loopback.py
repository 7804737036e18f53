"""Ports in memory, for tests and measurements: whoever holds them is the instrument and the synthesizer."""

import threading
import time

import mido

from mcvae_jax.listen.ports import Hear, PortLost, lost


class Loopback:
    """A port for either way, of which the other ends are here: `play`, and `sent` with the times."""

    def __init__(self, name: str = "Loop") -> None:
        self.name = name
        self.sent: list[tuple[float, mido.Message]] = []
        self.is_open = threading.Event()
        self.is_lost = False
        self._hear: Hear = lambda when, message: None

    def names(self) -> tuple[list[str], list[str]]:
        """This one, until it is lost."""
        there = [] if self.is_lost else [self.name]
        return there, there

    def open_in(self, name: str, hear: Hear) -> "Loopback":
        """See `Ports`."""
        self._hear = hear
        self.is_open.set()
        return self

    def open_out(self, name: str) -> "Loopback":
        """See `Ports`."""
        return self

    def close(self) -> None:
        """What is played is not heard any more."""
        self._hear = lambda when, message: None

    def send(self, message: mido.Message) -> None:
        """See `OutPort`."""
        if self.is_lost:
            raise PortLost(lost(self.name))
        self.sent.append((time.monotonic(), message))

    def play(self, *messages: mido.Message) -> None:
        """The musician plays these now."""
        for message in messages:
            self._hear(time.monotonic(), message)

    @property
    def messages(self) -> list[mido.Message]:
        """What was sent, without the times."""
        return [message for _, message in self.sent]
