"""What the commands share: one clear line for a user's mistake, an end when asked, and no chatter of libraries."""

import argparse
import atexit
import contextlib
import dataclasses
import difflib
import errno
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

from mcvae_jax import stopping
from mcvae_jax.errors import UserError
from mcvae_jax.places import shown
from mcvae_jax.text import brief, for_terminal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

PROGRAM = "mcvae"
COMMANDS = {
    "train": ("mcvae_jax.main", "trains a model, or all of them from music to new songs; goes on where it stopped"),
    "compose": ("mcvae_jax.sample", "makes songs with a trained model: new ones, or from your own"),
    "studio": ("mcvae_jax.studio", "opens a page in which you play or draw a phrase and a model answers"),
    "listen": ("mcvae_jax.listen", "answers what you play on a MIDI instrument, in time, bar by bar"),
    "evaluate": ("mcvae_jax.evaluate", "scores trained models beside n-grams and controls"),
    "corpus": ("mcvae_jax.corpus", "reads a folder of music and says what is in it"),
    "latents": ("mcvae_jax.latents", "writes the latent vectors of a corpus"),
    "inspect": ("mcvae_jax.inspect", "says what a workdir holds, or how two runs differ"),
    "weights": ("mcvae_jax.weights", "writes a trained model into one file, to share it"),
}  # of the program, with the modules that `python -m` runs

_LONGEST = 300  # characters of what argparse says, which repeats the user's words

REFUSALS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)  # of the system


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, like all others; names are written out."""

    def __init__(self, prog: str, **keywords: Any) -> None:
        keywords.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)  # the head of a module, as it is
        keywords["description"] = as_called(keywords.get("description") or "")
        super().__init__(as_called(prog), allow_abbrev=False, **keywords)

    def error(self, message: str) -> NoReturn:
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
        raise UserError(f"{message}; --help lists the options")


def run_command(main: Callable[[list[str]], int | None], go_on: str = stopping.GO_ON) -> None:
    """Exits with what main(arguments) returns, with the status of a UserError after its one line, or stopped.

    Stopped by Ctrl-C or SIGTERM it exits with 130 or 143 after the line that says what to do next, `go_on`.
    """
    _quiet()
    atexit.register(gc.freeze)  # else the interpreter's end looks for cycles in all libraries, for 0.4 s
    with stopping.obeyed(go_on):
        try:
            status = _status_of(main)
        except KeyboardInterrupt as stopped:
            if line := stopping.last_line():
                print(line, file=sys.stderr)
            status = 128 + getattr(stopped, "number", signal.SIGINT)
    if stopping.received():  # compiled code may still run, for which the interpreter would wait, and which may crash it
        end_now(status)
    sys.exit(status)


def end_now(status: int) -> NoReturn:
    """Ends the process without the interpreter's own end; what was printed is out."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def platform_mistake() -> str:
    """Why JAX finds no device of JAX_PLATFORMS, in a line; '' where it does, or was not asked for."""
    asked = os.environ.get("JAX_PLATFORMS")
    if not asked or "jax" not in sys.modules:
        return ""
    import jax  # not above: some commands need none of it

    with contextlib.suppress(Exception):  # RuntimeError, or AssertionError for cuda
        return "" if jax.devices() else ""
    jax.config.update("jax_platforms", None)
    there = ",".join(sorted({device.platform for device in jax.devices()}))
    return (
        f"JAX_PLATFORMS is {asked!r}, and JAX finds no such device here, but {there}; leave JAX_PLATFORMS away or say"
        f" {there}, or install jax for that device (https://docs.jax.dev/en/latest/installation.html)"
    )


