"""The bar VAE as a task: corpus -> batches of bars, ELBO sums and objective, held-out results."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import BarBatches, DataSettings, check_shifts, distinct_batches
from mcvae_jax.command import check_range
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.few import lacking
from mcvae_jax.corpus.metres import bar_facts
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
from mcvae_jax.places import shown
from mcvae_jax.training import processes
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
    folder = config.corpus_folder or default_folder(settings.corpus)
    corpus = processes.made_once(
        "corpus", lambda: ensure_corpus(settings.corpus, folder, progress=say), lambda: Corpus.open(folder)
    )
    if missing := lacking(corpus.sides, corpus.settings):
        raise UserError(f"no VAE can be trained on the corpus {corpus.folder}: {missing}")
    vae = make_vae(config.model, corpus.steps_per_bar)
    held_out = len(corpus.bars(HELD_OUT))
    _check_pitches(vae, corpus)
    size = min(1024, config.held_out.bars, held_out)
    say(
        f"corpus {corpus.folder}: {len(corpus.bars(TRAIN))} training bars, {held_out} held-out bars,"
        f" identity {corpus.identity[:12]}"
    )
    data = {"corpus": shown(corpus.folder), "identity": corpus.identity, "songs": len(corpus)} | bar_facts(corpus)
    return Task(
        init=lambda key: init(vae, key),
        sums=make_sums(vae, settings.dropout, settings.loss, settings.token_weights),
        objective=lambda sums, step: elbo.objective(settings.loss, sums, step),
        held_out_objective=lambda sums: elbo.held_out_objective(settings.loss, sums),
        batch=BarBatches(corpus, corpus.songs(TRAIN), settings.data),
        held_out_batches=lambda: distinct_batches(corpus, HELD_OUT, size, config.held_out.bars),
        finish=lambda params, folder, say: finish(BarCodec(vae, params), corpus, config.held_out, folder, say),
        data=data,
    )


def _check_pitches(vae: VAE, corpus: Corpus) -> None:
    """UserError where a corpus holds a pitch to which the VAE gives no probability."""
    pitches = corpus.distinct[corpus.distinct < NOTE_OFF]
    low, high = int(pitches.min(initial=vae.max_pitch)), int(pitches.max(initial=vae.min_pitch))
    if low < vae.min_pitch or high > vae.max_pitch:
        raise UserError(
            f"the corpus {corpus.folder} holds pitches from {low} to {high}, and config.model.min_pitch and max_pitch"
            f" are {vae.min_pitch} and {vae.max_pitch}; give config.corpus.min_pitch and max_pitch the same bounds"
        )


def default_folder(settings: CorpusSettings) -> Path:
    """Where a corpus is kept when the config does not say: corpora/, by its source and a hash of its settings.

    A field that came later changes no name where it has its first default, so that earlier runs find their corpus.
    """
    name = re.sub(r"\W+", "-", Path(settings.source).name).strip("-") or "corpus"
    text = repr(settings)
    for later in (", max_moved=1.0", ", steps_per_bar=16"):
        text = text.replace(later, "")
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return Path("corpora") / f"{name}-{digest}"


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
