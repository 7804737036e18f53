"""Workdirs -> parameters and corpora, whatever the model: what every opened model starts from.

Nothing here needs training code or knows a model by name.
"""

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mcvae_jax.corpus.settings import WINDOWS, CorpusSettings
from mcvae_jax.corpus.store import Corpus, DamagedCorpus
from mcvae_jax.errors import UserError
from mcvae_jax.places import shown
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.checkpoints import Checkpoints, DamagedCheckpoint, OtherModel, target
from mcvae_jax.storage.identity import tree_identity
from mcvae_jax.storage.workdir import Workdir


class DamagedModel(UserError):
    """A model whose checkpoint is damaged."""

    def __init__(self, damage: UserError, train_on: str, advice: str = "") -> None:
        """damage: what it is; train_on: how its training makes another; advice: where there are other ways."""
        super().__init__(" ".join(filter(None, (str(damage), advice, train_on))))
        self.damage, self.train_on = damage, train_on


class LostCorpus(UserError):
    """The corpus on which a model was trained is gone or damaged, for a reason."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


class Origin(NamedTuple):
    """The checkpoint that a model, or a part of it, was read from."""

    folder: Path  # the workdir
    step: int
    identity: str  # of the parameters, see `tree_identity`
    data: Mapping[str, Any]  # JSON facts about what it was trained on: 'corpus' (a folder), 'identity' of that, ...

    def facts(self) -> dict[str, Any]:
        """Folder, step and identity, as results record them."""
        return {"folder": shown(self.folder), "step": self.step, "identity": self.identity}


def known_origin(origin: Origin | None) -> Origin:
    """That of a model which was read from a workdir; ValueError for one that was not."""
    if origin is None:
        raise ValueError("this model was read from no workdir")
    return origin


def restore_model(
    folder: Path | str, which: str | int, make: Callable[[dict, dict], tuple[Any, Callable[[], Any]]]
) -> tuple[Any, Any, Origin]:
    """A model, its parameters and their origin, from a workdir.

    Args:
      folder: the workdir.
      which: 'best', 'newest' or a step.
      make: takes the config and the data of the record; gives the model, and a function of fresh parameters.

    Raises:
      DamagedModel: the checkpoint is damaged.
      UserError: it is no workdir of such a model, or has no such checkpoint, or one of another configuration.
    """
    record = Workdir(folder).read()
    try:
        model, init = make(record.config, record.data)
        shapes = jax.eval_shape(init)
    except Exception as error:  # fields of any type and size may stand there
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise UserError(
            f"{Workdir(folder).config} does not describe a model of this program ({reason}); restore it, or train in"
            " another workdir."
        ) from error
    step, params = _restore(folder, which, shapes)
    return model, params, Origin(fetched(folder), step, tree_identity(params), record.data)


def open_corpus(origin: Origin, folder: Path | str = "") -> Corpus:
    """The corpus on which a model was trained.

    Args:
      folder: where it is; '' is where its training found it, seen from here or from a folder above its workdir.

    Raises:
      LostCorpus: it is gone, or damaged.
      UserError: it is no longer the same.
    """
    return find_corpus(origin.data, origin.folder, folder)


def find_corpus(data: Mapping[str, Any], workdir: Path, folder: Path | str = "") -> Corpus:
    """The same by the data of the record of a workdir."""
    place = fetched(folder or recorded(workdir, data, "corpus"))
    above = [] if folder else [parent / place for parent in workdir.absolute().parents]
    place = next((path for path in [place, *above] if (path / "corpus.json").is_file()), place)
    if not (place / "corpus.json").is_file():
        elsewhere = "if it is elsewhere, say where (--corpus=FOLDER, when training --config.corpus_folder=FOLDER)"
        again = _corpus_command(workdir, place)
        raise LostCorpus(f"The corpus {place} of {workdir} is gone", f"{elsewhere}; {again}")
    try:
        corpus = Corpus.open(place)
    except DamagedCorpus as error:
        raise LostCorpus(f"The corpus {place} is damaged ({error.reason})", _corpus_command(workdir, place)) from error
    identity = recorded(workdir, data, "identity")
    if corpus.identity != identity:
        raise UserError(
            f"The corpus {place} (identity {corpus.identity[:12]}) is not the one on which {workdir} was trained"
            f" ({identity[:12]}); give that one, or train another model on this one."
        )
    return corpus


def recorded(workdir: Path, section: Mapping[str, Any], name: str) -> Any:
    """A field of a workdir's config.json, which a file edited by hand may lack."""
    if name not in section:
        raise UserError(f"{Workdir(workdir).config} has no {name!r}; restore it, or train in another workdir.")
    return section[name]


def _corpus_command(workdir: Path, place: Path) -> str:
    """What builds the corpus of a model again, by what its config says."""
    stated = Workdir(workdir).read().config.get("corpus", {})
    settings = (
        {"source": "MUSIC"} | ({"alike": WINDOWS} if stated else {}) | stated
    )  # those of earlier versions name none
    defaults = {field.name: field.default for field in dataclasses.fields(CorpusSettings)}
    flags = [f"--{name}={value}" for name, value in settings.items() if defaults.get(name, value) != value]
    return f"this builds it again: {shlex.join(['python', '-m', 'mcvae_jax.corpus', *flags, f'--out={place}'])}"


def _restore(folder: Path | str, which: str | int, shapes: Any) -> tuple[int, Any]:
    """Step and parameters of a checkpoint, on the first device, for parameters of such shapes."""
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


def checkpoint_steps(folder: Path | str) -> list[int]:
    """The steps of the complete checkpoints of a workdir."""
    folder = Workdir(folder).checkpoints
    if not folder.is_dir():
        return []
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.steps()


def _listed(steps: list[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
