"""Ctrl-C and SIGTERM, obeyed alike in every stage of every command.

The first one asks to stop. Almost everywhere nothing is lost by that, since files are whole or absent: the main thread
raises Stopped at once and unwinds, and where compiled code keeps it longer than GRACE, the process ends without it.
A block that has something to save is `held`: there a stop is only noted in `received`, and the block ends by itself.
A second signal ends the process at once. SIGTERM again within ONE_STOP is still the first one, since systemd, Slurm and
shells each send it to all the processes that they know.

A command's work is `obeyed`: the process is the command's to end. A notebook's or script's call is `watched`: inside
`held` its first signal is noted, any other does what it did before. Only the main thread can have handlers; elsewhere
nothing changes.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 1.0  # seconds that the main thread has to unwind
ONE_STOP = 2.0  # seconds in which SIGTERM may come again and means nothing new
GO_ON = "The same command again goes on."


class Stopped(KeyboardInterrupt):
    """Raised in the main thread where a stop was asked for; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Signals:
    """What has been asked of this process, and how it ends."""

    def __init__(self) -> None:
        self.is_command = False  # the process is ours to end
        self.go_on = GO_ON
        self.undo: list[Callable[[], Any]] = []
        self.heard: list[Callable[[int], None]] = []
        self.handlers: dict[int, Any] = {}  # ours, while they are set
        self.held: list[str] = []  # what is said in the blocks that a stop waits for, the outermost first
        self.lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """As if nothing had been asked."""
        self.received = 0  # the first signal, from whomever
        self.since = 0.0  # when it came, a time of time.monotonic()
        self.asked: Counter[str] = Counter()  # how often, by who asked
        self.is_watched = False  # handlers of ours are set
        self.noted = self.raised = self.told = False
        self.pokes = 0  # signals that we sent to our own main thread

    def on_signal(self, old: Any, number: int, frame: Any) -> None:
        """Python calls it in the main thread, as soon as that leaves compiled code."""
        first, self.noted = not self.noted, True
        self.note(number)
        if self.held and (first or self.is_command):
            return
        if self.is_command:
            self.raise_once()
        elif callable(old):
            old(number, frame)
        elif old == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def note(self, number: int) -> None:
        with self.lock:
            first, self.received = not self.received, self.received or number
            if first and self.held and self.held[-1]:
                _tell(f"\n{self.held[-1]}; once more quits at once.")

    def raise_once(self) -> None:
        if not self.raised:
            self.raised = True
            raise Stopped(self.received)

    def watch(self, read: int) -> None:
        """The thread that sees every signal at once: Python writes its number into a pipe, whatever the main thread
        does."""
        while number := int.from_bytes(os.read(read, 1), "big"):
            with self.lock:
                ours, self.pokes = self.pokes > 0, max(0, self.pokes - 1)
            if number in SIGNALS and not ours:
                self.ask(number, "here")
        os.close(read)

    def ask(self, number: int, who: str) -> None:
        with self.lock:
            self.asked[who] += 1
            if self.asked[who] > 1:
                again = number == self.received == signal.SIGTERM and time.monotonic() - self.since < ONE_STOP
                if self.is_command and not again:
                    self.end(128 + number)
                return
            self.since = time.monotonic()
            self.note(number)
            if self.asked.total() > 1:
                return
        for call in self.heard:
            call(number)
        if self.is_command:
            threading.Thread(target=self.end_if_late, daemon=True).start()
            if who != "here" and (main := threading.main_thread().ident):
                with self.lock:
                    self.pokes += 1
                signal.pthread_kill(main, number)

    def end_if_late(self) -> NoReturn:
        """Ends the process once nothing has held it for GRACE."""
        since = time.monotonic()
        while time.monotonic() - since < GRACE:
            time.sleep(0.02)
            since = time.monotonic() if self.held else since
        self.end(128 + self.received, self.last_line())

    def last_line(self) -> str:
        """What is to be said at the end, once."""
        told, self.told = self.told, True
        start = "\n" if self.received == signal.SIGINT else ""  # a terminal has written ^C
        return "" if told else f"{start}Stopped. {self.go_on}"

    def end(self, status: int, line: str = "") -> NoReturn:
        if line:
            _tell(line)
        for call in reversed(self.undo):
            with contextlib.suppress(Exception):
                call()
        os._exit(status)


_signals = _Signals()


