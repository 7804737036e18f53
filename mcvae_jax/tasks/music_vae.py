"""MusicVAE as a task: corpus -> windows of songs, bound, objective with free bits and schedules, held-out results.

All figures are nats per bar: `loss.free_nats` of `free_bits='per_bar'` are free in the mean over the bars of a window,
so 16 * 11.1 nats are the 256 bits that the paper leaves free in 16 bars. The objective adds what it costs which bar is
the last of its song; figures of bits leave it out.

Letters: B windows, N bars of a window, T steps of a bar.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import Batch
from mcvae_jax.batches.songs import SongSettings, choose_songs, scored_batches, token_maker, whole_songs
from mcvae_jax.batches.windows import WindowBatches, of_one_size, windows
from mcvae_jax.command import check_range
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.kinds import Kind
from mcvae_jax.models import elbo
from mcvae_jax.models.music_vae import Choose, Dropout, MusicVAE, Predicted, draw_noise, init, make_music_vae
from mcvae_jax.models.window_composer import WindowComposer
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.nn.categorical import draw
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.tasks.corpus import corpus_facts, training_corpus
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.training.fields import FLOAT, INT, TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

SIZES = ("bars", "latent", "layers", "encoder_units", "conductor_units", "units")
FIELDS = {
    "corpus_folder": TEXT,
    "corpus": fields_of(CorpusSettings),
    "data": fields_of(SongSettings, "batch_size", "seed", "window"),
    "model": dict.fromkeys(SIZES, INT) | dict.fromkeys(("decoder", "matmul_dtype"), TEXT),
    "dropout": fields_of(Dropout),
    "loss": fields_of(elbo.ObjectiveSettings),
    "scheduled_sampling": {"rate": FLOAT},
    "held_out": {"draws": INT},
}  # of configs/music_vae.py, beside those of every model


class Settings(NamedTuple):
    """What the config says, read and checked."""

    data: SongSettings
    dropout: Dropout
    loss: elbo.ObjectiveSettings
    rate: float  # of scheduled sampling; 0 is off


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    CorpusSettings(**config.corpus)
    make_music_vae(config.model)


def read_settings(config: Any) -> Settings:
    """UserError for a field of the config that cannot work."""
    check_range("config.held_out.draws", config.held_out.draws, 1, 10_000)
    check_range("config.scheduled_sampling.rate", config.scheduled_sampling.rate, 0, 10**9)
    return Settings(
        SongSettings(config.train.batch_size, config.seed, window=config.model.bars, **config.data),
        Dropout(**config.dropout),
        elbo.ObjectiveSettings(**config.loss),
        float(config.scheduled_sampling.rate),
    )


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; builds the corpus where it does not stand yet.

    Raises:
      UserError: a field of the config that cannot work, before any work; no songs.
    """
    settings = read_settings(config)
    corpus = training_corpus(kind, config, CorpusSettings(**config.corpus), say)
    network = make_music_vae(config.model, corpus.steps_per_bar)
    songs, scored, left_out = choose_songs(corpus, settings.data, say)
    make = of_one_size(token_maker(corpus), network.bars)
    batches = WindowBatches(corpus, songs, settings.data, make)
    pieces = windows(whole_songs(corpus, scored), network.bars)

    def batch(step: int) -> Batch:
        true = np.full(settings.data.batch_size, true_share(settings.rate, step), np.float32)
        return batches(step) | {"true": true}

    def finish(params: Any, folder: Path, say: Say) -> dict:
        """Alone and with the copy switch."""
        training, held_out = ([corpus.song(i) for i in side] for side in (songs, scored))
        composer = WindowComposer(network, params, name=kind.label)
        models = {composer.name: composer} | with_switch({composer.name: composer}, corpus_switch(training))
        return write_held_out(models, held_out, config.held_out.draws, left_out, folder, say)

    return Task(
        init=lambda key: init(network, key),
        sums=make_sums(network, settings),
        objective=lambda sums, step: objective(settings.loss, sums, step),
        held_out_objective=lambda sums: held_out_objective(settings.loss, sums),
        batch=batch,
        held_out_batches=lambda: scored_batches(pieces, settings.data.batch_size, make),
        finish=finish,
        data=corpus_facts(corpus),
    )


