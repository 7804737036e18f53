"""Workdirs -> parameters and corpora, whatever the model: what every opened model starts from.

Nothing here needs training code or knows a model by name.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mcvae_jax.checkpoints import Checkpoints, DamagedCheckpoint, target
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.workdir import Workdir


class Origin(NamedTuple):
    """The checkpoint that a model, or a part of it, was read from."""

    folder: Path  # the workdir
    step: int
    identity: str  # of the parameters, see `parameters_identity`
    data: Mapping[str, Any]  # JSON facts about what it was trained on: 'corpus' (a folder), 'identity' of that, ...

    def facts(self) -> dict[str, Any]:
        """Folder, step and identity, as results record them."""
        return {"folder": str(self.folder), "step": self.step, "identity": self.identity}


def restore_model(
    folder: Path | str, which: str | int, make: Callable[[dict, dict], tuple[Any, Callable[[], Any]]]
) -> tuple[Any, Any, Origin]:
    """A model, its parameters and their origin, from a workdir.

    Args:
      folder: the workdir.
      which: 'best', 'newest' or a step.
      make: takes the config and the data of the record; gives the model, and a function of fresh parameters.

    Raises:
      UserError: it is no workdir of such a model, has no such checkpoint, or one that is damaged or of another
        configuration.
    """
    record = Workdir(folder).read()
    try:
        model, init = make(record.config, record.data)
    except (KeyError, TypeError, ValueError, UserError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{Workdir(folder).config} does not describe a model of this program ({reason}); restore it, or train in"
            " another workdir."
        ) from error
    step, params = restore(folder, which, init)
    return model, params, Origin(Path(folder), step, parameters_identity(params), record.data)


def open_corpus(origin: Origin, folder: Path | str = "") -> Corpus:
    """The corpus on which a model was trained.

    Args:
      folder: where it is; '' is where its training found it, seen from here or from a folder above its workdir.

    Raises:
      UserError: it is gone, damaged, or no longer the same.
    """
    place = Path(folder or origin.data["corpus"])
    above = [] if folder else [parent / place for parent in origin.folder.absolute().parents]
    place = next((path for path in [place, *above] if (path / "corpus.json").is_file()), place)
    if not (place / "corpus.json").is_file():
        raise UserError(
            f"The corpus {place} of {origin.folder} is gone; say where it is (--corpus=FOLDER, when training"
            " --config.corpus_folder=FOLDER), or build it again with the command that"
            " python -m mcvae_jax.inspect shows."
        )
    corpus = Corpus.open(place)
    if corpus.identity != origin.data["identity"]:
        raise UserError(
            f"The corpus {place} (identity {corpus.identity[:12]}) is not the one on which {origin.folder} was trained"
            f" ({origin.data['identity'][:12]}); give that one, or train another model on this one."
        )
    return corpus


def parameters_identity(params: Any) -> str:
    """32 hex digits: a hash of the names, shapes and bytes of a tree of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(params)):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        digest.update(f"{name} {leaf.dtype} {leaf.shape}\n".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def restore(folder: Path | str, which: str | int, init: Callable[[], Any]) -> tuple[int, Any]:
    """Step and parameters of a checkpoint, on the first device, for parameters as init() makes them."""
    if isinstance(which, str) and which not in ("best", "newest"):
        if not which.isdecimal():
            raise UserError(f"Of the checkpoints choose 'best', 'newest' or a step, not {which!r}.")
        which = int(which)
    steps = checkpoint_steps(folder)
    if not steps:
        raise UserError(
            f"{folder} has no checkpoint yet; let its training go on (python -m mcvae_jax.inspect {folder} says how)."
        )
    if which not in ("best", "newest", *steps):
        raise UserError(f"{folder} has no checkpoint of step {which}; it has {_listed(steps)}.")
    workdir = Workdir(folder)
    wanted = target(jax.eval_shape(init), jax.sharding.SingleDeviceSharding(jax.local_devices()[0]))
    with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
        if which == "best" and checkpoints.best() is None:
            raise UserError(
                f"No checkpoint of {folder} has been scored on held-out music yet; ask for 'newest', or train on."
            )
        try:
            restored = checkpoints.restore(which, {"params": wanted})
        except DamagedCheckpoint as error:
            others = f"--checkpoint=STEP (it has {_listed(steps)})"
            raise UserError(f"{error}. Ask for another, as {others}, or train on.") from error
        except UserError as error:
            raise UserError(f"{workdir.config} and its checkpoints do not belong together. {error}") from error
    return restored.step, restored.items["params"]


def checkpoint_steps(folder: Path | str) -> list[int]:
    """The steps of the complete checkpoints of a workdir."""
    folder = Workdir(folder).checkpoints
    if not folder.is_dir():
        return []
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.steps()


def _listed(steps: list[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
