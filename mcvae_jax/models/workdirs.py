"""Workdirs -> song models: what the rows of kinds.py say about opening."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models import vae
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.latent_composer import BarByBar, LatentComposer
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.music.tokens import BAR
from mcvae_jax.trained import checkpoint_steps, restore_model
from mcvae_jax.workdir import Workdir


def open_bar_by_bar(kind: Kind, folder: Path, which: str | int) -> BarByBar:
    """The VAE alone, of a workdir of configs/vae.py."""
    return BarByBar(open_codec(folder, which))


def open_latent_composer(kind: Kind, folder: Path, which: str | int) -> LatentComposer:
    """A prior over latents with the VAE whose latents it was trained on, at that very step.

    The VAE is looked for where the prior's config says, and else, as workdirs move, beside it under the same name.

    Raises:
      UserError: as `restore_model` does; or the VAE is gone, or is no longer the one that the prior was trained on.
    """
    prior = open_prior(kind, folder, which)
    given = Path(Workdir(folder).read().config["vae_workdir"])
    codec = _codec_of(prior, [given, folder.absolute().parent / given.name])
    return LatentComposer(codec, prior, kind.composer or f"VAE and {kind.label}", kind.label)


def open_codec(folder: Path | str, which: str | int = "best") -> BarCodec:
    """The bar VAE of a workdir; see `restore_model`."""
    record = Workdir(folder).read()
    if record.config.get("task") != "vae":
        raise UserError(
            f"{folder} is the workdir of a model with config.task={record.config.get('task')!r}; here one of"
            " configs/vae.py, with a VAE, is needed."
        )

    def make(config: dict, data: dict) -> tuple[vae.VAE, Callable[[], Any]]:
        model = make_vae(config["model"], data.get("steps_per_bar", BAR))
        return model, functools.partial(vae.init, model, jax.random.key(0))

    return BarCodec(*restore_model(folder, which, make))


def open_prior(kind: Kind, folder: Path | str, which: str | int = "best") -> LatentPrior:
    """The prior of a workdir, without its VAE; see `restore_model`."""

    def make(config: dict, data: dict) -> tuple[Any, Callable[[], Any]]:
        prior = load(kind.make)(config, data["latent"])
        moments = Moments(jax.numpy.zeros(prior.latent), jax.numpy.ones(prior.latent))
        return prior, functools.partial(prior.init, jax.random.key(0), moments)

    return LatentPrior(*restore_model(folder, which, make))


def _codec_of(prior: LatentPrior, folders: list[Path]) -> BarCodec:
    """The VAE on whose latents a prior was trained, in the first of the folders that is there."""
    origin = prior.origin
    assert origin is not None
    wanted, step = origin.data.get("vae"), origin.data.get("vae_step")
    there = next((folder for folder in folders if folder.is_dir()), None)
    if there is None:
        raise UserError(
            f"The VAE of {origin.folder} is gone: there is no {' and no '.join(map(str, dict.fromkeys(folders)))};"
            " put its workdir back to such a place."
        )
    opened = open_codec(there, step if step in checkpoint_steps(there) else "best")
    assert opened.origin is not None
    if opened.origin.identity != wanted:
        raise UserError(
            f"{origin.folder} was trained on step {step} of a VAE that {there} no longer holds (it has step"
            f" {opened.origin.step}); train it again with --config.vae_workdir={there} and another --workdir."
        )
    return opened
