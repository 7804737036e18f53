"""Memory that is let go stays with the process, where the C library would give it back.

XLA asks for the arrays of a step anew at each step. glibc takes large ones from the system and gives them back, and the
system fills them with zeros each time: a fifth to a quarter of a training step on a CPU (docs/speed.md).
"""

import ctypes
import os
import platform

from mcvae_jax.text import says_no

OFF = "MCVAE_KEEP_MEMORY"  # 'no' leaves the C library as it is

# mallopt's parameters (malloc.h of glibc), with what they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_SETTINGS = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20), (_ARENA_MAX, 1))


def keep_memory() -> None:
    """From now on, for the whole process; nothing where the C library is not glibc, or the user has set it up."""
    chosen = "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ)
    if chosen or says_no(os.environ.get(OFF, "")) or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in _SETTINGS:
        mallopt(parameter, value)
