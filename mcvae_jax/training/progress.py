"""How far a run has come, in a line for who starts it again: experiments/jobs/retry.sh counts tries without it."""

import contextlib
import os
from pathlib import Path

FILE = "MCVAE_PROGRESS"  # in the environment: the path of a file; without it nothing is written


def note(line: str) -> None:
    """Replaces what the file holds by a line that is new only where something new was saved."""
    if path := os.environ.get(FILE):
        with contextlib.suppress(OSError):  # who counts then misses a step, and nothing of the run
            Path(path).write_text(f"{line}\n")
