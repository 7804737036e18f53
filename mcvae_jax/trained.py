"""Workdirs -> trained models, ready to use: what sampling, evaluation and the MDRNN's training start from.

Nothing here needs training code.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mcvae_jax.checkpoints import Checkpoints, DamagedCheckpoint, target
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.models import mdrnn, vae
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.mdrnn import MDRNNPrior, make_mdrnn
from mcvae_jax.models.vae import VAE
from mcvae_jax.workdir import Record, Workdir

MODELS = {"vae": "VAE", "mdrnn": "MDRNN"}  # config.task -> what people call it


class TrainedVAE(NamedTuple):
    """A VAE and one of its checkpoints."""

    vae: VAE
    params: Any
    step: int
    identity: str  # of the parameters, see `parameters_identity`
    record: Record
    folder: Path


class TrainedMDRNN(NamedTuple):
    """An MDRNN and one of its checkpoints; record.data['vae'] is the identity of the VAE that it belongs to."""

    prior: MDRNNPrior
    params: Any
    step: int
    identity: str
    record: Record
    folder: Path


class Composer(NamedTuple):
    """A VAE, and the MDRNN that was trained on its latents where there is one."""

    vae: TrainedVAE
    mdrnn: TrainedMDRNN | None


def open_composer(folder: Path | str, which: str | int = "best") -> Composer:
    """The models of a workdir of a VAE (no MDRNN), of an MDRNN, or of both in the subfolders vae/ and mdrnn/.

    The VAE of an MDRNN is the one whose latents it was trained on, at that very step. It is looked for where the
    MDRNN's config says, and else, as workdirs move, beside the MDRNN's under the same name.

    Args:
      folder: the workdir.
      which: 'best', 'newest' or a step, of the model whose workdir it is (of both: of the MDRNN).

    Raises:
      UserError: as `open_vae` does; or the VAE is gone, or is no longer the one that the MDRNN was trained on.
    """
    folder = Path(folder)
    if not (folder / "config.json").exists() and (folder / "vae").is_dir():
        if not (folder / "mdrnn" / "config.json").is_file():
            return Composer(open_vae(folder / "vae", which), None)
        trained = open_mdrnn(folder / "mdrnn", which)
        return Composer(_vae_of(trained, [folder / "vae"]), trained)
    task = Workdir(folder).read().config.get("task")
    if task == "vae":
        return Composer(open_vae(folder, which), None)
    trained = open_mdrnn(folder, which)
    given = Path(trained.record.config["vae_workdir"])
    return Composer(_vae_of(trained, [given, folder.absolute().parent / given.name]), trained)


def open_vae(folder: Path | str, which: str | int = "best") -> TrainedVAE:
    """The VAE of a workdir.

    Args:
      folder: the workdir of a run of configs/vae.py.
      which: 'best', 'newest' or a step.

    Raises:
      UserError: it is no such workdir, has no such checkpoint, or one that is damaged or of another configuration.
    """
    record = _read(folder, "vae")
    model = _from_record(folder, lambda: make_vae(record.config["model"]))
    step, params = _restore(folder, which, lambda: vae.init(model, jax.random.key(0)))
    return TrainedVAE(model, params, step, parameters_identity(params), record, Path(folder))


def open_mdrnn(folder: Path | str, which: str | int = "best") -> TrainedMDRNN:
    """The MDRNN of a workdir of configs/mdrnn.py, without its VAE; arguments and errors as `open_vae` has them."""
    record = _read(folder, "mdrnn")
    model = _from_record(folder, lambda: make_mdrnn(record.config["model"], record.data["latent"]))
    step, params = _restore(folder, which, lambda: mdrnn.init(model, jax.random.key(0)))
    return TrainedMDRNN(MDRNNPrior(model), params, step, parameters_identity(params), record, Path(folder))


def open_corpus(trained: TrainedVAE, folder: Path | str = "") -> Corpus:
    """The corpus on which a VAE was trained.

    Args:
      folder: where it is; '' is where the VAE's training found it, seen from here or from a folder above its workdir.

    Raises:
      UserError: it is gone, damaged, or no longer the same.
    """
    place = Path(folder or trained.record.data["corpus"])
    above = [] if folder else [parent / place for parent in trained.folder.absolute().parents]
    place = next((path for path in [place, *above] if (path / "corpus.json").is_file()), place)
    if not (place / "corpus.json").is_file():
        raise UserError(
            f"The corpus {place} of {trained.folder} is gone; say where it is (--corpus=FOLDER, when training"
            " --config.corpus_folder=FOLDER), or build it again with the command that"
            " python -m mcvae_jax.inspect shows."
        )
    corpus = Corpus.open(place)
    if corpus.identity != trained.record.data["identity"]:
        raise UserError(
            f"The corpus {place} (identity {corpus.identity[:12]}) is not the one on which {trained.folder} was trained"
            f" ({trained.record.data['identity'][:12]}); give that one, or train another VAE on this one."
        )
    return corpus


def provenance(trained: TrainedVAE | TrainedMDRNN) -> dict[str, Any]:
    """'folder', 'step' and 'identity' of a model, as results record them."""
    return {"folder": str(trained.folder), "step": trained.step, "identity": trained.identity}


def parameters_identity(params: Any) -> str:
    """32 hex digits: a hash of the names, shapes and bytes of a tree of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(params)):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        digest.update(f"{name} {leaf.dtype} {leaf.shape}\n".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def _read(folder: Path | str, task: str) -> Record:
    record = Workdir(folder).read()
    found = record.config.get("task")
    if found != task:
        raise UserError(
            f"{folder} is the workdir of {'an' if found == 'mdrnn' else 'a'} {MODELS.get(found, found)}; here one of"
            f" configs/{task}.py, with {'an' if task == 'mdrnn' else 'a'} {MODELS[task]}, is needed."
        )
    return record


def _from_record(folder: Path | str, make: Callable[[], Any]) -> Any:
    """make(), whose mistakes are those of the folder's config.json."""
    try:
        return make()
    except (KeyError, TypeError, ValueError, UserError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{Workdir(folder).config} does not describe a model of this program ({reason}); restore it, or train in"
            " another workdir."
        ) from error


def _restore(folder: Path | str, which: str | int, init: Callable[[], Any]) -> tuple[int, Any]:
    """Step and parameters of a checkpoint, on the first device, for parameters as init() makes them."""
    if isinstance(which, str) and which not in ("best", "newest"):
        if not which.isdecimal():
            raise UserError(f"Of the checkpoints choose 'best', 'newest' or a step, not {which!r}.")
        which = int(which)
    steps = _steps(folder)
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


def _vae_of(trained: TrainedMDRNN, folders: list[Path]) -> TrainedVAE:
    """The VAE on whose latents an MDRNN was trained, in the first of the folders that is there."""
    wanted, step = trained.record.data.get("vae"), trained.record.data.get("vae_step")
    there = next((folder for folder in folders if folder.is_dir()), None)
    if there is None:
        raise UserError(
            f"The VAE of {trained.folder} is gone: there is no {' and no '.join(map(str, dict.fromkeys(folders)))};"
            " put its workdir back to such a place."
        )
    opened = open_vae(there, step if step in _steps(there) else "best")
    if opened.identity != wanted:
        raise UserError(
            f"{trained.folder} was trained on step {step} of a VAE that {there} no longer holds (it has step"
            f" {opened.step}); train the MDRNN again with --config.vae_workdir={there} and another --workdir."
        )
    return opened


def _steps(folder: Path | str) -> list[int]:
    """The steps of the complete checkpoints of a workdir."""
    folder = Workdir(folder).checkpoints
    if not folder.is_dir():
        return []
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.steps()


def _listed(steps: list[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
