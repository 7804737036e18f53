"""The diffusion prior as a task: a VAE's workdir -> windows of latents, the simple loss, the bound, held-out results.

The objective is the mean squared error of the noise at a level drawn for each window, Ho's simple loss; with levels
drawn evenly it is the bound but for a factor and its two ends (models/diffusion/process.py). What is reported of
held-out songs is the bound itself: the rate E_q[bound of -log p(z)] - H[q], in nats per bar, as of any prior.

Letters: B windows, N bars of a window, Z latent size.
"""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import Batch
from mcvae_jax.batches.songs import Piece, SongBatches, SongSettings, scored_batches, whole_songs
from mcvae_jax.command import check_range
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models.diffusion.composer import DiffusionComposer
from mcvae_jax.models.diffusion.prior import DiffusionPrior
from mcvae_jax.models.latent_windows import Place
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.tasks.latents import LatentSongs, latent_songs, open_vae
from mcvae_jax.training.fields import INT, TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

FIELDS = {
    "vae_workdir": TEXT,
    "corpus_folder": TEXT,
    "data": fields_of(SongSettings, "batch_size", "seed"),
    "held_out": {"draws": INT},
}  # of its config beside those of every model and those of models/diffusion/prior.py
LEVELS = 24  # of each held-out window, beside the first, while it is trained; 8 are too few for few songs


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    load(kind.make)(config, 1)


def read_settings(config: Any) -> SongSettings:
    """What config.data says; UserError for a field that cannot work."""
    check_range("config.held_out.draws", config.held_out.draws, 1, 10_000)
    return SongSettings(config.train.batch_size, config.seed, **config.data)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; encodes the VAE's corpus where that has not been done yet.

    Raises:
      UserError: a field of the config that cannot work; no VAE, or not the corpus on which it was trained; no songs.
    """
    settings = read_settings(config)
    codec = open_vae(config.vae_workdir, settings)
    prior: DiffusionPrior = load(kind.make)(config, codec.latent)
    of = latent_songs(codec, config.corpus_folder, settings, say)
    moments, lengths = of.moments, of.corpus.lengths[of.songs]

    make = of.in_windows(prior.window)
    batches = SongBatches(of.corpus, of.songs, settings, make)

    def finish(params: Any, folder: Path, say: Say) -> dict:
        name = kind.composer or f"VAE and {kind.label}"
        composer = DiffusionComposer(codec, prior, params, name=name, prior_name=kind.label)
        return write_held_out({name: composer}, of.held_out(), config.held_out.draws, of.left_out, folder, say)

    return Task(
        init=lambda key: prior.init(key, moments, lengths),
        sums=make_sums(prior),
        objective=lambda sums, step: objective(sums, batches.bars_per_batch),
        held_out_objective=held_out_objective,
        batch=batches,
        held_out_batches=functools.cache(lambda: scored_windows(of, prior.window, settings, make, config.seed, say)),
        finish=finish,
        data=of.facts,
        constants=prior.constants,
    )


def scored_windows(
    of: LatentSongs, window: int, settings: SongSettings, make: Callable, seed: int, say: Say
) -> tuple[Batch, ...]:
    """Batches of the windows of the scored songs; 'reconstruction', nats of a song, stands at its first window."""
    nats = of.reconstruction(seed, say)

    def make_scored(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
        of_songs = np.array([0.0 if piece.first else nats[piece.song] for piece in pieces], np.float32)
        return make(pieces, size, bars) | {"reconstruction": np.pad(of_songs, (0, size - len(pieces)))}

    pieces = [part for song in whole_songs(of.corpus, of.scored) for part in windows(song, window)]
    return tuple(scored_batches(pieces, settings.batch_size, make_scored))


def windows(song: Piece, window: int) -> list[Piece]:
    """A song as windows one after the other, the last one shorter."""
    return [
        song._replace(first=first, bars=min(window, song.bars - first), ends=song.ends and first + window >= song.bars)
        for first in range(song.first, song.first + song.bars, window)
    ]


def make_sums(prior: DiffusionPrior) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task, over the bars of the windows given.

    It returns 'weight', the weighed number of bars; in training 'error', the squared error of the noise per dimension;
    else in nats 'nll', the bound of -log p(z) of z ~ q, 'entropy', H[q], and 'reconstruction' of the batch.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))
        is_bar = batch["mask"][..., None] > 0
        mu, log_var = (jnp.where(is_bar, batch[name], 0.0) for name in ("mu", "log_var"))
        z = mu + jnp.exp(log_var / 2) * jax.vmap(lambda k: jax.random.normal(k, mu.shape[1:]))(keys[:, 0])
        place = Place(batch["first"], jnp.sum(batch["mask"], axis=1).astype(jnp.int32), batch["ends"])
        weight = batch["weight"][:, None] * batch["mask"]  # (B, N)
        total = {"weight": jnp.sum(weight)}
        if train:
            return total | {"error": jnp.sum(weight * prior.noise_errors(params, z, place, keys[:, 1]))}
        return total | {
            "nll": jnp.sum(weight * prior.bound_nats(params, z, place, keys[:, 1], LEVELS)),
            "entropy": jnp.sum(weight * gaussian.entropy(log_var)),
            "reconstruction": jnp.sum(batch["weight"] * batch["reconstruction"]),
        }

    return sums


def objective(sums: Sums, bars_per_batch: float) -> tuple[Array, Metrics]:
    """What training minimises, and the terms to log; a bar counts the same in a batch of short or of long songs."""
    return sums["error"] / bars_per_batch, {"error": sums["error"] / sums["weight"]}


def held_out_objective(sums: Sums) -> tuple[Array, Metrics]:
    """The rate in nats per bar, whose minimum is the best; 'bound_bits' is the whole-song bound per bar."""
    rate = (sums["nll"] - sums["entropy"]) / sums["weight"]
    return rate, {"rate": rate, "bound_bits": (sums["reconstruction"] / sums["weight"] + rate) / math.log(2)}
