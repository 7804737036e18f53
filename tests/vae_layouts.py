"""The bar VAE as a task on random bars, without a corpus: for the test that all layouts agree."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.models import elbo
from mcvae_jax.models.encodings import ENCODINGS
from mcvae_jax.models.vae import VAE, Dropout, init
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.tasks.vae import make_sums
from mcvae_jax.training.task import Task

ALL_KINDS = Dropout(0.3, 0.2, 0.2)


def make_task(
    dropout: Dropout = ALL_KINDS, encoding: str = "steps", units: int = 16, dtype: jnp.dtype = jnp.float32, **loss
) -> Task:
    """The task with token weights, and weights of the examples that differ from device to device.

    One layer, because it is compiled a dozen times.
    """
    vae = ENCODINGS[encoding](units=units, latent=5, layers=1, dtype=dtype)
    settings = elbo.ObjectiveSettings(**loss)
    token_weights = jnp.linspace(0.5, 1.5, OUTCOMES)

    def batch(step):
        rng = np.random.default_rng(step)
        weight = rng.integers(0, 4, 16).astype(np.float32)
        weight[2:4] = 0.0  # all that one of eight devices gets
        bars = rng.integers(0, OUTCOMES, (16, 16)).astype(np.uint8)
        return {"bars": bars, "weight": weight, "index": np.arange(16, dtype=np.int32)}

    return Task(
        init=lambda key: init(vae, key),
        sums=make_sums(vae, dropout, settings, token_weights),
        objective=lambda sums, step: elbo.objective(settings, sums, step),
        held_out_objective=lambda sums: elbo.held_out_objective(settings, sums),
        batch=batch,
        held_out_batches=lambda: [batch(99)],
        finish=lambda params, folder, say: {},
    )


def example_batch(bars: int, seed: int = 0) -> dict:
    """A batch of random bars, each of weight 1."""
    tokens = np.random.default_rng(seed).integers(0, OUTCOMES, (bars, 16)).astype(np.uint8)
    return {"bars": tokens, "weight": np.ones(bars, np.float32), "index": np.arange(bars, dtype=np.int32)}


def make_model(units: int = 16, latent: int = 5):
    """A small VAE and its first parameters."""
    vae = VAE(units=units, latent=latent)
    return vae, jax.jit(init, static_argnums=0)(vae, jax.random.key(0))


def far_from_the_start(params):
    """Parameters moved by noise, so that no two layers, gates or states look alike."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    return tree.unflatten([leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(vae: VAE, method: str, params, *arguments):
    """vae.apply with a method's name, compiled."""
    return vae.apply(params, *arguments, method=method)
