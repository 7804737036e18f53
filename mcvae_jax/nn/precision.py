"""In which number format a device multiplies fastest."""

import functools
from importlib.metadata import version

import jax

from mcvae_jax.versions import instructions

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # docs/speed.md has what they gain
_SINCE = (0, 10)  # of jaxlib: on CPUs 0.7.2 fails in some gradients, 0.10.1 and 0.12.0 do not


@functools.cache
def fastest() -> tuple[str, str]:
    """'bfloat16' or 'float32', and why: GPUs, TPUs and some CPUs multiply bfloat16 faster; sums stay float32."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return "bfloat16", f"fastest on {device.device_kind}"
    known = instructions()
    found = [name for name in _INSTRUCTIONS if name in known]
    if lacking := lacks_bfloat16():
        return "float32", lacking
    if found:
        return "bfloat16", f"fastest on a processor with {found[0]}"
    return "float32", f"fastest on a processor without {' and '.join(_INSTRUCTIONS)}"


def lacks_bfloat16() -> str:
    """Why gradients cannot be computed with bfloat16 products here; '' where they can."""
    if jax.devices()[0].platform != "cpu" or tuple(map(int, version("jaxlib").split(".")[:2])) >= _SINCE:
        return ""
    return f"jaxlib {version('jaxlib')} has no bfloat16 for all products on CPUs, {'.'.join(map(str, _SINCE))} has"
