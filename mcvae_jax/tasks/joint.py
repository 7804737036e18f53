"""The joint MCVAE as a task: corpus -> batches of songs, the whole-song bound, held-out results.

The objective is the bound of composer.py with one draw of z for each new bar, in nats per bar,

    switch + reconstruction + beta max(rate, free_nats) + stop,

where the rate of a batch is the mean over its new bars of log q(z | x) - log p(z | x_<t), as it was drawn: below
free_nats it is free (free bits, Kingma et al. 2016, over whole bars), so that the decoder, which sees what the composer
knows, does not learn to do without z. Held-out figures have no such help.

Letters: B songs, N bars, M distinct bars of a song, T steps of a bar, Z latent size.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import Batch
from mcvae_jax.batches.songs import (
    Make,
    Piece,
    SongBatches,
    SongSettings,
    choose_songs,
    padded_batch,
    scored_batches,
    tokens_of,
    whole_songs,
)
from mcvae_jax.command import check_range
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import Kind
from mcvae_jax.models.elbo import active_units
from mcvae_jax.models.joint.arrays import UNKNOWN, Songs
from mcvae_jax.models.joint.composer import JointComposer, init
from mcvae_jax.models.joint.network import JointMCVAE
from mcvae_jax.models.joint.settings import Dropout, draw_noise, make_joint
from mcvae_jax.models.joint.tables import song_tables
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.tasks.corpus import corpus_facts, training_corpus
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.training.fields import FLOAT, INT, TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

DRAWS = 4  # over which the held-out bound at the end is averaged


@dataclasses.dataclass(frozen=True)
class Loss:
    """config.loss."""

    beta: float = 1.0  # weight of the rate
    beta_steps: int = 1  # over which it rises from 0
    free_nats: float = 5.0  # of the mean rate of new bars, below which it costs nothing
    told: float = 0.5  # share of the songs that are told in training how many bars are left
    draws: int = 1  # of z of each new bar, whose mean weight counts: more train a tighter bound

    def __post_init__(self) -> None:
        for name in ("beta", "free_nats"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"config.loss.{name} is {value}; it must be 0 or more")
        check_range("config.loss.draws", self.draws, 1, 64)
        check_range("config.loss.beta_steps", self.beta_steps, 1, 10_000_000)
        if not 0 <= self.told <= 1:
            raise UserError(f"config.loss.told is {self.told}; it must be a share from 0 to 1")


FIELDS = {
    "corpus_folder": TEXT,
    "corpus": fields_of(CorpusSettings),
    "data": fields_of(SongSettings, "batch_size", "seed"),
    "model": dict.fromkeys(
        ("latent", "components", "encoder_units", "units", "layers", "decoder_units", "recall", "memory"), INT
    )
    | {"floor": FLOAT, "matmul_dtype": TEXT},
    "dropout": fields_of(Dropout),
    "loss": fields_of(Loss),
}  # of configs/joint.py, beside those of every model


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    CorpusSettings(**config.corpus)
    make_joint(config.model)


def read_settings(config: Any) -> tuple[SongSettings, Dropout, Loss]:
    """What config.data, config.dropout and config.loss say."""
    data = SongSettings(config.train.batch_size, config.seed, **config.data)
    return data, Dropout(**config.dropout), Loss(**config.loss)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; builds the corpus where it does not stand yet.

    Raises:
      UserError: a field of the config that cannot work, before any work; no songs.
    """
    data, dropout, loss = read_settings(config)
    corpus = training_corpus(kind, config, CorpusSettings(**config.corpus), say)
    network = make_joint(config.model, corpus.steps_per_bar)
    songs, scored, left_out = choose_songs(corpus, data, say)
    make = table_maker(corpus)
    batches = SongBatches(corpus, songs, data, make)

    def finish(params: Any, folder: Path, say: Say) -> dict:
        composer = JointComposer(network, params)
        held_out = [corpus.song(i) for i in scored]
        return write_held_out({composer.name: composer}, held_out, DRAWS, left_out, folder, say)

    return Task(
        init=lambda key: init(network, key),
        sums=make_sums(network, dropout, loss),
        objective=lambda sums, step: objective(loss, sums, step, batches.bars_per_batch),
        held_out_objective=held_out_objective,
        batch=batches,
        held_out_batches=lambda: scored_batches(whole_songs(corpus, scored), data.batch_size, make),
        finish=finish,
        data=corpus_facts(corpus),
    )


