"""The whole MCVAE by one command: corpus, bar VAE, latents, MDRNN, songs, and a page to hear and see them.

    WORKDIR/vae/      a workdir of configs/vae.py          WORKDIR/mdrnn/       a workdir of configs/mdrnn.py
    WORKDIR/songs/    index.html and the songs             WORKDIR/stages.json  the seconds that each stage took

A stage that is done is skipped, one that was cut off goes on, so the same command again finishes what is left.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mcvae_jax.batches.bars import check_shifts
from mcvae_jax.checkpoints import Checkpoints
from mcvae_jax.command import clock
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.disk import CannotWrite
from mcvae_jax.errors import UserError
from mcvae_jax.jsonfile import DamagedFile, Seconds, read_json, read_or_none, write_json
from mcvae_jax.kinds import kind_of, open_model
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.sampling import demo
from mcvae_jax.tasks import prior as mdrnn_task
from mcvae_jax.tasks.vae import default_folder
from mcvae_jax.trained import LostCorpus, find_corpus
from mcvae_jax.training import loop, processes
from mcvae_jax.training.fields import OF_ALL, TEXT, Fields, check_fields
from mcvae_jax.training.results import is_finished
from mcvae_jax.workdir import Workdir

Say = Callable[[str], None]

TASK = "mcvae"  # config.task
STAGES = ("corpus", "vae", "latents", "mdrnn", "songs")
MODELS = {"vae": "corpus", "mdrnn": "latents"}  # each with the stage that makes its data
TIMES = "stages.json"
Times = dict[str, Seconds]  # what it holds


def fields() -> Fields:
    """The fields that a config of all stages must have."""
    models = {name: OF_ALL | kind_of(name).config_fields() for name in MODELS}
    del models["mdrnn"]["vae_workdir"]  # it is always the VAE of the same workdir
    return {"task": TEXT, **models, "songs": demo.FIELDS}


def check_start(config: Any, folder: Path) -> None:
    """What can be told before any work: UserError where a stage of this run cannot start."""
    check_fields(config, fields())
    _check_folder(folder)
    demo.check_settings(config.songs)
    for name in MODELS:
        model_config = _model_config(config, name, folder)
        with _in_our_terms(name, model_config):
            loop.check_start(model_config, folder / name, "")
            kind_of(model_config.task).check(model_config)
    _check_pair(config, folder)
    if not all(is_finished(Workdir(folder / name), config[name].train.steps) for name in MODELS):
        demo.check_folder(folder / "songs")


def run(config: Any, folder: Path, say: Say, command: str) -> int:
    """Runs what is left of the stages.

    Args:
      config: what configs/mcvae.py returns: the configs of both models, and of the songs.
      folder: the workdir of all of it.
      command: what was typed, recorded in both workdirs.

    Returns:
      The exit status: 0, or 128 + the signal that stopped it.

    Raises:
      UserError: as `loop.train` and the making of the tasks do.
    """
    processes.by_first("start", lambda: check_start(config, folder))
    with _locked(folder):
        watch = Stopwatch(folder, say)
        received = _train_all(MODELS, config, folder, watch, command)
        if received:
            return 128 + received
        processes.by_first("songs", lambda: _make_songs(config, folder, watch))
    return 0


def train_models(config: Any, folder: Path, say: Say, command: str, names: Iterable[str] = MODELS) -> int:
    """The models alone, or the first of them alone (`names`), without songs; arguments and the rest as `run` has."""
    processes.by_first("start", lambda: check_start(config, folder))
    with _locked(folder):
        received = _train_all(names, config, folder, Stopwatch(folder, say), command)
    return 128 + received if received else 0


def _locked(folder: Path) -> contextlib.AbstractContextManager:
    return Workdir(folder).locked() if processes.is_first() else contextlib.nullcontext()


def _train_all(names: Iterable[str], config: Any, folder: Path, watch: "Stopwatch", command: str) -> int:
    """The signal that stopped it, or 0."""
    for name in names:
        received = _train(name, config, folder, watch, command)
        if received:
            return received
    return 0


def _train(name: str, config: Any, folder: Path, watch: "Stopwatch", command: str) -> int:
    """Makes a model's data and trains it, where that is not done; the signal that stopped it, or 0."""
    model_config = _model_config(config, name, folder)
    if processes.by_first(f"{name} done", lambda: _is_done(config, name, folder)):
        watch.say(f"{folder / name} is done: step {model_config.train.steps}.")
        return 0
    if name == "mdrnn":
        _check_pair(config, folder)
        model_config.corpus_folder = _corpus_folder(config, folder, watch.say)
    with _in_our_terms(name, model_config):
        with watch.stage(MODELS[name]):
            task = kind_of(model_config.task).make_task(model_config, watch.say)
            if name == "vae":
                corpus = Corpus.open(task.data["corpus"])
                processes.by_first("song check", lambda: _check_songs(config, corpus, folder))
        with watch.stage(name):
            return loop.train(task, model_config, folder / name, watch.say, command=command).signal


def _make_songs(config: Any, folder: Path, watch: "Stopwatch") -> None:
    composer, songs = open_model(folder), folder / "songs"
    if demo.is_written(composer, config.songs, songs, watch.say):
        watch.say(f"{songs} is done. Nothing is left to do.")
    else:
        with watch.stage("songs"):
            corpus = _corpus_folder(config, folder, watch.say) if config.songs.continued else ""
            demo.write_demo(composer, config.songs, songs, watch.say, corpus)
    watch.say(f"Time by stage: {times(folder, watch.say)}.")
    watch.say(f"Listen: open {songs / demo.PAGE} in a browser.")


