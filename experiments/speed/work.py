"""What contenders have in common: a piece of work, and how it is timed.

A contender is a process of its own, so that two libraries share neither threads nor memory. `contender.py` runs in it.
"""

import dataclasses
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mcvae_jax.music.tokens import OUTCOMES

STEPS = 16  # of a bar
SECONDS_BETWEEN_WAITS = 0.2  # so long a queue of asynchronous work hides what waiting costs


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large the work is. Fields that a kind of work does not know do not matter to it."""

    what: str
    units: int = 256
    batch: int = 64
    latent: int = 32
    layers: int = 2
    bars: int = 64  # of a song
    components: int = 10  # of the mixture
    songs: int = 1000
    dtype: str = "float32"
    source: str = ""  # a folder of music
    workdir: str = ""


@dataclasses.dataclass(frozen=True)
class Work:
    """Something that can be done again and again."""

    items: float  # that one call handles
    call: Callable[[], None]  # may return before the device is done
    wait: Callable[[], None] = lambda: None  # returns when all calls are done


Make = Callable[[Sizes], Work]


def timed(work: Work, seconds: float) -> tuple[float, float]:
    """Items and seconds of as many calls as fit into about `seconds`, one at the least.

    The first call tells how many may wait in the device's queue at a time.
    """
    start = time.perf_counter()
    work.call()
    work.wait()
    together = max(1, int(SECONDS_BETWEEN_WAITS / max(time.perf_counter() - start, 1e-9)))
    calls = 1
    while time.perf_counter() - start < seconds:
        for _ in range(together):
            work.call()
        work.wait()
        calls += together
    return work.items * calls, time.perf_counter() - start


def peak_bytes(usage: resource.struct_rusage) -> int:
    """The most memory that a process held."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def random_bars(count: int) -> np.ndarray:
    """uint8 (N, T) of any outcomes."""
    return np.random.default_rng(0).integers(0, OUTCOMES, (count, STEPS)).astype(np.uint8)


def facts(sizes: Sizes) -> dict[str, Any]:
    """The sizes as JSON holds them."""
    return dataclasses.asdict(sizes)
