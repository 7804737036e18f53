"""The library of native code, compiled on the machine that uses it and kept in the user's cache.

Not when the package is installed: the headers have to be those of the jaxlib that loads the library, and an installer
builds beside another jaxlib, or none. A library of one jaxlib is nothing to another: its version is part of the name.
"""

import functools
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import jax

from mcvae_jax.places import cache_folder

HERE = Path(__file__).parent
SOURCES = ("lstm.cc", "lstm_rows.h")
COMPILERS = ("c++", "g++", "clang++")  # where CXX names none
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
_SECONDS = 300.0  # about six where nothing else runs


class Unavailable(Exception):
    """There is no library, and why: a clause."""


def library(say: Callable[[str], None]) -> Path:
    """The file of the library, compiled where the cache has none; Unavailable where it cannot be."""
    folder = cache_folder() / "native"
    path = folder / f"lstm-{digest()}.so"
    if path.is_file():
        return path
    command = compiler()
    say("Compiling the LSTM for this processor, once ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lstm-", dir=folder) as made:
            _compile(command, Path(made) / "lstm.so")
            os.replace(Path(made) / "lstm.so", path)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written ({error.strerror or error})") from error
    return path


def compiler() -> list[str]:
    """The command of a C++ compiler: CXX, or the first of COMPILERS that is here; Unavailable where there is none."""
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise Unavailable(f"no C++ compiler is here ({' '.join(named) or ', '.join(COMPILERS)})")


@functools.cache
def digest() -> str:
    """Names what was compiled: sources, flags, machine and the jaxlib whose headers were used."""
    parts = [platform.system(), platform.machine(), version("jaxlib"), *FLAGS, os.environ.get("CXX", "")]
    texts = [(HERE / name).read_bytes() for name in SOURCES]
    return blake2b(b"\0".join([" ".join(parts).encode(), *texts]), digest_size=8).hexdigest()


def _compile(command: list[str], path: Path) -> None:
    asked = [*command, *FLAGS, "-isystem", jax.ffi.include_dir(), str(HERE / SOURCES[0]), "-o", str(path)]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} was not ready after {_SECONDS:.0f} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise Unavailable(f"{command[0]} failed: {lines[0].strip()}")
