"""The diffusion prior on random latents, without a VAE or a corpus; and a composer of random parameters."""

import functools

import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.diffusion.composer import DiffusionComposer
from mcvae_jax.models.diffusion.network import Denoiser
from mcvae_jax.models.diffusion.prior import DiffusionPrior
from mcvae_jax.models.diffusion.process import Path
from mcvae_jax.models.latent_windows import SONG_LENGTHS, STANDARD
from mcvae_jax.models.notes import Dropout
from mcvae_jax.models.prior import Moments
from mcvae_jax.tasks.diffusion import held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task
from tests.known_songs import a_codec
from tests.mdrnn_layouts import random_batch
from tests.random_params import random_params

BARS, LATENT = 6, 3
MOMENTS = Moments(np.full(LATENT, 0.1, np.float32), np.full(LATENT, 2.0, np.float32))


def a_prior(dropout: float = 0.0, units: int = 8) -> DiffusionPrior:
    network = Denoiser(latent=LATENT, units=units, layers=1, heads=2)
    return DiffusionPrior(network, BARS, levels=50, path=Path(4, 2), dropout=Dropout(dropout))


@functools.cache
def _params():
    return random_params(functools.partial(a_prior().init, moments=MOMENTS, lengths=np.ones(1)), 1.0)


def a_diffusion(lengths=(3.0, 5.0, 9.0)) -> DiffusionComposer:
    """With songs of such lengths."""
    known = dict(zip(STANDARD, MOMENTS, strict=True)) | {SONG_LENGTHS: jnp.asarray(lengths, jnp.float32)}
    return DiffusionComposer(a_codec(), a_prior(), {**_params(), **known})


def weighed_windows(step: int) -> dict[str, np.ndarray]:
    """With masks of unequal lengths, and weights that differ from device to device."""
    rng = np.random.default_rng(step)
    made = random_batch(rng, 16, BARS, LATENT) | {"first": rng.integers(0, 20, 16).astype(np.int32)}
    weight = rng.integers(1, 4, 16).astype(np.float32)
    weight[2:4] = 0.0  # all that one of eight devices gets
    return made | {"weight": weight}


def make_task(dropout: float = 0.3, units: int = 8) -> Task:
    """The task on `weighed_windows`."""
    prior = a_prior(dropout, units)

    return Task(
        init=functools.partial(prior.init, moments=MOMENTS, lengths=np.ones(1)),
        sums=make_sums(prior),
        objective=lambda sums, step: objective(sums, 40.0),
        held_out_objective=held_out_objective,
        batch=weighed_windows,
        held_out_batches=lambda: [weighed_windows(99)],
        finish=lambda params, folder, say: {},
        constants=prior.constants,
    )
