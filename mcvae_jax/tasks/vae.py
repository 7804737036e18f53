"""The bar VAE as a task: corpus -> batches of bars, ELBO sums and objective, held-out results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import BarBatches, DataSettings, check_shifts, distinct_batches
from mcvae_jax.command import check_range
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.bars import importance_bound, score_bars
from mcvae_jax.evaluation.reconstructions import write_reconstructions
from mcvae_jax.kinds import Kind
from mcvae_jax.models import elbo
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.encodings import make_vae
from mcvae_jax.models.vae import VAE, Dropout, draw_noise, init
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, OUTCOMES
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.tasks.corpus import check_pitches, corpus_facts, training_corpus
from mcvae_jax.training.fields import FLOAT, INT, TEXT, fields_of
from mcvae_jax.training.task import Placed, Sums, Task

Say = Callable[[str], None]

SIZES = dict.fromkeys(("units", "latent", "layers", "min_pitch", "max_pitch"), INT)
FIELDS = {
    "corpus_folder": TEXT,
    "corpus": fields_of(CorpusSettings),
    "data": fields_of(DataSettings, "batch_size", "seed"),
    "model": SIZES | dict.fromkeys(("merge", "encoding", "matmul_dtype"), TEXT),
    "dropout": fields_of(Dropout),
    "loss": fields_of(elbo.ObjectiveSettings),
    "token_weights": dict.fromkeys(("note", "note_off", "no_event"), FLOAT),
    "held_out": dict.fromkeys(("bars", "importance_samples", "importance_bars"), INT),
}  # of configs/vae.py, beside those of every model


class Settings(NamedTuple):
    """What the config of a VAE says, read and checked."""

    dropout: Dropout
    loss: elbo.ObjectiveSettings
    data: DataSettings
    token_weights: jax.Array
    corpus: CorpusSettings


def read_settings(config: Any) -> Settings:
    """UserError for a field of the config that cannot work."""
    settings = Settings(
        Dropout(**config.dropout),
        elbo.ObjectiveSettings(**config.loss),
        DataSettings(config.train.batch_size, config.seed, **config.data),
        _token_weights(config.token_weights),
        CorpusSettings(**config.corpus),
    )
    check_shifts(settings.data, make_vae(config.model).pitches)
    for name, most in (("bars", 10_000_000), ("importance_samples", 100_000), ("importance_bars", 10_000_000)):
        check_range(f"config.held_out.{name}", config.held_out[name], 1, most)
    return settings


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of configs/vae.py; builds the corpus where it does not stand yet.

    Raises:
      UserError: a field of the config that cannot work, before any work.
    """
    settings = read_settings(config)
    corpus = training_corpus(kind, config, settings.corpus, say)
    vae = make_vae(config.model, corpus.steps_per_bar)
    held_out = len(corpus.bars(HELD_OUT))
    check_pitches(vae.pitches, corpus)
    size = min(1024, config.held_out.bars, held_out)
    return Task(
        init=lambda key: init(vae, key),
        sums=make_sums(vae, settings.dropout, settings.loss, settings.token_weights),
        objective=lambda sums, step: elbo.objective(settings.loss, sums, step),
        held_out_objective=lambda sums: elbo.held_out_objective(settings.loss, sums),
        batch=BarBatches(corpus, corpus.songs(TRAIN), settings.data),
        held_out_batches=lambda: distinct_batches(corpus, HELD_OUT, size, config.held_out.bars),
        finish=lambda params, folder, say: finish(BarCodec(vae, params), corpus, config.held_out, folder, say),
        data=corpus_facts(corpus),
    )


def make_sums(
    vae: VAE, dropout: Dropout, settings: elbo.ObjectiveSettings, token_weights: jax.Array
) -> Callable[[Any, Placed, jax.Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task: see `elbo.elbo_sums` for what it returns."""

    def sums(params: Any, batch: Placed, key: jax.Array, train: bool) -> Sums:
        keys = example_keys(key, batch["index"])
        noise = draw_noise(vae, keys, batch["bars"].shape[1], dropout if train else Dropout())
        mu, log_var, predicted = applied(vae, VAE.__call__, params, batch["bars"], noise)
        return elbo.elbo_sums(
            predicted.log_p,
            predicted.guess,
            batch["bars"],
            mu,
            log_var,
            batch["weight"],
            token_weights=token_weights if train else jnp.ones(OUTCOMES),
            free_nats=settings.free_nats,
        )

    return sums


def finish(codec: BarCodec, corpus: Corpus, held_out: Any, folder: Path, say: Say) -> dict:
    """Held-out results of the best parameters: held_out.json, and reconstructions as MIDI files and a picture."""
    size = min(512, len(corpus.bars(HELD_OUT)))
    scores = score_bars(codec.vae, codec.params, distinct_batches(corpus, HELD_OUT, size))
    few = distinct_batches(corpus, HELD_OUT, size, held_out.importance_bars)
    scores["importance_weighted"] = importance_bound(codec.vae, codec.params, few, held_out.importance_samples)
    scores["reconstructions"] = write_reconstructions(codec.vae, codec.params, corpus, folder / "reconstructions")
    (folder / "held_out.json").write_text(json.dumps(scores, indent=2) + "\n")
    for line in summary(scores):
        say(line)
    return scores


def summary(scores: dict) -> list[str]:
    """The held-out results in a few lines for people."""
    tight = scores["importance_weighted"]
    lines = [
        f"held out ({scores['bars']:.0f} bars): reconstruction {scores['reconstruction_nats']:.2f} + KL"
        f" {scores['kl_nats']:.2f} = bound {scores['bound_nats']:.2f} nats per bar ({scores['bound_bits']:.2f} bits)",
        f"importance-weighted with {tight['samples']} draws: {tight['bound_nats']:.2f} nats per bar"
        f" (one draw: {tight['elbo_nats']:.2f}; {tight['bars']:.0f} bars)",
        f"active units: {scores['active_units']} of {scores['latent']}",
        f"{'':22}  {'tokens':>7}  {'whole bars':>10}  {'onset and pitch F1':>18}",
    ]
    for name in ("teacher_forced", "greedy", "always_no_event"):
        row = scores[name]
        lines.append(
            f"{name.replace('_', ' '):22}  {row['token_accuracy']:7.1%}  {row['bar_accuracy']:10.1%}"
            f"  {row['onset_pitch_f1']:18.1%}"
        )
    return lines


def _token_weights(weights: Any) -> jax.Array:
    """(V,) weights of the training loss from config.token_weights: note, note_off, no_event."""
    if min(weights.note, weights.note_off, weights.no_event) < 0:
        raise UserError("config.token_weights must not be negative")
    values = np.full(OUTCOMES, weights.note, np.float32)
    values[NOTE_OFF], values[NO_EVENT] = weights.note_off, weights.no_event
    return jnp.asarray(values)
