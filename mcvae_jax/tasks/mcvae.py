"""The whole MCVAE by one command: corpus, bar VAE, latents, MDRNN, songs, and a page to hear and see them.

WORKDIR/vae/      a workdir of configs/vae.py          WORKDIR/mdrnn/       a workdir of configs/mdrnn.py
WORKDIR/songs/    index.html and the songs             WORKDIR/stages.json  the seconds that each part took

Another prior over latents takes the MDRNN's place where `config.prior` names it, and its folder has its name.
"""

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mcvae_jax.batches.bars import check_shifts
from mcvae_jax.batches.songs import choose_songs
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import PIPELINES, kind_of, open_model
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.places import shown
from mcvae_jax.sampling import demo
from mcvae_jax.stages import Stage, Stopwatch, times
from mcvae_jax.storage.checkpoints import Checkpoints
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.corpus import default_folder
from mcvae_jax.tasks.prior import read_settings
from mcvae_jax.trained import LostCorpus, find_corpus
from mcvae_jax.training import loop, processes
from mcvae_jax.training.fields import OF_ALL, TEXT, Fields, check_fields
from mcvae_jax.training.precision import settled
from mcvae_jax.training.results import is_finished

Say = Callable[[str], None]

VAE, *PRIORS = PIPELINES["mcvae"].models


def stages(config: Any, folder: Path, say: Say, command: str) -> list[Stage]:
    """The stages of a config.

    Args:
      config: what configs/mcvae.py returns: the configs of both models, and of the songs.
      folder: the workdir of all of it.
      command: what was typed, recorded in both workdirs.

    Raises:
      UserError: a field is absent, or of another type.
    """
    prior = config.get("prior", PRIORS[0])
    if prior not in PRIORS:
        raise UserError(f"config.prior is {prior!r}; it must be one of {', '.join(PRIORS)}")
    check_fields(config, fields(prior))
    run = _Run(config, folder, say, command, prior)
    trained = [
        Stage(
            name,
            needs,
            (run.data_of[name], name),
            functools.partial(run.check_model, name),
            functools.partial(run.done, name),
            functools.partial(run.train, name),
        )
        for name, needs in ((VAE, ()), (prior, (VAE,)))
    ]
    return [*trained, Stage("songs", (prior,), ("songs",), run.check_songs, lambda: "", run.make_songs)]


def data_of(prior: str = PRIORS[0]) -> dict[str, str]:
    """The models in their order, each with the part that makes its data."""
    return {VAE: "corpus", prior: "latents"}


def parts_of(prior: str = PRIORS[0]) -> tuple[str, ...]:
    """All parts of the stages in their order."""
    return *(part for model, data in data_of(prior).items() for part in (data, model)), "songs"


def fields(prior: str) -> Fields:
    """The fields that a config of all stages must have."""
    models = {name: OF_ALL | kind_of(name).config_fields() for name in (VAE, prior)}
    del models[prior]["vae_workdir"]  # it is always the VAE of the same workdir
    return {"task": TEXT, **models, "songs": demo.FIELDS}


