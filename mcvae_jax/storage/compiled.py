"""Compiled programs, kept in the user's cache, so that a command compiles on a machine once.

It is JAX's own cache. A folder of it belongs to one machine type, since a program for another one's processor may end
the process (JAX's key names versions and flags). It is a help and no more: what cannot be read or written is compiled.
"""

import os
import platform
import warnings
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from mcvae_jax.places import cache_folder
from mcvae_jax.text import says_no
from mcvae_jax.versions import processor

OFF = "MCVAE_COMPILED"  # 'no' keeps and takes nothing
MOST_BYTES = 256_000_000  # of all folders; a command of one model keeps about half a megabyte


def keep_compiled() -> None:
    """From now on, for the whole process; nothing where the user has chosen a cache of JAX, or none."""
    import jax  # not above: a child that reads music needs none of it

    chosen = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if chosen or says_no(os.environ.get(OFF, "")):
        return
    folder = cache_folder() / "compiled"
    own = folder / blake2b(_machine().encode(), digest_size=6).hexdigest()
    try:
        own.mkdir(parents=True, exist_ok=True)
        _prune(folder)
    except OSError:
        return
    # Of each program that it loads, XLA says as an error that the processor lacks 'prefer-no-gather', which is none of
    # its features but a wish of the compiler (openxla/xla); what it says of importance it raises.
    jax.config.update("jax_logging_level", "CRITICAL")
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _machine() -> str:
    """What decides which programs run here: the processor and what it can, and the versions."""
    known = processor()
    features = known.get("flags") or known.get("features", "")
    return " ".join([platform.system(), platform.machine(), features, version("jax"), version("jaxlib")])


def _prune(folder: Path) -> None:
    """Removes the oldest programs of all machine types where they are more than MOST_BYTES, down to half of that."""
    found = [(path.stat().st_mtime, path.stat().st_size, path) for path in folder.rglob("*") if path.is_file()]
    size = sum(each for _, each, _ in found)
    if size <= MOST_BYTES:
        return
    for _, each, path in sorted(found):
        path.unlink(missing_ok=True)
        size -= each
        if size <= MOST_BYTES / 2:
            break
