"""Any prior over latent sequences as a task: a VAE's workdir -> sequences, likelihood, objective, held-out results.

A row of kinds.py names the function that makes the prior of a config, (config, latent size) -> `prior.TrainablePrior`.

What is reported is the rate: what z costs beyond its own entropy, E_q[-log p(z_t | z_<t)] - H[q_t], in nats per bar. It
compares with the KL of the VAE, which is the rate under N(0, I). The objective leaves out H[q], which no parameter
moves, and adds what the chance of each bar to be the last costs.

data.draw = 'mu' trains on z = mu instead of draws from q. Where bars repeat, the density of a vector that stood
before has then no upper bound: only the floor on the scales sets the figure, and the rate in the training log means
nothing. Held-out songs are scored with draws from q all the same.

Letters: B songs, T bars, Z latent size.
"""

import functools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import Batch
from mcvae_jax.batches.songs import LatentSettings, Piece, SongBatches, scored_batches, whole_songs
from mcvae_jax.command import check_range
from mcvae_jax.evaluation.priors import draw_priors, score_priors, summary
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models.prior import OneGaussian, TrainablePrior, standard_normal
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.tasks.latents import latent_songs, open_vae
from mcvae_jax.training.fields import INT, TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Say = Callable[[str], None]

FIELDS = {
    "vae_workdir": TEXT,
    "corpus_folder": TEXT,
    "data": fields_of(LatentSettings, "batch_size", "seed"),
    "held_out": {"draws": INT},
}  # of the config of any prior, beside those of every model; the row of a kind says which its own are
UNTRAINED_SEED = 1  # added to config.seed for the parameters of the untrained twin
STANDARD = "N(0, I)"


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    load(kind.make)(config, 1)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; encodes the VAE's corpus where that has not been done yet.

    Raises:
      UserError: a field of the config that cannot work; no VAE, or not the corpus on which it was trained; no songs.
    """
    settings = read_settings(config)
    codec = open_vae(config.vae_workdir, settings)
    prior: TrainablePrior = load(kind.make)(config, codec.latent)
    of = latent_songs(codec, config.corpus_folder, settings, say)
    moments = of.moments
    batches = SongBatches(of.corpus, of.songs, settings, of.make)

    @functools.cache
    def held_out() -> Sequence[Batch]:
        nats = of.reconstruction(config.seed, say)

        def make_scored(pieces: Sequence[Piece], size: int, bars: int) -> Batch:
            of_songs = np.array([nats[piece.song] for piece in pieces], np.float32)
            return of.make(pieces, size, bars) | {"reconstruction": np.pad(of_songs, (0, size - len(pieces)))}

        return tuple(scored_batches(whole_songs(of.corpus, of.scored), settings.batch_size, make_scored))

    def finish(params: Any, folder: Path, say: Say) -> dict:
        untrained = prior.init(jax.random.key(config.seed + UNTRAINED_SEED), moments)
        plain = OneGaussian(codec.latent)
        priors = {
            kind.label: LatentPrior(prior, params),
            "one Gaussian": LatentPrior(plain, of.one_gaussian),
            f"untrained {kind.label}": LatentPrior(prior, untrained),
            STANDARD: LatentPrior(plain, standard_normal(codec.latent)),
        }
        scores = score_priors(codec, priors, of.held_out(), config.held_out.draws, config.seed, say)
        return write_scores(scores | {"left_out": of.left_out}, kind.label, folder, say)

    return Task(
        init=lambda key: prior.init(key, moments),
        sums=make_sums(prior, settings.draw),
        objective=lambda sums, step: objective(sums, batches.bars_per_batch, prior),
        held_out_objective=lambda sums: held_out_objective(sums, prior),
        batch=batches,
        held_out_batches=held_out,
        finish=finish,
        data=of.facts,
        constants=prior.constants,
    )


def read_settings(config: Any) -> LatentSettings:
    """What config.data says; UserError for a field that cannot work."""
    check_range("config.held_out.draws", config.held_out.draws, 1, 10_000)
    return LatentSettings(config.train.batch_size, config.seed, **config.data)


def write_scores(scores: dict, name: str, folder: Path, say: Say) -> dict:
    """Writes held_out.json and priors.png, says the table, and returns the scores; `name` is the prior's."""
    (folder / "held_out.json").write_text(json.dumps(scores, indent=2) + "\n")
    draw_priors(scores, folder / "priors.png", (name, STANDARD))
    for line in summary(scores):
        say(line)
    return scores