@dataclasses.dataclass(frozen=True)
class _Run:
    """What the stages share."""

    config: Any
    folder: Path
    say: Say
    command: str
    prior: str  # one of PRIORS

    @property
    def data_of(self) -> dict[str, str]:
        """See the function of this name."""
        return data_of(self.prior)

    def model_config(self, name: str, say: Say = lambda line: None) -> Any:
        """The config of a model, as its own config file would give it; `say` takes what was chosen by itself."""
        config = settled(self.config[name].copy_and_resolve_references(), self.folder / name, say)
        if name == self.prior:
            with config.unlocked():
                config.vae_workdir = shown(self.folder / VAE)
        return config

    def check_model(self, name: str) -> None:
        """UserError where a model cannot be trained."""
        config = self.model_config(name)
        with _in_our_terms(name, config):
            loop.check_start(config, self.folder / name, "")
            kind_of(config.task).check(config)
        if name == self.prior:
            self._check_pair()

    def check_songs(self) -> None:
        """UserError where songs cannot be made, or not be written."""
        demo.check_settings(self.config.songs)
        if not all(is_finished(Workdir(self.folder / name), self.config[name].train.steps) for name in self.data_of):
            demo.check_folder(self.folder / "songs")

    def done(self, name: str) -> str:
        """What is said of a model that is trained, '' where it is not."""
        folder, steps = self.folder / name, self.config[name].train.steps
        return f"{folder} is done: step {steps}." if loop.is_done(Workdir(folder), steps) else ""

    def train(self, name: str, watch: Stopwatch) -> int:
        """Makes a model's data and trains it; the signal that stopped it, or 0."""
        config = self.model_config(name, self.say)
        if name == self.prior:
            processes.by_first("pair", self._check_pair)
            config.corpus_folder = processes.by_first("corpus of the VAE", self._corpus_folder)
        with _in_our_terms(name, config):
            with watch.part(self.data_of[name]):
                task = kind_of(config.task).make_task(config, self.say)
                if name == VAE:
                    corpus = Corpus.open(task.data["corpus"])
                    processes.by_first("song check", lambda: self._check_usable(corpus))
            with watch.part(name):
                return loop.train(task, config, self.folder / name, self.say, command=self.command).signal

    def make_songs(self, watch: Stopwatch) -> int:
        """Composes the songs of config.songs, where these do not stand there yet."""
        processes.by_first("songs", lambda: self._make_songs(watch))
        return 0

    def _make_songs(self, watch: Stopwatch) -> None:
        config, songs = self.config.songs, self.folder / "songs"
        corpus = self._corpus_folder() if config.continued else ""
        demo.make_songs(open_model(self.folder), config, songs, self.say, corpus, watch.part("songs"))
        self.say(f"Time by stage: {times(self.folder, self.say)}.")
        demo.say_where(songs, self.say)

    def _corpus_folder(self) -> str:
        """Where the corpus of the VAE is: '' for where its training found it; one that is lost is built again."""
        given = self.config[self.prior].corpus_folder
        try:
            find_corpus(Workdir(self.folder / VAE).read().data, self.folder / VAE, given)
        except LostCorpus as error:
            if given:
                raise
            settings = CorpusSettings(**self.config.vae.corpus)
            place = self.config.vae.corpus_folder or str(default_folder(settings))
            self.say(f"{error.reason}; {place} is taken, and built if need be.")
            ensure_corpus(settings, place, progress=self.say)
            return place
        return given

    def _check_pair(self) -> None:
        """UserError where a trained prior stands there, but not the VAE that it was trained on, or not for long.

        Or where another prior does: whoever opens the workdir gets one model, and would not know which.

        A VAE that is being trained to the very step to which it was trained before may become the same again, as it
        does on the same machine: it is looked at again when it is.
        """
        for other in PRIORS:
            if other != self.prior and Workdir(self.folder / other).is_claimed():
                raise UserError(
                    f"{self.folder} has a prior already, {other}; give --config.prior={other}, or another --workdir"
                    f" (--config={self.prior} --config.vae_workdir={self.folder / VAE} takes its VAE)."
                )
        vae, prior, steps = self.folder / VAE, self.folder / self.prior, self.config.vae.train.steps
        if not _newest_step(prior):
            return
        if _newest_step(vae) < steps:
            record = Workdir(vae).stored().record
            same = not record or record.config.get("train", {}).get("steps") == steps
        else:
            record = Workdir(prior).stored().record or Workdir(prior).read()
            same = _holds(vae, record.data.get("vae_step"), record.data.get("vae"), prior)
        if not same:
            raise UserError(
                f"{prior} belongs to another state of the VAE than step {steps} of {vae}; delete {prior}, so that it is"
                " trained anew, or take another --workdir."
            )

    def _check_usable(self, corpus: Corpus) -> None:
        """UserError, before the VAE is trained, where the stages after it would find no songs that they can use."""
        config = self.model_config(self.prior)
        with _in_our_terms(self.prior, config):
            settings = read_settings(config)
            check_shifts(settings, make_vae(self.config.vae.model).pitches)
            choose_songs(corpus, settings, say=lambda line: None)
        if self.config.songs.continued:
            demo.held_out_seeds(corpus, 1, self.config.songs.seed_bars)


def _holds(vae: Path, step: Any, identity: Any, prior: Path) -> bool:
    """Whether a VAE's workdir holds a checkpoint with this identity; UserError where it did and that is damaged."""
    with Checkpoints(Workdir(vae).checkpoints, read_only=True) as checkpoints:
        if step not in checkpoints.steps():
            return False
        damage = checkpoints.damage(step, ("params",))
        if damage:
            raise UserError(
                f"{damage} {prior} was trained on it: delete {vae}, and the same command trains it again, which makes"
                f" the same VAE on the same machine, and keeps {prior}; or delete {prior}, and it goes on with what is"
                f" left of {vae}."
            )
        return checkpoints.identity(step, "params") == identity


def _newest_step(folder: Path) -> int:
    """0 where there is no checkpoint."""
    if not Workdir(folder).checkpoints.is_dir():
        return 0
    with Checkpoints(Workdir(folder).checkpoints, read_only=True) as checkpoints:
        return checkpoints.newest() or 0


@contextlib.contextmanager
def _in_our_terms(name: str, model_config: Any) -> Iterator[None]:
    """What a model's own command would advise becomes advice for this one: config.vae.model, and no --init_from."""
    try:
        yield
    except UserError as error:
        sections = "|".join(model_config.keys())
        line = re.sub(rf"\bconfig\.(?=(?:{sections})\b)", f"config.{name}.", str(error))
        raise UserError(re.sub(r" \(--init_from=[^)]*\)", "", line)) from error
