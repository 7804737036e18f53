"""What the first update starts from: the newest checkpoint, the best parameters of other runs, or random ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints, DamagedCheckpoint, OtherModel, target
from mcvae_jax.storage.workdir import Workdir, differences
from mcvae_jax.training.parallel import Layout
from mcvae_jax.training.task import Params, Task
from mcvae_jax.training.update import Seed, State, init_state


class Source(NamedTuple):
    """A part of --init_from."""

    part: str  # 'a/b': the subtree of the parameters that it gives; '' is all of them
    folder: str  # the workdir whose best parameters these are


def sources(init_from: str) -> list[Source]:
    """'WORKDIR', or 'PART=WORKDIR,PART=WORKDIR' -> its parts, none for ''; UserError for what is neither."""
    found = []
    for each in init_from.split(",") if init_from else ():
        part, equals, folder = each.rpartition("=") if not Path(each).exists() else ("", "", each)
        if not folder or (equals and not part):
            raise UserError(f"--init_from={init_from}: give WORKDIR, or PART=WORKDIR for parts of the parameters.")
        found.append(Source(part, folder))
    parts = [source.part for source in found]
    if len(set(parts)) < len(parts) or ("" in parts and len(parts) > 1):
        raise UserError(f"--init_from={init_from} gives some parameters twice; name each part once, as PART=WORKDIR.")
    return found


def first_state(
    task: Task,
    optimizer: optax.GradientTransformation,
    config: Any,
    layout: Layout,
    workdir: Workdir,
    checkpoints: Checkpoints,
    init_from: str,
    say: Callable[[str], None],
) -> State:
    """The state of the newest checkpoint, or the start of a run; UserError where --init_from does not fit."""

    def fresh(seed: Seed) -> State:
        return init_state(task, optimizer, seed)

    shapes = jax.eval_shape(fresh, np.uint32(0))
    wanted = target({"params": shapes.params, "opt_state": shapes.opt_state}, layout.replicated)
    step = checkpoints.newest()
    if step:
        items = checkpoints.restore(step, wanted).items
        say(f"Going on from step {step} of {workdir.folder}.")
        return State(layout.place_state(np.int32(step)), items["params"], items["opt_state"])
    state = layout.init_state(fresh, config.seed)
    count = sum(x.size for x in jax.tree.leaves(state.params))
    say(f"{count:,} parameters, {layout.name}; the first update compiles.")
    params = state.params
    for source in sources(init_from):
        names = [name for name in source.part.split("/") if name]
        step, given = _params_of(source, _subtree(wanted["params"], names, source), config)
        params = _with_subtree(params, names, given)
        start = f"Starting {source.part} from" if source.part else "Starting from"
        say(f"{start} the best parameters of {source.folder} (its step {step}).")
    return state._replace(params=params)


def _subtree(params: Params, names: list[str], source: Source) -> Params:
    for name in names:
        if not isinstance(params, dict) or name not in params:
            there = ", ".join(params) if isinstance(params, dict) else "no parts"
            raise UserError(
                f"--init_from={source.part}={source.folder}: the parameters of this model have no part"
                f" {source.part!r}; at {name!r} there are {there}."
            )
        params = params[name]
    return params


def _with_subtree(params: Params, names: list[str], given: Params) -> Params:
    if not names:
        return given
    return params | {names[0]: _with_subtree(params[names[0]], names[1:], given)}


def _params_of(source: Source, wanted: Params, config: Any) -> tuple[int, Params]:
    """Step and best parameters of another workdir; UserError names the model fields where it does not fit."""
    option = f"--init_from={source.part + '=' if source.part else ''}{source.folder}"
    other = Workdir(source.folder)
    record = other.read()
    with Checkpoints(other.checkpoints, read_only=True) as checkpoints:
        try:
            restored = checkpoints.restore("best", {"params": wanted})
        except DamagedCheckpoint as error:
            command = record.command or "the command that trained it"
            raise UserError(
                f"{option}: {error} Run {command} once: it removes that one, and takes the next best."
            ) from error
        except OtherModel as error:
            reason = "; ".join(_other_fields(record.config, config)) if not source.part else ""
            raise UserError(f"{option} does not fit this model (there -> here): {reason or error}") from error
    return restored.step, restored.items["params"]


def _other_fields(there: dict, here: Any) -> list[str]:
    """'field: there -> here' for those that make another model: what is trained, else the fields of the model."""
    old, new = ({"task": of.get("task")} for of in (there, here))
    other, own = ({"model": of.get("model", {})} for of in (there, here.to_dict()))
    return differences(old, new) or differences(other, own)
