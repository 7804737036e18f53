"""What reading may cost while it is fuzzed in this very process, where no child bounds it."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

from mcvae_jax.children import Limits


class _Late(BaseException):
    """Nothing that a reader catches."""


@contextlib.contextmanager
def within(limits: Limits) -> Iterator[None]:
    """AssertionError where the block takes more processor time, MemoryError where it takes more memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, _raise_late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (limits.mebibytes << 20), hard))
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        yield
    except _Late:
        raise AssertionError(f"it takes over {limits.seconds} s") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _raise_late(*_) -> None:
    raise _Late
