"""A workdir -> one file of weights: its best parameters, config, facts about the data, and figures."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import models_of
from mcvae_jax.places import is_address
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.identity import named_leaves, tree_identity
from mcvae_jax.storage.jsonfile import read_json_lines
from mcvae_jax.storage.packed import HERE, About, Model
from mcvae_jax.storage.workdir import Workdir

DTYPES = ("float16", "float32")


def pack(
    place: Path | str, dtype: str = DTYPES[0], songs: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Model]:
    """The models of a workdir, by their folders in it, as `write_packed` takes them.

    Nothing of this machine goes along: of each path its last part stays.

    Args:
      dtype: what floats are kept in. float16 has 11 significant bits; values beyond its range are a UserError.
      songs: with which settings it composes where a call says nothing else.

    Raises:
      UserError: it is no workdir, or a model was not scored yet, or its checkpoint is damaged.
    """
    folder = fetched(place)
    folders = models_of(folder)
    packed: dict[str, Model] = {}
    identities: dict[str, str] = {}
    for each in folders or [folder]:
        old, model = _pack_one(each, dtype, identities)
        identities[old] = tree_identity(dict(as_read(model.params)))
        packed[each.name if folders else HERE] = model
    if songs:  # of the last one, which is the composer
        config = model.about.record["config"]
        config["songs"] = config.get("songs", {}) | dict(songs)
    return packed


def as_read(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of a file as the models that are opened from it have them."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in params.items()}


def _pack_one(folder: Path, dtype: str, identities: Mapping[str, str]) -> tuple[str, Model]:
    """The identity of the parameters, and the model.

    identities: of the parameters of models that this one may have been trained on, and what they are in the file.
    """
    workdir = Workdir(folder)
    record = workdir.read()
    if not workdir.checkpoints.is_dir():
        raise UserError(f"{folder} has no checkpoint yet; let its training go on.")
    with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
        step = checkpoints.best()
        if step is None:
            raise UserError(f"No checkpoint of {folder} has been scored on held-out music yet; train on.")
        metrics = checkpoints.metrics(step) or {}
        params = checkpoints.restore(step, {"params": checkpoints.stored(step, "params")}).items["params"]
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    facts = without_paths(json.loads(json.dumps(record._asdict())))
    if facts["data"].get("vae") in identities:
        facts["data"]["vae"] = identities[facts["data"]["vae"]]
    kept = {name: _in(dtype, name, leaf) for name, leaf in leaves.items()}
    return tree_identity(params), Model(About(facts, step, metrics, _line(workdir, step), _summary(workdir)), kept)


def _line(workdir: Workdir, step: int) -> dict[str, Any]:
    """What the log of the training says of the step, held-out."""
    rows = read_json_lines(workdir.metrics).rows
    found = [row for row in rows if row.get("step") == step and row.get("split") == "held_out"]
    return dict(found[-1]) if found else {}


def _summary(workdir: Workdir) -> dict[str, Any]:
    """What the end of the training wrote of its best parameters, without the files beside it."""
    summary = workdir.read_summary()
    if summary is None:
        return {}
    return {"step": summary.step, "files": [], "results": without_paths(dict(summary.results))}


def _in(dtype: str, name: str, leaf: np.ndarray) -> np.ndarray:
    if leaf.dtype.kind != "f":
        return leaf
    with np.errstate(over="ignore"):
        kept = leaf.astype(dtype)
    if not np.all(np.isfinite(kept)):
        raise UserError(f"the parameters {name} have values that {dtype} cannot hold; give --dtype={DTYPES[-1]}")
    return kept


def without_paths(value: Any, name: str = "") -> Any:
    """JSON in which of every path its last part is left, also within commands; name: the key under which it stands."""
    if isinstance(value, Mapping):
        return {key: without_paths(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [without_paths(each, name) for each in value]
    if not isinstance(value, str):
        return value
    if name == "command":
        return shlex.join(map(_argument, shlex.split(value)))
    if name == "init_from":
        return ",".join(map(_argument, value.split(",")))
    return _last(value) if name != "citation" else value


def _argument(text: str) -> str:
    """'--workdir=/home/me/runs/vae' -> '--workdir=vae'."""
    head, equals, value = text.rpartition("=")
    return head + equals + _last(value)


def _last(text: str) -> str:
    """The last part of an absolute path or an address of a bucket; any other text is left."""
    is_path = text.startswith(("/", "~", "..")) or re.match(r"[A-Za-z]:[\\/]", text)
    is_bucket = is_address(text) and not text.startswith(("http:", "https:"))
    return Path(text.replace("\\", "/")).name if is_path or is_bucket else text
