"""What the commands share: one clear line for a user's mistake, an end when asked, and no chatter of libraries."""

import argparse
import inspect
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from mcvae_jax import stopping
from mcvae_jax.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the options")


def run_command(main: Callable[[list[str]], int | None], go_on: str = stopping.GO_ON) -> None:
    """Exits with what main(arguments) returns, with the status of a UserError after its one line, or stopped.

    Stopped by Ctrl-C or SIGTERM it exits with 130 or 143 after the line that says what to do next, `go_on`.
    """
    _quiet()
    with stopping.obeyed(go_on):
        try:
            status = _status_of(main)
        except KeyboardInterrupt as stopped:
            if line := stopping.last_line():
                print(line, file=sys.stderr)
            status = 128 + getattr(stopped, "number", signal.SIGINT)
    sys.exit(status)


def _status_of(main: Callable[[list[str]], int | None]) -> int:
    try:
        return main(sys.argv[1:]) or 0
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if number := stopping.received():  # a library has made another error of the stop
            raise stopping.Stopped(number) from error
        raise


def say(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def comments_of(settings: type) -> dict[str, str]:
    """The comment behind each field of a dataclass, as the help of its option."""
    found = re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(settings), re.MULTILINE)
    return {name: comment.replace("%", "%%") for name, comment in found}


def clock(seconds: float) -> str:
    """312 -> '5:12', 3725 -> '1:02:05'."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _quiet() -> None:
    """Only errors of absl, Orbax and JAX are shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name in ("absl", "jax", "orbax"):
        logging.getLogger(name).setLevel(logging.ERROR)
