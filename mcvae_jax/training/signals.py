"""Ctrl-C and SIGTERM ask a run to stop at the next step; a second one ends it at once."""

import os
import signal
import threading

from mcvae_jax.training import parallel

STOP = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Context in which the first SIGINT or SIGTERM is only noted in `received`.

    A thread looks at them, since Python's own handlers wait until the main thread leaves compiled code, which a long
    compilation does not. Python lets only the main thread ask for signals, and of several processes JAX watches
    SIGTERM itself (`parallel.agree_to_stop`); elsewhere this context changes nothing.
    """

    def __init__(self):
        self.received = 0
        self._old = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread() and parallel.is_alone():
            read, self._write = os.pipe()
            os.set_blocking(self._write, False)
            self._old_descriptor = signal.set_wakeup_fd(self._write)
            self._old = {number: signal.signal(number, lambda *_: None) for number in STOP}
            threading.Thread(target=self._watch, args=(read,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        if self._old:
            for number, handler in self._old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_descriptor)
            os.close(self._write)  # ends the thread

    def _watch(self, read: int) -> None:
        """Python writes the number of every signal into the pipe, whatever the main thread does."""
        while number := int.from_bytes(os.read(read, 1), "big"):
            if number in STOP and self.received:
                os._exit(128 + number)  # waits for nothing; checkpoints are whole or absent
            if number in STOP:
                self.received = number
                os.write(2, b"\nStopping after this step and saving; once more quits at once.\n")
        os.close(read)