def make_sums(prior: TrainablePrior, draw: str) -> Callable[[Any, Placed, jax.Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task, over the bars of the songs given.

    It returns 'weight', the weighed number of bars; in nats 'nll', -log p(z_t | z_<t) of z drawn as `draw` says,
    'entropy', H[q], 'kl', KL(q || N(0, I)), 'stop', what it costs which bar is the last; the sums of the prior's own
    figures; and, where not in training, 'reconstruction' of the batch.
    """

    def sums(params: Any, batch: Placed, key: jax.Array, train: bool) -> Sums:
        keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))
        is_bar = batch["mask"][..., None] > 0
        mu, log_var = (jnp.where(is_bar, batch[name], 0.0) for name in ("mu", "log_var"))
        z = mu
        if draw == "q" or not train:
            z += jnp.exp(log_var / 2) * jax.vmap(lambda k: jax.random.normal(k, mu.shape[1:]))(keys[:, 0])
        output = prior.unroll(params, z, keys[:, 1] if train else None)
        weight = batch["weight"][:, None] * batch["mask"]  # (B, T)
        result = {
            "weight": jnp.sum(weight),
            "nll": -jnp.sum(weight * output.log_density),
            "entropy": jnp.sum(weight * gaussian.entropy(log_var)),
            "kl": jnp.sum(weight * jnp.sum(gaussian.kl_to_standard(mu, log_var), axis=-1)),
            "stop": jnp.sum(weight * stop_nats(output.stop_logit, batch["mask"], batch["ends"])),
        }
        result |= {name: _weighed_sum(weight, figure) for name, figure in output.figures.items()}
        return result if train else result | {"reconstruction": jnp.sum(batch["weight"] * batch["reconstruction"])}

    return sums


def _weighed_sum(weight: jax.Array, figure: jax.Array) -> jax.Array:
    """The sum over the bars, weight (B, T), of a figure (B, T) or (B, T, k)."""
    return jnp.sum(weight * figure) if figure.ndim == 2 else jnp.einsum("bt,btk->k", weight, figure)


def objective(sums: Sums, bars_per_batch: float, prior: TrainablePrior) -> tuple[jax.Array, Metrics]:
    """What training minimises, and the terms to log.

    The sum is divided by the bars that a batch holds on average, not by those that this one holds: a bar counts the
    same in a batch of short songs as in one of long songs.
    """
    return (sums["nll"] + sums["stop"]) / bars_per_batch, _terms(sums, prior)


def held_out_objective(sums: Sums, prior: TrainablePrior) -> tuple[jax.Array, Metrics]:
    """Rate and stop in nats per bar, whose minimum is the best; 'bound_bits' is the whole-song bound per bar."""
    terms = _terms(sums, prior)
    bound = sums["reconstruction"] / sums["weight"] + terms["rate"]
    return terms["rate"] + terms["stop"], terms | {"bound_bits": bound / math.log(2)}


def _terms(sums: Sums, prior: TrainablePrior) -> Metrics:
    """Means over bars: nats, and what the prior makes of its own figures."""
    mean = {name: value / sums["weight"] for name, value in sums.items()}
    return {
        "rate": mean["nll"] - mean["entropy"],
        "kl": mean["kl"],
        "nll_per_dim": mean["nll"] / prior.latent,
        "stop": mean["stop"],
    } | prior.terms(mean)
