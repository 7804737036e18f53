"""Devices, meshes, shardings and pmap: nowhere else in the project.

Both modes keep the state whole on every device and split the batch along its first axis:

- 'jit': one program over a one-axis mesh of all devices of all processes; the compiler splits it.
- 'pmap': the program is written for one device and adds over devices by psum; one process only.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mcvae_jax.errors import UserError
from mcvae_jax.training import processes
from mcvae_jax.training.task import Batch

AXIS = "data"


class Layout(NamedTuple):
    """How a run lies on its devices. `init_fn`, `update_fn` and `sums_fn` are those of update.py."""

    name: str  # for people
    devices: int
    replicated: NamedSharding  # of every array of the state
    init_state: Callable[[Callable, int], Any]  # init_fn(seed), seed -> the same state on every device
    place_state: Callable[[Any], Any]  # host arrays -> the same on every device
    place_batch: Callable[[Batch], Any]  # the whole batch (B, ...) -> its share on every device
    # (update_fn, seed) -> (state, placed batch) -> (state, report); donates state
    compile_update: Callable[[Callable, int], Callable]
    compile_sums: Callable[[Callable, int], Callable]  # (sums_fn, seed) -> (params, placed batch) -> sums


def make_layout(mode: str, devices: Sequence[jax.Device] | None = None) -> Layout:
    """The layout for 'jit' or 'pmap' over the devices given, or over all that there are."""
    if mode not in ("jit", "pmap"):
        raise UserError(f"config.train.parallel is {mode!r}; it must be 'jit' or 'pmap'.")
    if mode == "pmap" and not processes.is_alone():
        raise UserError("config.train.parallel='pmap' serves one process; use 'jit' for several.")
    devices = list(jax.devices() if devices is None else devices)
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    replicated = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    count = len(devices)
    if mode == "jit":
        place_batch = functools.partial(_place_global, sharding=split, count=count)
        compile_update = functools.partial(_jit, sharding=replicated, donate=(0,))
        compile_sums = functools.partial(_jit, sharding=replicated, donate=())
    else:
        place_batch = functools.partial(_place_by_device, sharding=split, count=count)
        compile_update = functools.partial(_pmap, devices=devices, donate=(0,))
        compile_sums = functools.partial(_pmap, devices=devices, donate=())
    return Layout(
        name=f"{mode} on {count} {devices[0].platform} device{'s' if count > 1 else ''}",
        devices=count,
        replicated=replicated,
        init_state=lambda init_fn, seed: jax.jit(init_fn, out_shardings=replicated)(np.uint32(seed)),
        place_state=functools.partial(_place_whole, sharding=replicated),
        place_batch=place_batch,
        compile_update=compile_update,
        compile_sums=compile_sums,
    )


def check_batch_size(batch_size: int, devices: int) -> None:
    """UserError where a batch cannot be split evenly over the devices."""
    if batch_size % devices:
        raise UserError(
            f"config.train.batch_size is {batch_size}, which {devices} devices cannot share evenly; "
            f"take a multiple of {devices}, such as {-(-batch_size // devices) * devices}."
        )


def pad_batch(batch: Batch, devices: int) -> Batch:
    """The batch with examples of zeros, and so of weight 0, up to a multiple of the number of devices."""
    extra = -len(batch["weight"]) % devices
    if not extra:
        return batch
    return {k: np.concatenate([v, np.zeros((extra, *v.shape[1:]), v.dtype)]) for k, v in batch.items()}


def _with_reduce(fn: Callable, reduce: Callable) -> Callable:
    """fn(x, batch, seed, reduce) -> program(x, batch, seed), under the name of fn."""

    def program(x: Any, batch: Any, seed: Any) -> Any:
        return fn(x, batch, seed, reduce)

    program.__name__ = fn.__name__
    return program


def _with_seed(compiled: Callable, seed: int) -> Callable:
    """compiled(x, batch, seed) -> (x, batch)."""
    given = np.uint32(seed)  # on the host, which every layout takes as the same on all devices

    def call(x: Any, batch: Any) -> Any:
        return compiled(x, batch, given)

    return call


def _jit(fn: Callable, seed: int, sharding: NamedSharding, donate: tuple[int, ...]) -> Callable:
    """fn(x, batch, seed, reduce) as a program that sees the whole batch: nothing is left to add over devices."""
    program = _with_reduce(fn, lambda tree: tree)
    return _with_seed(processes.together(jax.jit(program, out_shardings=sharding, donate_argnums=donate)), seed)


def _pmap(fn: Callable, seed: int, devices: list[jax.Device], donate: tuple[int, ...]) -> Callable:
    """fn(x, batch, seed, reduce) as a program for one device's share."""
    program = _with_reduce(fn, functools.partial(jax.lax.psum, axis_name=AXIS))
    compiled = jax.pmap(
        program,
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=None,
        devices=devices,
        donate_argnums=donate,
    )
    return _with_seed(compiled, seed)


def _place_whole(tree: Any, sharding: NamedSharding) -> Any:
    """Host arrays -> the same array on every device of every process."""
    return jax.tree.map(lambda a: jax.make_array_from_callback(np.shape(a), sharding, lambda i: np.asarray(a)[i]), tree)


def _place_global(batch: Batch, sharding: NamedSharding, count: int) -> Any:
    """(B, ...) -> (B, ...) split over the devices; a process knows all of it and places its own part."""
    check_batch_size(len(batch["weight"]), count)
    if processes.is_alone():
        return jax.device_put(batch, sharding)
    return {k: jax.make_array_from_callback(v.shape, sharding, v.__getitem__) for k, v in batch.items()}


def _place_by_device(batch: Batch, sharding: NamedSharding, count: int) -> Any:
    """(B, ...) -> (devices, B / devices, ...), as pmap wants it."""
    check_batch_size(len(batch["weight"]), count)
    return jax.device_put({k: v.reshape(count, -1, *v.shape[1:]) for k, v in batch.items()}, sharding)
