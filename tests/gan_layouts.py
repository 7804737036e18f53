"""The GAN on random latents, without a VAE or a corpus; and a composer of random parameters."""

import functools

import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.gan.composer import GANComposer
from mcvae_jax.models.gan.networks import Critic, Generator
from mcvae_jax.models.gan.prior import GANPrior
from mcvae_jax.models.latent_windows import SONG_LENGTHS, STANDARD
from mcvae_jax.tasks.gan import held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task
from tests.diffusion_layouts import BARS, LATENT, MOMENTS, weighed_windows
from tests.known_songs import a_codec
from tests.random_params import random_params


def a_prior(units: int = 8, gamma: float = 1.0) -> GANPrior:
    sizes = {"latent": LATENT, "units": units, "layers": 1, "heads": 2}
    return GANPrior(Generator(**sizes), Critic(**sizes), BARS, gamma)


@functools.cache
def _params():
    return random_params(functools.partial(a_prior().init, moments=MOMENTS, lengths=np.ones(1)), 1.0)


def a_gan(lengths=(3.0, 5.0, 9.0)) -> GANComposer:
    """With songs of such lengths."""
    known = dict(zip(STANDARD, MOMENTS, strict=True)) | {SONG_LENGTHS: jnp.asarray(lengths, jnp.float32)}
    return GANComposer(a_codec(), a_prior(), {**_params(), **known})


def make_task(units: int = 8, gamma: float = 1.0) -> Task:
    """The task on `weighed_windows`."""
    prior = a_prior(units, gamma)

    return Task(
        init=functools.partial(prior.init, moments=MOMENTS, lengths=np.ones(1)),
        sums=make_sums(prior),
        objective=objective,
        held_out_objective=held_out_objective,
        batch=weighed_windows,
        held_out_batches=lambda: [weighed_windows(99)],
        finish=lambda params, folder, say: {},
        constants=prior.constants,
    )