def table_maker(corpus: Corpus) -> Make:
    """Pieces as tables of their distinct bars: a batch holds the fields of `Songs`, 'known', float32 (B, M), 1 for the
    bars of these tables, and 'mask' and 'ends' as for tokens."""

    def make(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
        songs = [tokens_of(corpus, piece) for piece in pieces]
        batch = padded_batch({}, pieces, size, bars)
        table = song_tables(songs, [p.first for p in pieces], [p.ends for p in pieces], size, batch["mask"].shape[1])
        known = np.arange(table.bars.shape[1]) <= table.of.max(axis=1)[:, None]
        return batch | table._asdict() | {"known": known * batch["weight"][:, None]}

    return make


def make_sums(network: JointMCVAE, dropout: Dropout, loss: Loss) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task.

    It returns 'weight' and 'new', the weighed numbers of bars and of those that are new; in nats 'reconstruction' and
    'rate' of new bars, means over draws of z, 'gain', how much less their mean weight costs than they do on average
    (Burda et al. 2016; 0 for one draw), 'choice', what it costs that they are new, 'copies', what repeated bars cost,
    and 'stop'; and 'mu', 'mu_squares' and 'variances', (Z,), of q of new bars.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))
        songs = Songs(*(batch[name] for name in Songs._fields))
        sizes = (batch["bars"].shape[1], batch["of"].shape[1])
        noise = draw_noise(network, keys[:, 0], *sizes, *((dropout, loss.draws) if train else (Dropout(),)))
        untold = songs._replace(left=jnp.full_like(songs.left, UNKNOWN))
        if train:
            is_told = jax.vmap(lambda key: jax.random.bernoulli(key, loss.told))(keys[:, 1])
            songs = songs._replace(left=jnp.where(is_told[:, None], songs.left, UNKNOWN))
        scored = applied(network, JointMCVAE.score, params, songs, noise)
        stop_logit = scored.stop_logit
        if not train:
            stop_logit = applied(network, JointMCVAE.stop_logits, params, untold)
        rate = scored.log_q - scored.log_prior  # (B, M, D)
        weight = batch["weight"][:, None] * batch["mask"]  # (B, N)
        new = batch["weight"][:, None] * batch["known"]  # (B, M)
        is_first = jnp.take_along_axis(songs.place, songs.of, axis=1) == jnp.arange(songs.of.shape[1])
        return {
            "weight": jnp.sum(weight),
            "new": jnp.sum(new),
            "reconstruction": -jnp.sum(new * scored.log_x.mean(axis=-1)),
            "rate": jnp.sum(new * rate.mean(axis=-1)),
            "gain": jnp.sum(new * gain_of_draws(scored.log_x - rate)),
            "choice": -jnp.sum(new * scored.log_new),
            "copies": -jnp.sum(jnp.where(is_first, 0.0, weight * scored.log_copy)),
            "stop": jnp.sum(weight * stop_nats(stop_logit, batch["mask"], batch["ends"])),
            "mu": jnp.einsum("bm,bmz->z", new, scored.mu),
            "mu_squares": jnp.einsum("bm,bmz->z", new, scored.mu**2),
            "variances": jnp.einsum("bm,bmz->z", new, jnp.exp(scored.log_var)),
        }

    return sums


def gain_of_draws(log_w: Array) -> Array:
    """log of the mean of the weights of D draws less the mean of their logs, at least 0: (...), for (..., D)."""
    return jax.nn.logsumexp(log_w, axis=-1) - math.log(log_w.shape[-1]) - log_w.mean(axis=-1)


def objective(loss: Loss, sums: Sums, step: Array, bars_per_batch: float) -> tuple[Array, Metrics]:
    """What training minimises, and the terms to log; a bar counts the same in a batch of short or of long songs."""
    beta = loss.beta * jnp.minimum((step + 1) / loss.beta_steps, 1.0)
    rate = jnp.maximum(sums["rate"], loss.free_nats * sums["new"])
    total = sums["reconstruction"] + beta * rate - sums["gain"] + sums["choice"] + sums["copies"] + sums["stop"]
    return total / bars_per_batch, terms(sums) | {"beta": beta}


def held_out_objective(sums: Sums) -> tuple[Array, Metrics]:
    """The whole-song bound and what it costs where songs end, in nats per bar, whose minimum is the best."""
    found = terms(sums)
    return found["bound_bits"] * math.log(2) + found["stop"], found


def terms(sums: Sums) -> Metrics:
    """'bound_bits' per bar; 'new_bits' of new and 'repeated_bits' of repeated bars; 'rate' and 'reconstruction', nats
    of a new bar; 'stop', nats per bar; 'active', the units of z in use."""
    new = sums["reconstruction"] + sums["rate"] + sums["choice"]
    repeated = jnp.maximum(sums["weight"] - sums["new"], 1.0)
    return {
        "bound_bits": (new + sums["copies"]) / sums["weight"] / math.log(2),
        "new_bits": new / sums["new"] / math.log(2),
        "repeated_bits": sums["copies"] / repeated / math.log(2),
        "reconstruction": sums["reconstruction"] / sums["new"],
        "rate": sums["rate"] / sums["new"],
        "active": active_units(*(sums[name] / sums["new"] for name in ("mu", "mu_squares", "variances"))),
        "stop": sums["stop"] / sums["weight"],
    }