def _corpus_folder(config: Any, folder: Path, say: Say) -> str:
    """Where the corpus of the VAE is: '' for where its training found it; one that is lost is built again."""
    given = config.mdrnn.corpus_folder
    try:
        find_corpus(Workdir(folder / "vae").read().data, folder / "vae", given)
    except LostCorpus as error:
        if given:
            raise
        settings = CorpusSettings(**config.vae.corpus)
        place = config.vae.corpus_folder or str(default_folder(settings))
        say(f"{error.reason}; {place} is taken, and built if need be.")
        ensure_corpus(settings, place, progress=say)
        return place
    return given


def _model_config(config: Any, name: str, folder: Path) -> Any:
    """The config of one of MODELS, as its own config file would give it."""
    model_config = config[name].copy_and_resolve_references()
    if name == "mdrnn":
        with model_config.unlocked():
            model_config.vae_workdir = str(folder / "vae")
    return model_config


def _is_done(config: Any, name: str, folder: Path) -> bool:
    return loop.is_done(Workdir(folder / name), config[name].train.steps)


def _check_folder(folder: Path) -> None:
    """UserError for a workdir that is neither new nor one of this command."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder as --workdir.")
    names = {path.name for path in folder.iterdir()} - {"lock"} if folder.exists() else set()
    if names and ("config.json" in names or not names & {"vae", TIMES}):
        raise UserError(f"{folder} holds other things than a run of configs/mcvae.py; give an empty or new --workdir.")


def _check_pair(config: Any, folder: Path) -> None:
    """UserError where a trained MDRNN stands there, but not the VAE that it was trained on, or not for long.

    A VAE that is being trained to the very step to which it was trained before may become the same again, as it does
    on the same machine: it is looked at again when it is.
    """
    vae, mdrnn, steps = folder / "vae", folder / "mdrnn", config.vae.train.steps
    if not _newest_step(mdrnn):
        return
    if _newest_step(vae) < steps:
        record = Workdir(vae).stored().record
        same = not record or record.config.get("train", {}).get("steps") == steps
    else:
        record = Workdir(mdrnn).stored().record or Workdir(mdrnn).read()
        same = _holds(vae, record.data.get("vae_step"), record.data.get("vae"), mdrnn)
    if not same:
        raise UserError(
            f"{mdrnn} belongs to another state of the VAE than step {steps} of {vae}; delete {mdrnn}, so that it is"
            " trained anew, or take another --workdir."
        )


def _holds(vae: Path, step: Any, identity: Any, mdrnn: Path) -> bool:
    """Whether a VAE's workdir holds a checkpoint with this identity; UserError where it did and that is damaged."""
    with Checkpoints(Workdir(vae).checkpoints, read_only=True) as checkpoints:
        if step not in checkpoints.steps():
            return False
        damage = checkpoints.damage(step, ("params",))
        if damage:
            raise UserError(
                f"{damage} {mdrnn} was trained on it: delete {vae}, and the same command trains it again, which makes"
                f" the same VAE on the same machine, and keeps {mdrnn}; or delete {mdrnn}, and it goes on with what is"
                f" left of {vae}."
            )
        return checkpoints.identity(step, "params") == identity


def _newest_step(folder: Path) -> int:
    """0 where there is no checkpoint."""
    if not Workdir(folder).checkpoints.is_dir():
        return 0
    with Checkpoints(Workdir(folder).checkpoints, read_only=True) as checkpoints:
        return checkpoints.newest() or 0


def _check_songs(config: Any, corpus: Corpus, folder: Path) -> None:
    """UserError, before the VAE is trained, where the stages after it would find no songs that they can use."""
    model_config = _model_config(config, "mdrnn", folder)
    with _in_our_terms("mdrnn", model_config):
        settings = mdrnn_task.read_settings(model_config)
        check_shifts(settings, make_vae(config.vae.model))
        mdrnn_task.choose_songs(corpus, settings, say=lambda line: None)
    if config.songs.continued:
        demo.held_out_seeds(corpus, 1, config.songs.seed_bars)


@contextlib.contextmanager
def _in_our_terms(name: str, model_config: Any) -> Iterator[None]:
    """What a model's own command would advise becomes advice for this one: config.vae.model, and no --init_from."""
    try:
        yield
    except UserError as error:
        sections = "|".join(model_config.keys())
        line = re.sub(rf"\bconfig\.(?=(?:{sections})\b)", f"config.{name}.", str(error))
        raise UserError(re.sub(r" \(--init_from=[^)]*\)", "", line)) from error


class Stopwatch:
    """The seconds that the stages took, over all starts of a run, kept in a file of its folder."""

    def __init__(self, folder: Path, say: Say):
        self.path, self.say = folder / TIMES, say
        try:
            self.seconds = read_json(self.path, Times) or {}
        except DamagedFile as error:
            say(f"{error}; the times are counted anew")
            self.seconds = {}
            if processes.is_first():
                write_json(self.path, {})

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what happens inside for a stage, also where it ends early."""
        self.say(f"[{STAGES.index(name) + 1}/{len(STAGES)}] {name}")
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            with contextlib.suppress(CannotWrite):  # what ended the stage is to be said, and may be the same
                self._note(name, started)
            raise
        self._note(name, started)

    def _note(self, name: str, started: float) -> None:
        if processes.is_first():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 1)
            write_json(self.path, self.seconds)


def times(folder: Path, say: Say) -> str:
    """'corpus 0:26, vae 9:10; in all 9:36', of a workdir; where they are damaged, which is said, 'not known'."""
    seconds = read_or_none(folder / TIMES, Times, say, "the times are not known")
    if not seconds:
        return "not known"
    parts = ", ".join(f"{name} {clock(seconds[name])}" for name in STAGES if name in seconds)
    return f"{parts}; in all {clock(sum(seconds.values()))}"
