"""MusicVAE as a task on random windows, without a corpus: for the test that all layouts agree."""

import numpy as np

from mcvae_jax.models import elbo
from mcvae_jax.models.music_vae import Dropout, MusicVAE, init
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.tasks.music_vae import Settings, held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task
from tests.mdrnn_layouts import random_batch

N, STEPS = 3, 4


def make_task(
    decoder: str = "conductor", dropout: float = 0.3, rate: float = 5.0, units: int = 8, free_nats: float = 0.1
) -> Task:
    """The task with masks of unequal lengths, and weights of the windows that differ from device to device."""
    network = MusicVAE(decoder, N, 3, 1, units, units, units, STEPS)
    loss = elbo.ObjectiveSettings(beta=1.0, free_bits="per_bar", free_nats=free_nats)
    settings = Settings(None, Dropout(dropout), loss, rate)

    def batch(step):
        rng = np.random.default_rng(step)
        made = {name: random_batch(rng, 16, N, 1)[name] for name in ("mask", "ends", "index")}
        weight = rng.integers(1, 4, 16).astype(np.float32)
        weight[2:4] = 0.0  # all that one of eight devices gets
        tokens = rng.integers(0, OUTCOMES, (16, N, STEPS)).astype(np.uint8)
        return made | {"bars": tokens, "true": np.full(16, 0.6, np.float32), "weight": weight}

    return Task(
        init=lambda key: init(network, key),
        sums=make_sums(network, settings),
        objective=lambda sums, step: objective(loss, sums, step),
        held_out_objective=lambda sums: held_out_objective(loss, sums),
        batch=batch,
        held_out_batches=lambda: [batch(99)],
        finish=lambda params, folder, say: {},
    )
