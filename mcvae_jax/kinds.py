"""The kinds of models that can be trained, opened and put together: one row each.

`config.task` names a kind: one of KINDS, or 'MODULE:ATTRIBUTE' for a `Kind` of one's own, in a module beside the config
file (docs/extending.md). Whoever trains, samples or evaluates asks the row and no other place what a model is. The rows
name functions by text, so that a command imports what its own models need and nothing else.
"""

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mcvae_jax.errors import UserError
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.workdir import Workdir


class Kind(NamedTuple):
    """A row; functions are written 'module:function'."""

    name: str  # config.task
    label: str  # what people call it
    task: str  # a module with check(kind, config), make_task(kind, config, say) -> training.task.Task, perhaps FIELDS
    opens: str  # (kind, folder, which) -> models.song_model.SongModel, from the workdir of a trained one
    make: str = ""  # what makes the model, for tasks that serve several: see the task
    fields: str = ""  # the fields of its own that its config has, for such tasks: name -> type, or fields of a section
    composer: str = ""  # what people call the composer that it is a part of; '' is the label
    trains: str = "mcvae_jax.training.loop"  # or 'mcvae_jax.training.counted', where nothing is learnt by updates
    inputs: Mapping[str, str] = {}  # config fields that name the workdirs of other models, and these models' kinds

    @property
    def is_own(self) -> bool:
        """Whether it is no row of KINDS, but a user's own."""
        return ":" in self.name

    def config_fields(self) -> dict[str, Any]:
        """The fields that its config must have beside those of every model; see training/fields.py."""
        return getattr(importlib.import_module(self.task), "FIELDS", {}) | (load(self.fields) if self.fields else {})

    @property
    def trainer(self) -> Any:
        """The module that trains it, with OF_ALL (fields of every config), check_start and train."""
        return importlib.import_module(self.trains)

    def check(self, config: Any) -> None:
        """UserError for what can be found wrong in a config before any work."""
        importlib.import_module(self.task).check(self, config)

    def make_task(self, config: Any, say: Any) -> Any:
        """The task of a config, its data read or made; `say` takes lines about that."""
        return importlib.import_module(self.task).make_task(self, config, say)

    def open(self, folder: Path | str, which: str | int = "best") -> Any:
        """The song model of a workdir, with the settings that came with it; which: 'best', 'newest' or a step."""
        workdir = Workdir(fetched(folder))
        model = load(self.opens)(self, workdir.folder, which)
        return load("mcvae_jax.models.settings:with_own")(model, workdir.read().config.get("songs"), workdir.config)


class Pipeline(NamedTuple):
    """A kind that trains several models after each other in the subfolders of one workdir: see stages.py."""

    name: str
    label: str
    stages: str  # (config, folder, say, command) -> list[stages.Stage]
    models: tuple[str, ...]  # the subfolders of its models, those that it is all for last: a run has one of these