def while_importing(package: str) -> None:
    """For the head of a package: while `python -m PACKAGE.X` imports for seconds, Ctrl-C ends it without a trace."""
    if sys.argv[:1] == ["-m"]:  # which it is until X itself is run
        following = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
        if following and following[0].split(".")[0] == package:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def obeyed(go_on: str = GO_ON) -> Iterator[None]:
    """The whole work of a command, whose process ends after it; in the main thread.

    Args:
      go_on: said at the end of a stop: what the user can do next.
    """
    _signals.is_command, _signals.go_on = True, go_on
    restore, told = _set_handlers(), sys.unraisablehook
    # Where Stopped is raised inside a callback that cannot pass it on, the process ends after GRACE.
    sys.unraisablehook = lambda what: None if isinstance(what.exc_value, Stopped) else told(what)
    try:
        yield
    finally:
        restore()
        _signals.is_command, sys.unraisablehook = False, told
        if not _signals.received:
            _signals.forget()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """In a notebook or script: signals inside `held` are noted; where a command's handlers are set, they stay."""
    if _signals.is_watched or threading.current_thread() is not threading.main_thread():
        yield
        return
    restore = _set_handlers()
    try:
        yield
    finally:
        restore()
        _signals.forget()


@contextlib.contextmanager
def held(words: str) -> Iterator[None]:
    """A block that a stop waits for, since it has something to save; it looks at `received` itself.

    Args:
      words: what a user who stops it is told, as 'Stopping after this step and saving'; '' is nothing.

    Raises:
      Stopped: at the end of the outermost block, where a stop was asked for and nobody has taken it.
    """
    _signals.held.append(words)
    try:
        yield
    finally:
        _signals.held.remove(words)
    check()


def take_back() -> None:
    """Sets our handlers again, where a library has set its own since."""
    for number, handler in _signals.handlers.items():
        signal.signal(number, handler)


def received() -> int:
    """The signal that asked to stop, 0 where none has."""
    return _signals.received


def take() -> int:
    """The signal that asked to stop, or 0; its caller ends the work and says so, nobody else does any more."""
    if _signals.received:
        _signals.raised = _signals.told = True
    return _signals.received


def check() -> None:
    """Raises Stopped, in a command's main thread, where a stop was asked for and nothing holds it."""
    is_main = threading.current_thread() is threading.main_thread()
    if _signals.received and _signals.is_command and is_main and not _signals.held:
        _signals.raise_once()


def ask(number: int, who: str) -> None:
    """What a signal does, from elsewhere: `who` counts its own, as one stop may reach a process by two ways."""
    _signals.ask(number, who)


def when_asked(call: Callable[[int], None]) -> None:
    """call(signal) by another thread, when the first stop comes."""
    _signals.heard.append(call)


@contextlib.contextmanager
def undone(call: Callable[[], Any]) -> Iterator[None]:
    """If the process must be ended inside this block, call() is done first; it must be quick."""
    _signals.undo.append(call)
    try:
        yield
    finally:
        _signals.undo.remove(call)


def end(status: int, line: str) -> NoReturn:
    """Ends the process at once, from any thread, after a line on stderr."""
    _signals.end(status, line)


def last_line() -> str:
    """The line with which a command that was stopped ends; '' where it has been said."""
    return _signals.last_line()


def _set_handlers() -> Callable[[], None]:
    """Sets handlers and the thread that watches; returns what takes both away again."""
    _signals.is_watched = True
    read, write = os.pipe()
    os.set_blocking(write, False)
    old_descriptor = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    old = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in old.items():
        if handler is not None or _signals.is_command:  # None: another library's, which Python cannot put back
            _signals.handlers[number] = functools.partial(_signals.on_signal, handler)
    take_back()
    watcher = threading.Thread(target=_signals.watch, args=(read,), daemon=True)
    watcher.start()

    def restore() -> None:
        _signals.handlers.clear()
        is_over = _signals.is_command and _signals.received  # a stop that comes late by another way changes nothing
        for number, handler in old.items():
            if is_over or handler is not None:
                signal.signal(number, signal.SIG_IGN if is_over else handler)
        signal.set_wakeup_fd(old_descriptor)
        os.close(write)  # ends the thread, after what it has still to read
        watcher.join()

    return restore


def _tell(line: str) -> None:
    """Writes past Python's buffers, whose lock the main thread may hold."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # a notebook's, or none
        descriptor = 2
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{line}\n".encode())
