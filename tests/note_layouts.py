"""A model of notes as a task on random songs, without a corpus: for the test that all layouts agree."""

import functools

import numpy as np

from mcvae_jax.models.bar_codes import BarCodes, CodeModel, CodeTransformer
from mcvae_jax.models.note_lstm import NoteLSTM
from mcvae_jax.models.note_transformer import NoteTransformer
from mcvae_jax.models.notes import Dropout, NoteModel
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.tasks.notes import held_out_objective, make_sums, objective
from mcvae_jax.training.task import Task
from tests.mdrnn_layouts import random_batch

STEPS = 4
NETWORKS = {"lstm": NoteLSTM, "transformer": NoteTransformer}


def make_model(network: str, dropout: float, **sizes: int) -> NoteModel | CodeModel:
    """One of NETWORKS, or 'codes'."""
    if network in NETWORKS:
        return NoteModel(NETWORKS[network](**sizes, steps=STEPS), Dropout(dropout))
    units, levels = sizes["units"], (4, 3)
    bars = BarCodes(codes=3, levels=levels, encoder_units=units, decoder_units=units, steps=STEPS)
    transformer = CodeTransformer(**sizes, steps=3, outcomes=3 * 12)
    return CodeModel(bars, NoteModel(transformer, Dropout(dropout)), dropout)


def make_task(network: str = "lstm", dropout: float = 0.3, units: int = 8, layers: int = 1) -> Task:
    """The task with masks of unequal lengths, and weights of the songs that differ from device to device."""
    model, songs, bars = make_model(network, dropout, units=units, layers=layers), 16, 5

    def batch(step):
        rng = np.random.default_rng(step)
        made = {name: random_batch(rng, songs, bars, 1)[name] for name in ("mask", "ends", "index")}
        weight = rng.integers(1, 4, songs).astype(np.float32)
        weight[2:4] = 0.0  # all that one of eight devices gets
        tokens = rng.integers(0, OUTCOMES, (songs, bars, STEPS)).astype(np.uint8)
        return made | {"bars": tokens, "first": rng.integers(0, 20, songs).astype(np.int32), "weight": weight}

    return Task(
        init=model.init,
        sums=make_sums(model),
        objective=lambda sums, step: objective(model, sums, 40.0),
        held_out_objective=functools.partial(held_out_objective, model),
        batch=batch,
        held_out_batches=lambda: [batch(99)],
        finish=lambda params, folder, say: {},
    )
