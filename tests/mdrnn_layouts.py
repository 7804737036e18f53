"""Priors as tasks on random latents, without a VAE or a corpus: for the test that all layouts agree."""

import jax
import numpy as np

from mcvae_jax.models import mixture_prior
from mcvae_jax.models.mdrnn import MDRNN
from mcvae_jax.models.mixture_prior import Dropout, MixtureNetwork, MixturePrior
from mcvae_jax.models.prior import Moments
from mcvae_jax.models.transformer_prior import TransformerPrior
from mcvae_jax.tasks.prior import held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task

ALL_KINDS = Dropout(0.3, 0.2, 0.2)
MODEL = MDRNN(latent=3, units=8, layers=1, components=2, recall=1, memory=4)


def make_task(dropout: Dropout = ALL_KINDS, draw: str = "q", model: MixtureNetwork = MODEL, songs: int = 16) -> Task:
    """The task with masks of unequal lengths, and weights of the songs that differ from device to device."""
    prior = MixturePrior(model, dropout, standardise=True)

    def batch(step):
        rng = np.random.default_rng(step)
        made = random_batch(rng, songs, 9, model.latent)
        weight = rng.integers(1, 4, songs).astype(np.float32)
        weight[2:4] = 0.0  # all that one of eight devices gets
        return made | {"weight": weight}

    return Task(
        init=lambda key: prior.init(key, Moments(np.full(model.latent, 0.1), np.full(model.latent, 1.3))),
        sums=make_sums(prior, draw),
        objective=lambda sums, step: objective(sums, 50.0, prior),
        held_out_objective=lambda sums: held_out_objective(sums, prior),
        batch=batch,
        held_out_batches=lambda: [batch(99)],
        finish=lambda params, folder, say: {},
    )


def make_transformer_task() -> Task:
    """The same of a transformer, without dropout of gates, which it has not."""
    return make_task(Dropout(0.3, 0.2), model=TransformerPrior(latent=3, units=8, layers=1, heads=2, memory=4))


def random_batch(rng: np.random.Generator, songs: int, bars: int, latent: int) -> dict:
    """Songs of 1 to `bars` bars, of which about half end; zeros in the padding."""
    mask = (np.arange(bars) < rng.integers(1, bars + 1, songs)[:, None]).astype(np.float32)
    mu = rng.normal(size=(songs, bars, latent)) * mask[..., None]
    log_var = (rng.normal(size=(songs, bars, latent)) - 1) * mask[..., None]
    return {
        "mu": mu.astype(np.float32),
        "log_var": log_var.astype(np.float32),
        "mask": mask,
        "ends": rng.integers(0, 2, songs).astype(np.float32),
        "weight": np.ones(songs, np.float32),
        "index": np.arange(songs, dtype=np.int32),
        "reconstruction": rng.uniform(10, 20, songs).astype(np.float32),
    }


def standard_normal_params(model: MDRNN):
    """Parameters with which an MDRNN of one component and no recall is N(0, I)."""
    params = jax.tree.map(np.zeros_like, jax.device_get(mixture_prior.init(model, jax.random.key(0))))
    z = model.latent
    params["params"]["heads"]["b"][1 + z : 1 + 2 * z] = np.log(np.expm1(1 - model.floor))  # floor + softplus(raw) = 1
    params["params"]["standard_scale"][:] = 1
    return params
