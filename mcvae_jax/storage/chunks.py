"""The chunks of a long computation, kept in a folder while it lasts, so that what is cut off goes on where it was."""

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.hashing import checksum

FACTS = "facts.json"


class Chunks:
    """Arrays by number. Where nothing can be written nothing is kept, and what is damaged is not there.

    Each array is a file NUMBER-CHECKSUM.npy that appears whole, so two processes may compute the same at a time.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        """facts: JSON on which the arrays depend; what the folder keeps of others is removed."""
        self.folder, self._facts = folder, json.dumps(facts).encode()
        try:
            there = (folder / FACTS).read_bytes() == self._facts
        except OSError:
            there = False
        if not there:
            self.remove()
        self._files = {path.name.split("-")[0]: path for path in folder.glob("*-*.npy")}

    def read(self, number: int) -> np.ndarray | None:
        """An array that was written, None where there is none."""
        path = self._files.get(str(number))
        if path is None:
            return None
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return array if path.stem == f"{number}-{checksum(array)}" else None

    def write(self, number: int, array: np.ndarray) -> None:
        """Keeps an array under a number."""
        partial = self.folder / f"{number}.{os.getpid()}.partial"
        try:
            if not (self.folder / FACTS).exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(self._facts)
                os.replace(partial, self.folder / FACTS)
            with partial.open("wb") as file:
                np.save(file, array, allow_pickle=False)
            os.replace(partial, self.folder / f"{number}-{checksum(array)}.npy")
        except OSError:  # a full disk, a folder that is only read, or one that another process has removed by now
            with contextlib.suppress(OSError):
                partial.unlink()

    def remove(self) -> None:
        """Removes all of it: the computation has come to its end, or is another one."""
        shutil.rmtree(self.folder, ignore_errors=True)
