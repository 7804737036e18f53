"""What a checkpoint says of itself: which arrays it holds, how good they are, and of which run it is."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.storage.jsonfile import DamagedFile, Object, conform, parse, read_json, write_json

OBJECTIVE = "objective"  # the entry of the metrics that 'best' minimises
ITEM, FILE = "identity", "identity.json"  # of a checkpoint's folder
BEFORE = Path("metrics") / "metrics"  # the file that held the metrics before there were identities


@dataclasses.dataclass(frozen=True)
class About:
    """The record of one checkpoint."""

    step: int
    identities: dict[str, str]  # item -> `tree_identity` of what was saved; {} in checkpoints of earlier versions
    layouts: dict[str, str]  # item -> a hash of the names and shapes of its arrays; {} as above
    metrics: dict[str, float]  # held-out; {} where the step was not evaluated
    run: Object = dataclasses.field(default_factory=dict)  # what config.json held; {} where that is not known


def tree_identity(tree: Any) -> str:
    """32 hex digits: a hash of the names, types, shapes and bytes of a tree of arrays, wherever these lie."""
    digest = hashlib.blake2b(digest_size=16)
    for name, leaf in sorted(named_leaves(tree).items(), key=lambda item: item[0].split("/")):
        array = np.asarray(leaf)
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def named_leaves(tree: Any) -> dict[str, Any]:
    """'a/b/kernel' -> leaf."""
    import jax  # not above: a child that reads music needs none of it

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def write_about(folder: Path, about: About) -> None:
    """Writes the record into the folder of a checkpoint's item."""
    write_json(folder / FILE, dataclasses.asdict(about))


def has_about(checkpoint: Path) -> bool:
    """Whether a checkpoint's folder holds a record, whole or damaged."""
    return (checkpoint / ITEM / FILE).exists() or (checkpoint / BEFORE.parent).is_dir()


def read_about(checkpoint: Path, step: int) -> About:
    """The record in a checkpoint's folder; of one of earlier versions what is known of it.

    Raises DamagedFile where it is gone or not what was written.
    """
    path = checkpoint / ITEM / FILE
    about = read_json(path, About)
    if about is not None:
        if about.step != step:
            raise DamagedFile(path, f"it is of step {about.step}")
        return _with_objective(path, about)
    old = checkpoint / BEFORE
    if not has_about(checkpoint):
        raise DamagedFile(path, "it is gone")
    try:
        metrics = parse(old, old.read_bytes())
    except OSError as error:
        raise DamagedFile(old, str(error.strerror)) from error
    return _with_objective(old, About(step, {}, {}, conform(old, metrics, dict[str, float])))


def _with_objective(path: Path, about: About) -> About:
    """The same; DamagedFile where there are metrics without what 'best' is chosen by."""
    if about.metrics and not math.isfinite(about.metrics.get(OBJECTIVE, math.nan)):
        raise DamagedFile(path, f"it has no {OBJECTIVE}")
    return about


def recorded_run(checkpoints: Path) -> Mapping[str, Any]:
    """What the newest checkpoint of a folder whose record is whole says of its run; {} where none says anything."""
    steps = [int(path.name) for path in checkpoints.glob("*") if path.name.isdecimal()]
    for step in sorted(steps, reverse=True):
        try:
            about = read_about(checkpoints / str(step), step)
        except DamagedFile:
            continue
        if about.run:
            return about.run
    return {}
