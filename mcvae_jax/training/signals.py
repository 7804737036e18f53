"""Ctrl-C and SIGTERM ask a run to stop at the next step; a second one ends it at once."""

import os
import signal
import threading

from mcvae_jax.training import parallel


class StopSignals:
    """Context in which the first SIGINT or SIGTERM is only noted in `received`.

    Python allows handlers in the main thread alone, and of several processes JAX watches SIGTERM itself
    (`parallel.agree_to_stop`); elsewhere this context changes nothing.
    """

    def __init__(self):
        self.received = 0
        self._old = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread() and parallel.is_alone():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame) -> None:
        if self.received:
            os._exit(128 + number)  # at once: no thread is waited for; checkpoints are whole or absent
        self.received = number
        os.write(2, b"\nStopping after this step and saving; once more quits at once.\n")
