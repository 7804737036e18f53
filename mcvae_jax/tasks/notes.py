"""Any model of the notes of whole songs as a task: corpus -> batches of songs, likelihood, held-out results.

A row of kinds.py names the function that makes the model of a config, (config, steps of a bar) -> `TrainableNotes`. The
objective is -log p of all tokens, and what it costs which bar is the last; figures of bits leave the latter out.

Letters: B songs, N bars, T steps of a bar.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mcvae_jax.batches.songs import (
    SongBatches,
    SongSettings,
    choose_songs,
    scored_batches,
    token_maker,
    whole_songs,
)
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models.notes import NoteComposer, TrainableNotes
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.tasks.corpus import corpus_facts, training_corpus
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.training.fields import TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

FIELDS = {
    "corpus_folder": TEXT,
    "corpus": fields_of(CorpusSettings),
    "data": fields_of(SongSettings, "batch_size", "seed"),
}  # of the config of any model of notes, beside those of every model


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    CorpusSettings(**config.corpus)
    load(kind.make)(config)


def read_settings(config: Any) -> SongSettings:
    """What config.data says; UserError for a field that cannot work."""
    return SongSettings(config.train.batch_size, config.seed, **config.data)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; builds the corpus where it does not stand yet.

    Raises:
      UserError: a field of the config that cannot work, before any work; no songs.
    """
    settings = read_settings(config)
    corpus = training_corpus(kind, config, CorpusSettings(**config.corpus), say)
    model = load(kind.make)(config, corpus.steps_per_bar)
    songs, scored, left_out = choose_songs(corpus, settings, say)
    make = token_maker(corpus)
    batches = SongBatches(corpus, songs, settings, make)

    def finish(params: Any, folder: Path, say: Say) -> dict:
        """Alone and with the copy switch."""
        training, held_out = ([corpus.song(i) for i in side] for side in (songs, scored))
        composer = NoteComposer(model, params, name=kind.label)
        models = {composer.name: composer} | with_switch({composer.name: composer}, corpus_switch(training))
        return write_held_out(models, held_out, 1, left_out, folder, say)

    return Task(
        init=model.init,
        sums=make_sums(model),
        objective=lambda sums, step: objective(model, sums, batches.bars_per_batch),
        held_out_objective=functools.partial(held_out_objective, model),
        batch=batches,
        held_out_batches=lambda: scored_batches(whole_songs(corpus, scored), settings.batch_size, make),
        finish=finish,
        data=corpus_facts(corpus),
    )


def make_sums(model: TrainableNotes) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task, over the bars of the songs given.

    It returns 'weight', the weighed number of bars, and in nats 'nll', -log p of the tokens, and 'stop', what it costs
    which bar is the last; and the weighed sums of the model's figures.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = example_keys(key, batch["index"]) if train else None
        found = model.unroll(params, batch["bars"], batch["first"], keys)
        weight = batch["weight"][:, None] * batch["mask"]  # (B, N)
        figures = {name: jnp.einsum("bn,bn...->...", weight, each) for name, each in found.figures.items()}
        return figures | {
            "weight": jnp.sum(weight),
            "nll": -jnp.sum(weight * jnp.sum(found.log_p, axis=-1)),
            "stop": jnp.sum(weight * stop_nats(found.stop_logit, batch["mask"], batch["ends"])),
        }

    return sums


def objective(model: TrainableNotes, sums: Sums, bars_per_batch: float) -> tuple[Array, Metrics]:
    """What training minimises, and the terms to log; a bar counts the same in a batch of short or of long songs."""
    return (sums["nll"] + sums["stop"]) / bars_per_batch, _terms(model, sums)


def held_out_objective(model: TrainableNotes, sums: Sums) -> tuple[Array, Metrics]:
    """Nats per bar, whose minimum is the best."""
    terms = _terms(model, sums)
    return terms["nll"] + terms["stop"], terms


def _terms(model: TrainableNotes, sums: Sums) -> Metrics:
    """Means over bars."""
    means = {name: each / sums["weight"] for name, each in sums.items()}
    nll, stop = means["nll"], means["stop"]
    return {"nll": nll, "bits": nll / math.log(2), "stop": stop} | model.terms(means)
