"""The joint MCVAE as a task on random songs, without a corpus: for the test that all layouts agree."""

import numpy as np

from mcvae_jax.models.joint.composer import init
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.settings import Dropout
from mcvae_jax.models.joint.tables import first_appearances, song_tables
from mcvae_jax.tasks.joint import Loss, held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task

STEPS = 3
ALL_KINDS = Dropout(0.2, 0.2, 0.2, 0.2)
LITTLE_FREE = Loss(free_nats=0.5)
MODEL = JointMCVAE(latent=2, components=2, encoder_units=5, units=6, layers=1, decoder_units=6, memory=6, steps=STEPS)


def make_task(
    dropout: Dropout = ALL_KINDS, model: JointMCVAE = MODEL, songs: int = 16, loss: Loss = LITTLE_FREE
) -> Task:
    """The task with songs of unequal lengths, and weights of the songs that differ from device to device."""

    def batch(step):
        rng = np.random.default_rng(step)
        weight = rng.integers(1, 4, songs).astype(np.float32)
        weight[2:4] = 0.0  # all that one of eight devices gets
        return random_batch(rng, songs) | {"weight": weight}

    return Task(
        init=lambda key: init(model, key),
        sums=make_sums(model, dropout, loss),
        objective=lambda sums, step: objective(loss, sums, step, 60.0),
        held_out_objective=held_out_objective,
        batch=batch,
        held_out_batches=lambda: [batch(99)],
        finish=lambda params, folder, say: {},
    )


def random_batch(rng: np.random.Generator, songs: int, bars: int = 8, tokens: int = 2) -> dict:
    """Songs of 1 to `bars` bars of few tokens, so that many repeat, of which about half end."""
    pieces = [rng.integers(60, 60 + tokens, (rng.integers(1, bars + 1), STEPS)).astype(np.uint8) for _ in range(songs)]
    ends = rng.integers(0, 2, songs)
    table = song_tables(pieces, rng.integers(0, 20, songs).tolist(), ends.astype(bool).tolist(), songs, bars)
    counts = np.array([len(first_appearances(piece)[0]) for piece in pieces])
    lengths = np.array([len(piece) for piece in pieces])
    return table._asdict() | {
        "known": (np.arange(table.bars.shape[1]) < counts[:, None]).astype(np.float32),
        "mask": (np.arange(bars) < lengths[:, None]).astype(np.float32),
        "ends": ends.astype(np.float32),
        "weight": np.ones(songs, np.float32),
        "index": np.arange(songs, dtype=np.int32),
    }