def true_share(rate: float, step: int) -> float:
    """The share of tokens that are read as they are at a step, the others being drawn: k / (k + exp(step / k)).

    The inverse sigmoid of scheduled sampling (Bengio et al. 2015, arXiv:1506.03099); 1 where the rate k is 0.
    """
    return rate / (rate + math.exp(min(step / rate, 700.0))) if rate else 1.0


def make_sums(network: MusicVAE, settings: Settings) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task: those of `elbo.elbo_sums` over windows, and 'stop'.

    'weight' is the weighed number of bars, and 'tokens' counts bars, so that means are over bars.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))
        noise = draw_noise(network, keys[:, 0], settings.dropout if train else Dropout())
        bars, mask = batch["bars"].astype(jnp.int32), batch["mask"]
        mu, log_var = applied(network, MusicVAE.encode, params, bars, mask)
        z = mu + jnp.exp(log_var / 2) * noise.eps
        if train and settings.rate:
            choose = _scheduled(bars, batch["true"], keys[:, 1])
            found = applied(network, MusicVAE.predict_scheduled, params, z, bars, choose, noise.hidden)
        else:
            found = applied(network, MusicVAE.predict, params, z, bars, noise.hidden)
        return _sums(found, bars, mu, log_var, batch, settings.loss.free_nats)

    return sums


def _sums(found: Predicted, bars: Array, mu: Array, log_var: Array, batch: Placed, free_nats: float) -> Sums:
    mask, weight = batch["mask"], batch["weight"]
    of_bars = weight[:, None] * mask  # (B, N)
    windows = bars.shape[0]
    of_windows = elbo.elbo_sums(
        jnp.where(mask[..., None] > 0, found.log_p, 0.0).reshape(windows, -1),
        found.guess.reshape(windows, -1),
        bars.reshape(windows, -1),
        mu,
        log_var,
        weight,
        token_weights=jnp.ones(OUTCOMES),
        free_nats=free_nats * mask.sum(axis=1),
    )
    return of_windows | {
        "weight": jnp.sum(of_bars),
        "tokens": jnp.sum(of_bars * jnp.mean(found.guess == bars, axis=-1)),
        "stop": jnp.sum(of_bars * stop_nats(found.stop_logit, mask, batch["ends"])),
    }


def _scheduled(bars: Array, true: Array, keys: Array) -> Choose:
    """The tokens of windows (B, N, T), each kept with the chance `true` (B,), or drawn from what the decoder says."""
    tokens = bars.reshape(bars.shape[0], -1)

    def choose(logits: Array, place: Array) -> Array:
        of_place = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, place)))(keys)
        drawn = draw(of_place[:, 0], logits)
        return jnp.where(jax.vmap(jax.random.bernoulli)(of_place[:, 1], true), tokens[:, place], drawn)

    return choose


def objective(settings: elbo.ObjectiveSettings, sums: Sums, step: Array) -> tuple[Array, Metrics]:
    """What training minimises at a step, and the terms to log."""
    return _with_stop(elbo.objective(settings, sums, step), sums)


def held_out_objective(settings: elbo.ObjectiveSettings, sums: Sums) -> tuple[Array, Metrics]:
    """The same at the final beta or capacity, without free bits; `best` is its minimum."""
    return _with_stop(elbo.held_out_objective(settings, sums), sums)


def _with_stop(found: tuple[Array, Metrics], sums: Sums) -> tuple[Array, Metrics]:
    """An objective and its terms, with what it costs which bar is the last, and the bound in bits."""
    loss, terms = found
    stop = sums["stop"] / sums["weight"]
    return loss + stop, terms | {"bits": terms["bound"] / math.log(2), "stop": stop}