def _status_of(main: Callable[[list[str]], int | None]) -> int:
    try:
        if any(argument.endswith("\r") for argument in sys.argv):
            raise UserError("the arguments end in carriage returns: the script has Windows line ends; take them away")
        return main(sys.argv[1:]) or 0
    except UserError as error:
        say(f"Error: {' '.join(str(error).splitlines())}", sys.stderr)
        return error.status
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        say(f"Error: {error.strerror}: {error.filename}", sys.stderr)
        return UserError.status
    except Exception as error:
        if line := platform_mistake():
            say(f"Error: {line}", sys.stderr)
            return UserError.status
        if number := stopping.received():  # a library has made another error of the stop
            raise stopping.Stopped(number) from error
        raise


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a line, or several, at once, also into a pipe, on any terminal; whatever stands in names is escaped."""
    stream = stream or sys.stdout
    print(for_terminal(shown(as_called(text)), stream.encoding), file=stream, flush=True)


def as_called(text: str) -> str:
    """The text as it is; for users of `mcvae` with 'mcvae compose' instead of 'python -m mcvae_jax.sample'."""
    if not sys.argv[0].startswith(f"{PROGRAM} "):
        return text
    names = {module: f"{PROGRAM} {name}" for name, (module, _) in COMMANDS.items()}
    return re.sub(r"python -m ([\w.]*\w)", lambda found: names.get(found[1], found[0]), text)


def hint(word: str, known: Iterable[str]) -> str:
    """'did you mean NAME?' of the nearest of the known words, or which there are."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def add_whole(
    parser: argparse._ActionsContainer, name: str, low: int, high: int, default: int | None, text: str
) -> None:
    """Adds the option --NAME, a whole number from low to high, to a parser or a group; its help tells both."""

    def number(given: str) -> int:
        return check_range(f"--{name}", int(given), low, high)

    number.__name__ = "whole number"  # argparse says so where it is none
    text = f"{text} ({low:,} to {high:,}" + ("" if default is None else f"; default: {default}") + ")"
    parser.add_argument(f"--{name}", type=number, default=default, metavar="N", help=text)


def check_range(name: str, value: int, low: int, high: int) -> int:
    """The value; UserError where it does not lie from low to high, before anything is tried with it."""
    if not low <= value <= high:
        raise UserError(f"{name} is {brief(value)}; it must be from {low:,} to {high:,}")
    return value


def option(text: str, default: Any = dataclasses.MISSING) -> Any:
    """A field of a dataclass of settings: what it is for, as its flag's help, and its default."""
    return dataclasses.field(default=default, metadata={"help": text})


def add_settings(
    parser: argparse._ActionsContainer,
    settings: type,
    choices: Mapping[str, Sequence[str]],
    owner: str = "",
    only: Sequence[str] = (),
) -> None:
    """A flag for each field of a dataclass of settings, which are `option`s; choices: of the fields that have such.

    owner: whose own values stand where a flag is not given, in words; then the flag is None.
    only: the fields that have a flag, where not all have one.
    """
    for field in dataclasses.fields(settings):
        if only and field.name not in only:
            continue
        required = field.default is dataclasses.MISSING
        text = field.metadata["help"].replace("%", "%%")
        parser.add_argument(
            f"--{field.name}",
            type=field.type,
            required=required,
            default=None if required or owner else field.default,
            choices=choices.get(field.name),
            metavar=None if field.name in choices else field.name.upper(),
            help=text if required else f"{text} (default: {f'{owner}, mostly ' * bool(owner)}{field.default!r})",
        )


def settings_of(flags: argparse.Namespace, settings: type[T], own: T | None = None) -> T:
    """The settings of flags that `add_settings` has added; where a flag is None `own`, or else the dataclass's."""
    known = {} if own is None else {field.name: getattr(own, field.name) for field in dataclasses.fields(settings)}
    found = {field.name: getattr(flags, field.name) for field in dataclasses.fields(settings)}
    return settings(**known | {name: value for name, value in found.items() if value is not None})


def clock(seconds: float) -> str:
    """312 -> '5:12', 3725 -> '1:02:05'."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _quiet() -> None:
    """Only errors of absl, Orbax, JAX and the libraries of Google's buckets are shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name in ("absl", "jax", "orbax", "google"):
        logging.getLogger(name).setLevel(logging.ERROR)
