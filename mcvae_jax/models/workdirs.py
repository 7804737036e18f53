"""Workdirs -> song models: what the rows of kinds.py say about opening."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind, kind_of, load
from mcvae_jax.models import music_vae, vae
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.diffusion.composer import DiffusionComposer
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.gan.composer import GANComposer
from mcvae_jax.models.joint.composer import JointComposer
from mcvae_jax.models.joint.composer import init as init_joint
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.settings import make_joint
from mcvae_jax.models.latent_composer import BarByBar, LatentComposer
from mcvae_jax.models.latent_windows import InWindows
from mcvae_jax.models.music_vae import MusicVAE, make_music_vae
from mcvae_jax.models.notes import NoteComposer
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.song_model import SongModel
from mcvae_jax.models.window_composer import WindowComposer
from mcvae_jax.music.tokens import BAR
from mcvae_jax.storage.buckets import beside, fetched
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.trained import DamagedModel, Origin, checkpoint_steps, known_origin, recorded, restore_model

Windowed = TypeVar("Windowed", bound=InWindows)

VAE_PART, PRIOR = "vae", "prior"  # of the parameters of a pair that was trained on together
PARTS = "parts"  # of the data of its record: what there is to know of both


def open_bar_by_bar(kind: Kind, folder: Path, which: str | int) -> BarByBar:
    """The VAE alone, of a workdir of configs/vae.py."""
    return BarByBar(open_codec(folder, which))


def open_latent_composer(kind: Kind, folder: Path, which: str | int) -> LatentComposer:
    """A prior over latents with the VAE whose latents it was trained on, at that very step.

    The VAE is looked for beside the prior, since workdirs are moved and copied together, and where its config says.

    Raises:
      UserError: as `restore_model` does; or the VAE is gone, or is no longer the one that the prior was trained on.
    """
    prior = open_prior(kind, folder, which)
    codec = _codec_of(known_origin(prior.origin))
    return LatentComposer(codec, prior, kind.composer or f"VAE and {kind.label}", kind.label)


def open_diffusion(kind: Kind, folder: Path, which: str | int) -> DiffusionComposer:
    """A diffusion prior with its VAE; see `open_latent_composer`."""
    return _open_in_windows(DiffusionComposer, kind, folder, which)


def open_gan(kind: Kind, folder: Path, which: str | int) -> GANComposer:
    """A GAN with its VAE; see `open_latent_composer`."""
    return _open_in_windows(GANComposer, kind, folder, which)


def _open_in_windows(composer: Callable[..., Windowed], kind: Kind, folder: Path, which: str | int) -> Windowed:
    _check_task(folder, kind.name, f"a {kind.label}")

    def make(config: dict, data: dict) -> tuple[Any, Callable[[], Any]]:
        prior = load(kind.make)(config, data["latent"])
        moments = Moments(jnp.zeros(prior.latent), jnp.ones(prior.latent))
        return prior, functools.partial(prior.init, jax.random.key(0), moments, np.ones(1))

    prior, params, origin = restore_model(folder, which, make)
    name = kind.composer or f"VAE and {kind.label}"
    return composer(_codec_of(origin), prior, params, origin, name, kind.label)


def open_codec(folder: Path | str, which: str | int = "best") -> BarCodec:
    """The bar VAE of a workdir; see `restore_model`."""
    _check_task(folder, "vae", "a VAE of configs/vae.py")

    def make(config: dict, data: dict) -> tuple[vae.VAE, Callable[[], Any]]:
        model = make_vae(config["model"], data.get("steps_per_bar", BAR))
        return model, _fresh(vae.init, model)

    return BarCodec(*restore_model(folder, which, make))


def open_prior(kind: Kind, folder: Path | str, which: str | int = "best") -> LatentPrior:
    """The prior of a workdir, without its VAE; see `restore_model`."""
    _check_task(folder, kind.name, f"a prior ({kind.label})")

    def make(config: dict, data: dict) -> tuple[Any, Callable[[], Any]]:
        prior = load(kind.make)(config, data["latent"])
        moments = Moments(jnp.zeros(prior.latent), jnp.ones(prior.latent))
        return prior, functools.partial(prior.init, jax.random.key(0), moments)

    return LatentPrior(*restore_model(folder, which, make))


def open_joint(kind: Kind, folder: Path, which: str | int) -> JointComposer:
    """The model of a workdir of configs/joint.py."""
    _check_task(folder, kind.name, "a joint MCVAE of configs/joint.py")

    def make(config: dict, data: dict) -> tuple[JointMCVAE, Callable[[], Any]]:
        network = make_joint(config["model"], data.get("steps_per_bar", BAR))
        return network, _fresh(init_joint, network)

    return JointComposer(*restore_model(folder, which, make))


def open_end_to_end(kind: Kind, folder: Path, which: str | int) -> LatentComposer:
    """A VAE and a prior of one workdir of configs/end_to_end.py."""
    _check_task(folder, kind.name, f"an {kind.label}")

    def make(config: dict, data: dict) -> tuple[tuple[vae.VAE, Any, str], Callable[[], Any]]:
        of_vae, of_prior = (data[PARTS][name]["config"] for name in (VAE_PART, PRIOR))
        network = make_vae(of_vae["model"], data.get("steps_per_bar", BAR))
        own = kind_of(of_prior["task"], data[PARTS][PRIOR].get("code", ""))
        prior = load(own.make)(of_prior, data["latent"])
        moments = Moments(jnp.zeros(prior.latent), jnp.ones(prior.latent))

        def init() -> dict[str, Any]:
            key = jax.random.key(0)
            return {VAE_PART: vae.init(network, key), PRIOR: prior.init(key, moments)}

        return (network, prior, own.label), init

    (network, prior, label), params, origin = restore_model(folder, which, make)
    codec = BarCodec(network, params[VAE_PART], origin)
    return LatentComposer(codec, LatentPrior(prior, params[PRIOR], origin), kind.label, label)


def open_notes(kind: Kind, folder: Path, which: str | int) -> NoteComposer:
    """A model of the notes of whole songs."""
    _check_task(folder, kind.name, f"a model of notes ({kind.label})")

    def make(config: dict, data: dict) -> tuple[Any, Callable[[], Any]]:
        model = load(kind.make)(config, data.get("steps_per_bar", BAR))
        return model, functools.partial(model.init, jax.random.key(0))

    return NoteComposer(*restore_model(folder, which, make), name=kind.label)


def open_music_vae(kind: Kind, folder: Path, which: str | int) -> WindowComposer:
    """The model of a workdir of configs/music_vae.py."""
    _check_task(folder, kind.name, "a MusicVAE of configs/music_vae.py")

    def make(config: dict, data: dict) -> tuple[MusicVAE, Callable[[], Any]]:
        network = make_music_vae(config["model"], data.get("steps_per_bar", BAR))
        return network, _fresh(music_vae.init, network)

    return WindowComposer(*restore_model(folder, which, make), name=kind.label)


def open_counted(kind: Kind, folder: Path, which: str | int) -> SongModel:
    """A model that is counted in the songs of its workdir."""
    _check_task(folder, kind.name, f"a model that is counted ({kind.label})")

    def make(config: dict, data: dict) -> tuple[Any, Callable[[], Any]]:
        bars, songs, steps = data["counted_bars"], data["counted_songs"], data.get("steps_per_bar", BAR)

        def nothing() -> dict[str, jax.Array]:
            return {"bars": jnp.zeros((bars, steps), jnp.uint8), "lengths": jnp.zeros(songs, jnp.int32)}

        return functools.partial(load(kind.make), config), nothing

    count, params, origin = restore_model(folder, which, make)
    model = count(counted_songs(params))
    return dataclasses.replace(model, origins={model.name: origin})


def counted_songs(params: Any) -> list[np.ndarray]:
    """The songs that such a workdir keeps, uint8 (n, T) each; see tasks/counted.py."""
    bars, lengths = (np.asarray(params[name]) for name in ("bars", "lengths"))
    return np.split(bars, np.cumsum(lengths)[:-1])


def _fresh(init: Callable[[Any, jax.Array], Any], network: Any) -> Callable[[], Any]:
    """Makes fresh parameters of a network; who opens one like it later need not wait until it is traced again."""
    return lambda: jax.jit(init, static_argnums=0)(network, jax.random.key(0))


def _check_task(folder: Path | str, wanted: str, what: str) -> None:
    """UserError for the workdir of a model of another kind."""
    task = Workdir(folder).read().config.get("task")
    if task != wanted:
        raise UserError(
            f"{folder} is the workdir of a model with config.task={task!r}; here {what}, with {wanted!r}, is needed."
        )


def _codec_of(origin: Origin) -> BarCodec:
    """The VAE on whose latents a prior was trained; see `open_latent_composer`."""
    given = fetched(recorded(origin.folder, Workdir(origin.folder).read().config, "vae_workdir"))
    folders = [beside(origin.folder, given.name), given]
    step, there = origin.data.get("vae_step"), [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    if not there:
        raise UserError(
            f"The VAE of {origin.folder} is gone: there is no {' and no '.join(map(str, dict.fromkeys(folders)))};"
            " put its workdir back to such a place."
        )
    for folder in there:
        try:
            opened = open_codec(folder, step if step in checkpoint_steps(folder) else "best")
        except DamagedModel as error:
            raise DamagedModel(error.damage, _both_again(origin.folder, folder)) from error
        found = known_origin(opened.origin)
        if found.identity == origin.data.get("vae"):
            return opened
    raise UserError(
        f"{origin.folder} was trained on step {step} of a VAE that {folder} no longer holds (it has step"
        f" {found.step}); train it again with --config.vae_workdir={folder} and another --workdir."
    )


def _both_again(prior: Path, vae: Path) -> str:
    command = Workdir(prior).read().command or "the call of train that made it"
    return (
        f"{prior} was trained on it: restore it; or delete {vae} and train it again, which makes the same VAE on the"
        f" same machine; or delete {prior} and train that again on what is left of {vae}: {command}"
    )
