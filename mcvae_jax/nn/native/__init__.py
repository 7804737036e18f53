"""LSTM layers on a CPU by native code (lstm.cc), behind `mcvae_jax.nn.lstm.lstm`, which has a scan for all else.

`prepare` makes it ready for the programs that a process compiles from then on; without it all are scans. Values and
gradients are those of the scan but for the last digits.

Letters: T steps, B sequences, H units. All arrays are float32.
"""

import ctypes
import os
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax import versions
from mcvae_jax.nn.native.build import Unavailable, digest, library
from mcvae_jax.text import says_no

Array = jax.Array
Four = tuple[Array, Array, Array, Array]  # gates

OFF = "MCVAE_NATIVE"  # 'no' leaves all LSTM layers to the scan
WIDTH = 64  # units come in multiples of this, see lstm_rows.h
FEWEST_STEPS = 4  # below, packing the weights costs more than it gains


class Library(NamedTuple):
    """Native code whose functions XLA knows."""

    code: ctypes.CDLL
    formats: tuple[np.dtype, ...]  # of the operands of products


_found: dict[str, Library] = {}  # by `digest`


def prepare(say: Callable[[str], None] = lambda line: None) -> bool:
    """LSTM layers that fit run natively from now on, where that can be; says in one line where it cannot.

    The library is compiled where the user's cache lacks it. Only one process with one device has it: XLA cannot divide
    native code among several.
    """
    if ready():
        return True
    if says_no(os.environ.get(OFF, "")) or jax.devices()[0].platform != "cpu":
        return False
    if jax.process_count() > 1 or jax.local_device_count() > 1:
        return False
    try:
        _register(library(say))
    except Unavailable as why:
        say(f"LSTM layers run as scans of XLA, which is slower: {why}. ({OFF}=no leaves this line out.)")
    return ready()


def ready() -> bool:
    """Whether `prepare` has found native code."""
    return bool(_found)


def fits(gates: Array, dtype: jnp.dtype) -> bool:
    """Whether a layer can run natively: gates (T, B, H), and the number format of its products."""
    if not ready() or gates.dtype != jnp.float32 or not gates.size:
        return False
    if gates.shape[0] < FEWEST_STEPS or gates.shape[-1] % WIDTH:
        return False
    return jnp.dtype(dtype) in _found[digest()].formats


def forward(
    gates: Four,
    w_h: Array,
    h0: Array,
    c0: Array,
    mask: Array,
    *,
    dtype: jnp.dtype,
    reverse: bool,
    keep: bool,
) -> tuple[Array, tuple[Array, Array], tuple[Array, ...]]:
    """A layer's forward pass.

    Args:
      gates: four arrays (T, B, H): the projected inputs.
      w_h: (4, H, H).
      h0, c0: (B, H).
      mask: of the squash gate, () or (B, H).
      dtype: of the operands of products, float32 or bfloat16.
      reverse: runs from the last step to the first.
      keep: whether what a backward pass needs is wanted.

    Returns:
      hidden states (T, B, H); the final (h, c); and, if kept, cell states and the four gates after their
      nonlinearities, (T, B, H) each.
    """
    whole, state = _shape(gates[0]), _shape(h0)
    results = [whole, state, state, jax.ShapeDtypeStruct((w_h.size,), jnp.float32), *[whole] * (5 if keep else 0)]
    hidden, h, c, _, *kept = _call("forward", results, (*gates, w_h, h0, c0), mask, dtype, reverse)
    return hidden, (h, c), tuple(kept)


def backward(
    d_hidden: Array,
    d_final: tuple[Array, Array],
    kept: tuple[Array, ...],
    w_h: Array,
    c0: Array,
    mask: Array,
    *,
    dtype: jnp.dtype,
    reverse: bool,
) -> tuple[Four, Array, Array]:
    """A layer's backward pass: what `forward` was called with and kept, and the gradients of what it gave.

    Returns:
      the gradients of the four gates, (T, B, H) each, of h0 and of c0; that of w_h follows from the first.
    """
    whole, state = _shape(d_hidden), _shape(c0)
    results = [*[whole] * 4, state, state, jax.ShapeDtypeStruct((w_h.size,), jnp.float32)]
    d_i, d_f, d_s, d_o, d_h0, d_c0, _ = _call(
        "backward", results, (d_hidden, *d_final, *kept, w_h, c0), mask, dtype, reverse
    )
    return (d_i, d_f, d_s, d_o), d_h0, d_c0


def _call(
    which: str,
    results: list[jax.ShapeDtypeStruct],
    arguments: tuple[Array, ...],
    mask: Array,
    dtype: jnp.dtype,
    reverse: bool,
) -> list[Array]:
    call = jax.ffi.ffi_call(f"lstm_{which}_{digest()}", results, vmap_method="sequential")
    mask = jnp.broadcast_to(mask, arguments[-1].shape)
    return list(call(*arguments, mask, reverse=np.bool_(reverse), bfloat16=np.bool_(dtype == jnp.bfloat16)))


def _shape(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, jnp.float32)


def _register(path: os.PathLike[str]) -> None:
    try:
        loaded = ctypes.CDLL(os.fspath(path))
        for name in ("lstm_forward", "lstm_backward"):
            handler = jax.ffi.pycapsule(getattr(loaded, name))
            jax.ffi.register_ffi_target(f"{name}_{digest()}", handler, platform="cpu")
    except (OSError, AttributeError, RuntimeError, ValueError) as error:
        raise Unavailable(f"{path} cannot be loaded ({error})") from error
    loaded.lstm_has_bfloat16.restype = ctypes.c_bool
    formats = [jnp.dtype(jnp.float32)]
    has_tiles = "amx_bf16" in versions.instructions()  # which the scan uses, and this code does not
    if loaded.lstm_has_bfloat16() and not has_tiles:
        formats.append(jnp.dtype(jnp.bfloat16))
    versions.note("lstm", "native code")
    _found[digest()] = Library(loaded, tuple(formats))