PRIOR_TASK, OPEN_PRIOR = "mcvae_jax.tasks.prior", "mcvae_jax.models.workdirs:open_latent_composer"
NOTES_TASK, OPEN_NOTES = "mcvae_jax.tasks.notes", "mcvae_jax.models.workdirs:open_notes"
COUNTED_TASK, OPEN_COUNTED = "mcvae_jax.tasks.counted", "mcvae_jax.models.workdirs:open_counted"
COUNTED = "mcvae_jax.training.counted"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("vae", "VAE", "mcvae_jax.tasks.vae", "mcvae_jax.models.workdirs:open_bar_by_bar"),
        Kind(
            "mdrnn",
            "MDRNN",
            PRIOR_TASK,
            OPEN_PRIOR,
            "mcvae_jax.models.mdrnn:make_prior",
            "mcvae_jax.models.mdrnn:FIELDS",
            "MCVAE",
            inputs={"vae_workdir": "vae"},
        ),
        Kind(
            "transformer_prior",
            "transformer prior",
            PRIOR_TASK,
            OPEN_PRIOR,
            "mcvae_jax.models.transformer_prior:make_prior",
            "mcvae_jax.models.transformer_prior:FIELDS",
            inputs={"vae_workdir": "vae"},
        ),
        Kind(
            "end_to_end",
            "end-to-end MCVAE",
            "mcvae_jax.tasks.end_to_end",
            "mcvae_jax.models.workdirs:open_end_to_end",
            inputs={"prior_workdir": "mdrnn"},
        ),
        Kind("joint", "joint MCVAE", "mcvae_jax.tasks.joint", "mcvae_jax.models.workdirs:open_joint"),
        Kind(
            "diffusion_prior",
            "diffusion prior",
            "mcvae_jax.tasks.diffusion",
            "mcvae_jax.models.workdirs:open_diffusion",
            "mcvae_jax.models.diffusion.prior:make_diffusion",
            "mcvae_jax.models.diffusion.prior:FIELDS",
            inputs={"vae_workdir": "vae"},
        ),
        Kind(
            "gan_prior",
            "GAN",
            "mcvae_jax.tasks.gan",
            "mcvae_jax.models.workdirs:open_gan",
            "mcvae_jax.models.gan.prior:make_gan",
            "mcvae_jax.models.gan.prior:FIELDS",
            inputs={"vae_workdir": "vae"},
        ),
        Kind(
            "note_lstm",
            "note LSTM",
            NOTES_TASK,
            OPEN_NOTES,
            "mcvae_jax.models.note_lstm:make_notes",
            "mcvae_jax.models.note_lstm:FIELDS",
        ),
        Kind(
            "note_transformer",
            "note transformer",
            NOTES_TASK,
            OPEN_NOTES,
            "mcvae_jax.models.note_transformer:make_notes",
            "mcvae_jax.models.note_transformer:FIELDS",
        ),
        Kind("music_vae", "MusicVAE", "mcvae_jax.tasks.music_vae", "mcvae_jax.models.workdirs:open_music_vae"),
        Kind(
            "bar_codes",
            "bar codes",
            NOTES_TASK,
            OPEN_NOTES,
            "mcvae_jax.models.bar_codes:make_notes",
            "mcvae_jax.models.bar_codes:FIELDS",
        ),
        Kind(
            "dice",
            "dice",
            COUNTED_TASK,
            OPEN_COUNTED,
            "mcvae_jax.models.dice:make_dice",
            "mcvae_jax.models.dice:FIELDS",
            trains=COUNTED,
        ),
        Kind(
            "markov",
            "Markov model",
            COUNTED_TASK,
            OPEN_COUNTED,
            "mcvae_jax.models.ngram_composer:make_markov",
            "mcvae_jax.models.ngram_composer:FIELDS",
            trains=COUNTED,
        ),
    )
}
PIPELINES = {
    kind.name: kind
    for kind in (Pipeline("mcvae", "MCVAE", "mcvae_jax.tasks.mcvae:stages", ("vae", "mdrnn", "transformer_prior")),)
}


def kind_of(task: str, code: str = "") -> Kind:
    """The row that config.task names.

    Args:
      code: a folder in which modules of one's own may lie, beside those that can be imported anyway.

    Raises:
      UserError: there is no such row.
    """
    if task in KINDS:
        return KINDS[task]
    if not re.match(r"[^.:][^:]*:", str(task)):
        known = ", ".join(sorted(KINDS | PIPELINES))
        raise UserError(f"config.task is {task!r}; it must be one of {known}, or 'MODULE:KIND' for one of your own")
    try:
        kind = load(task, code)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"config.task is {task!r}, which cannot be found ({error}); put the folder of its module on PYTHONPATH"
        ) from error
    if not isinstance(kind, Kind):
        raise UserError(f"config.task is {task!r}, which is no mcvae_jax.kinds.Kind; see docs/extending.md")
    return kind._replace(name=task)


def load(name: str, code: str = "") -> Any:
    """What 'module:attribute' names; `code` is a folder that is searched last."""
    if code and code not in sys.path:
        sys.path.append(code)
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def open_model(folder: Path | str, which: str | int = "best") -> Any:
    """The song model of a workdir: that of one model, or of a pipeline, whose last model it then is.

    Args:
      which: 'best', 'newest' or a step, of the model whose workdir it is.

    Raises:
      UserError: there is no such workdir or checkpoint, or one that is damaged or of another configuration.
    """
    folder = model_folder(fetched(folder))
    record = Workdir(folder).read()
    return kind_of(record.config.get("task", ""), record.code).open(folder, which)


def model_folder(folder: Path) -> Path:
    """The workdir of the model that a folder is about: itself, or of a pipeline that of its last model there."""
    models = models_of(folder)
    return models[-1] if models else folder


def models_of(folder: Path) -> list[Path]:
    """The workdirs of the models that a pipeline has begun in a folder; none where it is no workdir of a pipeline."""
    if Workdir(folder).is_claimed():
        return []
    places = ([folder / name for name in pipeline.models] for pipeline in PIPELINES.values())
    return max(([each for each in of_one if Workdir(each).is_claimed()] for of_one in places), key=len, default=[])
