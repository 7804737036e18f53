"""Workdirs -> trained models, ready to use: what sampling, evaluation and the MDRNN's training start from.

Nothing here needs training code.
"""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mcvae_jax.checkpoints import Checkpoints, DamagedCheckpoint, OtherModel, target
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus, DamagedCorpus
from mcvae_jax.errors import UserError
from mcvae_jax.identity import tree_identity
from mcvae_jax.models import mdrnn, vae
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.mdrnn import MDRNNPrior, make_mdrnn
from mcvae_jax.models.vae import VAE
from mcvae_jax.workdir import Record, Workdir

MODELS = {"vae": "VAE", "mdrnn": "MDRNN"}  # config.task -> what people call it


class DamagedModel(UserError):
    """A model whose checkpoint is damaged."""

    def __init__(self, damage: UserError, train_on: str, advice: str = ""):
        """damage: what it is; train_on: how its training makes another; advice: where there are other ways."""
        super().__init__(" ".join(filter(None, (str(damage), advice, train_on))))
        self.damage, self.train_on = damage, train_on


class LostCorpus(UserError):
    """The corpus on which a VAE was trained is gone or damaged, for a reason."""

    def __init__(self, reason: str, advice: str):
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


class TrainedVAE(NamedTuple):
    """A VAE and one of its checkpoints."""

    vae: VAE
    params: Any
    step: int
    identity: str  # of the parameters, see `tree_identity`
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
        if not Workdir(folder / "mdrnn").is_claimed():
            return Composer(open_vae(folder / "vae", which), None)
        trained = open_mdrnn(folder / "mdrnn", which)
        return Composer(_vae_of(trained, [folder / "vae"]), trained)
    task = Workdir(folder).read().config.get("task")
    if task == "vae":
        return Composer(open_vae(folder, which), None)
    trained = open_mdrnn(folder, which)
    given = Path(_recorded(trained.folder, trained.record.config, "vae_workdir"))
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
    model, shapes = _from_record(folder, lambda: make_vae(record.config["model"]), vae.init)
    step, params = _restore(folder, which, shapes)
    return TrainedVAE(model, params, step, tree_identity(params), record, Path(folder))


def open_mdrnn(folder: Path | str, which: str | int = "best") -> TrainedMDRNN:
    """The MDRNN of a workdir of configs/mdrnn.py, without its VAE; arguments and errors as `open_vae` has them."""
    record = _read(folder, "mdrnn")
    model, shapes = _from_record(folder, lambda: make_mdrnn(record.config["model"], record.data["latent"]), mdrnn.init)
    step, params = _restore(folder, which, shapes)
    return TrainedMDRNN(MDRNNPrior(model), params, step, tree_identity(params), record, Path(folder))


def open_corpus(trained: TrainedVAE, folder: Path | str = "") -> Corpus:
    """The corpus on which a VAE was trained.

    Args:
      folder: where it is; '' is where the VAE's training found it, seen from here or from a folder above its workdir.

    Raises:
      LostCorpus: it is gone, or damaged.
      UserError: it is no longer the same.
    """
    return find_corpus(trained.record, trained.folder, folder)


def find_corpus(record: Record, vae: Path, folder: Path | str = "") -> Corpus:
    """The same by the record of the VAE in the workdir `vae`."""
    place = Path(folder or _recorded(vae, record.data, "corpus"))
    above = [] if folder else [parent / place for parent in vae.absolute().parents]
    place = next((path for path in [place, *above] if (path / "corpus.json").is_file()), place)
    again = f"this builds it again: {_corpus_command(record, place)}"
    if not (place / "corpus.json").is_file():
        elsewhere = "if it is elsewhere, say where (--corpus=FOLDER, when training --config.corpus_folder=FOLDER)"
        raise LostCorpus(f"The corpus {place} of {vae} is gone", f"{elsewhere}; {again}")
    try:
        corpus = Corpus.open(place)
    except DamagedCorpus as error:
        raise LostCorpus(f"The corpus {place} is damaged ({error.reason})", again) from error
    identity = _recorded(vae, record.data, "identity")
    if corpus.identity != identity:
        raise UserError(
            f"The corpus {place} (identity {corpus.identity[:12]}) is not the one on which {vae} was trained"
            f" ({identity[:12]}); give that one, or train another VAE on this one."
        )
    return corpus


def _corpus_command(record: Record, place: Path) -> str:
    """The command that builds the corpus of a VAE, by what its config says."""
    settings = {"source": "MUSIC"} | record.config.get("corpus", {})
    defaults = {field.name: field.default for field in dataclasses.fields(CorpusSettings)}
    flags = [f"--{name}={value}" for name, value in settings.items() if defaults.get(name, value) != value]
    return shlex.join(["python", "-m", "mcvae_jax.corpus", *flags, f"--out={place}"])


