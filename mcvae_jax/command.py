"""What the commands share: one clear line for a user's mistake, and no chatter of libraries."""

import argparse
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

from mcvae_jax.errors import UserError
from mcvae_jax.text import brief, for_terminal

_LONGEST = 300  # characters of what argparse says, which repeats the user's words


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
        raise UserError(f"{message}; --help lists the options")


def run_command(main: Callable[[list[str]], int | None]) -> None:
    """Exits with what main(arguments) returns; 2 after the one line of a UserError, 130 after Ctrl-C."""
    _quiet()
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        say(f"Error: {' '.join(str(error).splitlines())}", sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a line, or several, at once, also into a pipe, on any terminal; whatever stands in names is escaped."""
    stream = stream or sys.stdout
    print(for_terminal(text, stream.encoding), file=stream, flush=True)


def add_whole(
    parser: argparse._ActionsContainer, name: str, low: int, high: int, default: int | None, text: str
) -> None:
    """Adds the option --NAME, a whole number from low to high, to a parser or a group; its help tells both."""

    def number(given: str) -> int:
        return check_range(f"--{name}", int(given), low, high)

    number.__name__ = "whole number"  # argparse says so where it is none
    told = f"{text} ({low:,} to {high:,}" + ("" if default is None else f"; default: {default}") + ")"
    parser.add_argument(f"--{name}", type=number, default=default, metavar="N", help=told)


def check_range(name: str, value: int, low: int, high: int) -> int:
    """The value; UserError where it does not lie from low to high, before anything is tried with it."""
    if not low <= value <= high:
        raise UserError(f"{name} is {brief(value)}; it must be from {low:,} to {high:,}")
    return value


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
