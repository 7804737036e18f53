"""What Orbax and TensorStore print that is no news, since the same is said in one line: silenced, and nothing else."""

import functools
import logging
import sys
import warnings
from asyncio.log import logger as asyncio_logger
from collections.abc import Callable
from typing import Any

LOGGED = (
    "read_only=True",  # a folder is only read, as is meant
    "read only=",
    "in background save thread",  # a save failed: each thread that hears of it prints a stack trace
    "_SignalingThread.run() raised an exception",
    "thread (save_finalize) failed",
    "Checkpointer failed: one or more items may not be finalized",
    "Failed to json parse Metadata file",  # of a checkpoint, of which only the time is taken from there
    "Failed to read Metadata file",
    "exception was never retrieved",  # of several arrays that cannot be read or written, Orbax awaits the first
)


@functools.cache
def silence() -> None:
    """From now on, for the whole process; what others print is left as it is."""
    for name in ("absl", asyncio_logger.name):
        logging.getLogger(name).addFilter(lambda record: not any(text in record.getMessage() for text in LOGGED))
    warnings.filterwarnings(
        "ignore", r"coroutine '\w+Handler\.metadata' was never awaited"
    )  # of a damaged list of arrays
    sys.excepthook = _but(sys.excepthook, lambda kind, error, trace: _is_closed_loop(error))
    sys.unraisablehook = _but(
        sys.unraisablehook, lambda about: _is_closed_loop(about.exc_value) or _is_abandoned_read(about.object)
    )


def _but(hook: Callable[..., None], is_no_news: Callable[..., bool]) -> Callable[..., None]:
    return lambda *about: None if is_no_news(*about) else hook(*about)


def _is_closed_loop(error: BaseException) -> bool:
    """TensorStore answers an event loop that Orbax has closed, as another array could not be read."""
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def _is_abandoned_read(where: Any) -> bool:
    """A coroutine of Orbax that reads an array, which nobody awaits any more."""
    return getattr(where, "__name__", "") in (
        "_read_array_index_and_device_put",
        "_read_shard",
        "read_and_create_array",
    )