def provenance(trained: TrainedVAE | TrainedMDRNN) -> dict[str, Any]:
    """'folder', 'step' and 'identity' of a model, as results record them."""
    return {"folder": str(trained.folder), "step": trained.step, "identity": trained.identity}


def _read(folder: Path | str, task: str) -> Record:
    record = Workdir(folder).read()
    found = record.config.get("task")
    if found != task:
        raise UserError(
            f"{folder} is the workdir of {'an' if found == 'mdrnn' else 'a'} {MODELS.get(found, found)}; here one of"
            f" configs/{task}.py, with {'an' if task == 'mdrnn' else 'a'} {MODELS[task]}, is needed."
        )
    return record


def _recorded(folder: Path, section: dict[str, Any], name: str) -> Any:
    """A field of a workdir's config.json, which a file edited by hand may lack."""
    if name not in section:
        raise UserError(f"{Workdir(folder).config} has no {name!r}; restore it, or train in another workdir.")
    return section[name]


def _from_record(folder: Path | str, make: Callable[[], Any], init: Callable[[Any, jax.Array], Any]) -> tuple[Any, Any]:
    """make(), a model, and the shapes of its parameters; mistakes in either are those of the folder's config.json."""
    try:
        model = make()
        return model, jax.eval_shape(lambda: init(model, jax.random.key(0)))
    except Exception as error:  # fields of any type and size may stand there
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise UserError(
            f"{Workdir(folder).config} does not describe a model of this program ({reason}); restore it, or train in"
            " another workdir."
        ) from error


def _restore(folder: Path | str, which: str | int, shapes: Any) -> tuple[int, Any]:
    """Step and parameters of a checkpoint, on the first device, for parameters of such shapes."""
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
    wanted = target(shapes, jax.sharding.SingleDeviceSharding(jax.local_devices()[0]))
    with Checkpoints(workdir.checkpoints, read_only=True) as checkpoints:
        try:
            if which == "best" and checkpoints.best() is None:
                raise UserError(
                    f"No checkpoint of {folder} has been scored on held-out music yet; ask for 'newest', or train on."
                )
            restored = checkpoints.restore(which, {"params": wanted})
        except DamagedCheckpoint as error:
            raise _damaged(workdir, error, checkpoints.whole()) from error
        except OtherModel as error:
            raise UserError(f"{workdir.config} and its checkpoints do not belong together. {error}") from error
    return restored.step, restored.items["params"]


def _damaged(workdir: Workdir, damage: DamagedCheckpoint, whole: list[int]) -> DamagedModel:
    """The one line for a damaged checkpoint: which are whole, and the command that trains on without it."""
    command = workdir.read().command or "the call of train that made it"
    if not whole:
        return DamagedModel(damage, f"No other is whole; this trains again from the start: {command}")
    advice = f"Whole: {_listed(whole)}; --checkpoint={whole[-1]} takes it."
    return DamagedModel(damage, f"To train on without it: {command}", advice)


def _vae_of(trained: TrainedMDRNN, folders: list[Path]) -> TrainedVAE:
    """The VAE on whose latents an MDRNN was trained, in the first of the folders that is there."""
    wanted, step = trained.record.data.get("vae"), trained.record.data.get("vae_step")
    there = next((folder for folder in folders if folder.is_dir()), None)
    if there is None:
        raise UserError(
            f"The VAE of {trained.folder} is gone: there is no {' and no '.join(map(str, dict.fromkeys(folders)))};"
            " put its workdir back to such a place."
        )
    try:
        opened = open_vae(there, step if step in _steps(there) else "best")
    except DamagedModel as error:
        raise DamagedModel(error.damage, _both_again(trained, there)) from error
    if opened.identity != wanted:
        raise UserError(
            f"{trained.folder} was trained on step {step} of a VAE that {there} no longer holds (it has step"
            f" {opened.step}); train the MDRNN again with --config.vae_workdir={there} and another --workdir."
        )
    return opened


def _both_again(trained: TrainedMDRNN, vae: Path) -> str:
    command = trained.record.command or "the call of train that made it"
    return (
        f"{trained.folder} was trained on it: restore it; or delete {vae} and train it again, which makes the same VAE"
        f" on the same machine; or delete {trained.folder} and train that again on what is left of {vae}: {command}"
    )


def _steps(folder: Path | str) -> list[int]:
    """The steps of the complete checkpoints of a workdir."""
    folder = Workdir(folder).checkpoints
    if not folder.is_dir():
        return []
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.steps()


def _listed(steps: list[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
