"""A run of training in a notebook: its corpus, its training, and the composer that comes of it."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mcvae_jax import main
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.notebook.composer import Composer, open_composer
from mcvae_jax.notebook.live import Live
from mcvae_jax.notebook.shown import image, preformatted
from mcvae_jax.options import Options, parse

# The smoke preset tests the machinery. What a person looks at should reconstruct something: without transposition, with
# less weight on the KL and some more steps, the VAE gets 61 % of the tokens of held-out bars right, not 49 %.
TOY_FIELDS = {
    "vae.model.units": 128,
    "vae.data.lowest_shift": 0,
    "vae.data.highest_shift": 0,
    "vae.loss.beta": 0.2,
    "vae.optimizer.learning_rate": 4e-3,
    "vae.optimizer.decay_steps": 600,
    "vae.train.batch_size": 64,
    "vae.train.steps": 600,
    "vae.train.eval_every": 200,
    "vae.train.save_every": 200,
    "songs.continued": 0,
    "songs.composed": 1,
}


@dataclasses.dataclass(frozen=True, repr=False)
class CorpusView:
    """A corpus that shows its report and its pictures."""

    corpus: Corpus

    def __repr__(self) -> str:
        return f"<a corpus of {len(self.corpus)} songs and {len(self.corpus.tokens):,} bars>"

    def __str__(self) -> str:
        return (self.corpus.folder / "report.txt").read_text("utf-8")

    def _repr_html_(self) -> str:
        picture = (self.corpus.folder / "report.png").read_bytes()
        return preformatted(str(self).splitlines()) + image(picture, "the corpus in pictures")


@dataclasses.dataclass(frozen=True)
class Run:
    """What is trained, where, and on which music.

    Its corpus lies beside the workdir, so that both survive where the workdir does, as on a Drive.
    """

    config: str  # as on the command line: 'mcvae:smoke', 'vae', the path of a file
    workdir: str | os.PathLike
    music: str | os.PathLike = ""  # a folder, an archive, 'builtin' or 'tunes'; '' is what the config says
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # others of the config, by their names

    def corpus(self) -> CorpusView:
        """The corpus, read and cleaned the first time."""
        config = self._options()[0].config
        of_vae = config.get("vae", config)
        return CorpusView(ensure_corpus(CorpusSettings(**of_vae.corpus), of_vae.corpus_folder))

    def train(self) -> Composer:
        """Trains, or goes on where the workdir stands, and shows the learning curves meanwhile."""
        options, argv = self._options()
        live = Live(Path(self.workdir))
        try:
            status = main.run(options, argv, live.say)
        finally:
            live.show()
        if status:
            raise UserError("the training was stopped and is saved; run the cell again, and it goes on from there")
        return open_composer(self.workdir)

    def _options(self) -> tuple[Options, list[str]]:
        """The options of the command that does the same, and its arguments."""
        argv = [f"--config={self.config}", f"--workdir={self.workdir}"]
        config = parse(argv).config
        of_vae = "vae." if isinstance(config.get("vae"), ConfigDict) else ""
        fields = {f"{of_vae}corpus_folder": f"{self.workdir}-corpus"}
        if self.music:
            fields[f"{of_vae}corpus.source"] = str(self.music)
        argv += [f"--config.{name}={value}" for name, value in (fields | dict(self.fields)).items()]
        return parse(argv), argv


def open_or_train(workdir: str | os.PathLike = "") -> Composer:
    """The model of a workdir; without one a toy, trained here in about two minutes the first time, on fiddle tunes."""
    return open_composer(workdir) if workdir else Run("mcvae:smoke", "runs/toy", "builtin", TOY_FIELDS).train()
