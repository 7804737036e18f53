"""Memory that is let go stays with the process."""

import os
import platform
import resource
import subprocess
import sys

import pytest

CODE = """
import ctypes, resource
from mcvae_jax.memory import keep_memory
{prepare}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for n in range(8):
    if n == 3:
        before = faults()
    place = ctypes.c_void_p(libc.malloc(64_000_000))
    ctypes.memset(place, 1, 64_000_000)
    libc.free(place)
print(faults() - before)
"""
PAGES = 64_000_000 // resource.getpagesize()


def page_faults(prepare, **variables):
    """How many pages the system gave to a process that took 64 MB five times, and let them go."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "MCVAE_KEEP"))
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(prepare=prepare)],
        env=clean | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_what_is_taken_again_takes_no_page_from_the_system():
    assert page_faults("keep_memory()") < 0.1 * PAGES
    assert page_faults("") > 2 * PAGES  # or there was nothing to gain


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
@pytest.mark.parametrize("variables", [{"MCVAE_KEEP_MEMORY": "no"}, {"MALLOC_TRIM_THRESHOLD_": "1000000"}])
def test_what_the_user_has_chosen_stays(variables):
    assert page_faults("keep_memory()", **variables) > 2 * PAGES
