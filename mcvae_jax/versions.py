"""On what a computation runs: the versions and devices that its last digits depend on."""

import contextlib
import functools
import os
import platform
import subprocess
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import mcvae_jax

LIBRARIES = ("jax", "jaxlib", "flax", "numpy")
PACKAGE = "mcvae_jax"
CPUINFO = Path("/proc/cpuinfo")
_GIT_SECONDS = 10.0  # longer than git takes on a slow disk

_noted: dict[str, str] = {}


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES} | {PACKAGE: _own()}
    return tuple(found.items())


def versions() -> dict[str, str]:
    """Of Python, of the libraries that compute, and of this package with its commit, where it is a checkout."""
    return dict(_versions())


def processor() -> dict[str, str]:
    """What Linux says of the first processor, by name: 'model name', 'flags', ...; empty where it cannot be known."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip().lower(), value.strip())
    return found


def instructions() -> list[str]:
    """Those of the processor beside the basic ones, as Linux names them on x86; [] where it cannot be known."""
    return processor().get("flags", "").split()


def cores() -> int:
    """Those of the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> str:
    """Those that JAX computes on, in all processes: '1 cpu', '8 TPU v4 of 2 processes'."""
    import jax  # not above: the versions are told without it, and at once

    kinds = Counter(device.device_kind for device in jax.devices())
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return text if jax.process_count() == 1 else f"{text} of {jax.process_count()} processes"


def here() -> dict[str, str]:
    """Versions and devices together, and what was noted, as results record them."""
    return versions() | {"devices": devices()} | _noted


def note(name: str, value: str) -> None:
    """From now on `here` tells this, too: what else the last digits depend on."""
    _noted[name] = value


def as_text(facts: dict[str, str]) -> str:
    """'python 3.13.0, jax 0.7.2, ..., devices: 1 cpu'."""
    return ", ".join(f"devices: {value}" if name == "devices" else f"{name} {value}" for name, value in facts.items())


def _own() -> str:
    """'0.1.0 (commit 1a2b3c4d5e6f, changed)': the release, and where it is a checkout the commit."""
    commit = _commit(Path(__file__).parents[1])
    return mcvae_jax.__version__ + (f" (commit {commit})" if commit else "")


def _commit(folder: Path) -> str:
    """'1a2b3c4d5e6f' or '1a2b3c4d5e6f, changed' of a checkout's root; '' for any other folder, and without git."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=, changed"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},  # it only looks
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS,
        )
        return done.stdout.strip()
    return ""
