"""A trained MCVAE, its bar VAE and its prior, trained on together: workdirs -> batches of songs, the whole-song bound.

The thesis trains the VAE first, under N(0, I), and then the MDRNN on its latents. Here both go on from there, on what
a song costs under the two of them (bounds.py), with one draw of z for each bar, in nats per bar,

    reconstruction + beta rate + stop,    rate = E_q[log q(z_t | x_t) - log p(z_t | z_<t)],

so that q learns what the prior can foretell. Scales that come from the data stay as they are.

Letters: B songs, N bars, T steps of a bar, Z latent size.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mcvae_jax.batches.bars import check_shifts
from mcvae_jax.batches.songs import (
    SongBatches,
    SongSettings,
    choose_songs,
    scored_batches,
    token_maker,
    whole_songs,
)
from mcvae_jax.command import check_range
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.kinds import Kind, open_model
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.elbo import active_units
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.prior import TrainablePrior
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.vae import VAE, Dropout, draw_noise
from mcvae_jax.models.workdirs import PARTS, PRIOR, VAE_PART
from mcvae_jax.nn import gaussian
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.stop import stop_nats
from mcvae_jax.places import shown
from mcvae_jax.storage.buckets import fetched
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks.corpus import corpus_facts
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.trained import Origin, known_origin, open_corpus
from mcvae_jax.training.fields import INT, TEXT, fields_of
from mcvae_jax.training.precision import check_products
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Loss:
    """config.loss."""

    beta: float = 1.0  # weight of the rate

    def __post_init__(self) -> None:
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise UserError(f"config.loss.beta is {self.beta}; it must be 0 or more")


FIELDS = {
    "prior_workdir": TEXT,
    "corpus_folder": TEXT,
    "data": fields_of(SongSettings, "batch_size", "seed"),
    "loss": fields_of(Loss),
    "held_out": {"draws": INT},
}  # of configs/end_to_end.py, beside those of every model


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)


def read_settings(config: Any) -> tuple[SongSettings, Loss]:
    """What config.data and config.loss say; UserError for a field that cannot work."""
    check_range("config.held_out.draws", config.held_out.draws, 1, 10_000)
    return SongSettings(config.train.batch_size, config.seed, **config.data), Loss(**config.loss)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config, which starts from the parameters of both models.

    Raises:
      UserError: a field of the config that cannot work; no such models, or not the corpus on which they were trained;
        no songs.
    """
    settings, loss = read_settings(config)
    start = open_start(config.prior_workdir)
    vae, prior = start.codec.vae, start.prior.prior
    assert isinstance(prior, TrainablePrior)
    check_shifts(settings, vae.pitches)
    parts = {VAE_PART: known_origin(start.codec.origin), PRIOR: known_origin(start.prior.origin)}
    records = {name: _recorded(origin) for name, origin in parts.items()}
    corpus = open_corpus(parts[VAE_PART], config.corpus_folder)
    songs, scored, left_out = choose_songs(corpus, settings, say)
    make = token_maker(corpus)
    batches = SongBatches(corpus, songs, settings, make)

    def finish(params: Any, folder: Path, say: Say) -> dict:
        """Alone and with the copy switch, before and after."""
        training, held_out = ([corpus.song(i) for i in side] for side in (songs, scored))
        codec, after = BarCodec(vae, params[VAE_PART]), LatentPrior(prior, params[PRIOR])
        composers = {
            kind.label: LatentComposer(codec, after, kind.label, start.prior_name),
            f"{start.name} before": start,
        }
        models = composers | with_switch(composers, corpus_switch(training))
        return write_held_out(models, held_out, config.held_out.draws, left_out, folder, say)

    return Task(
        init=lambda key: {VAE_PART: start.codec.params, PRIOR: start.prior.params},
        sums=make_sums(vae, prior, Dropout(**records[VAE_PART]["config"]["dropout"])),
        objective=lambda sums, step: objective(loss, sums, prior, batches.bars_per_batch),
        held_out_objective=lambda sums: held_out_objective(sums, prior),
        batch=batches,
        held_out_batches=lambda: scored_batches(whole_songs(corpus, scored), settings.batch_size, make),
        finish=finish,
        data=corpus_facts(corpus)
        | {
            "prior_workdir": shown(parts[PRIOR].folder),
            "latent": vae.latent,
            PARTS: {
                name: records[name] | {"identity": origin.identity, "step": origin.step}
                for name, origin in parts.items()
            },
        },
        constants=prior.constants,
    )


def _recorded(origin: Origin) -> dict[str, Any]:
    """What opening needs of the record of one of the two: 'config', without what may change, and 'code'."""
    record = Workdir(origin.folder).read()
    config = {name: record.config[name] for name in ("task", "model", "dropout") if name in record.config}
    if "standardise" in (data := record.config.get("data", {})):
        config["data"] = {"standardise": data["standardise"]}
    check_products(config["model"]["matmul_dtype"])
    return {"config": config, "code": record.code}


def open_start(folder: str) -> LatentComposer:
    """The VAE and the prior of config.prior_workdir; UserError where there are none that can be trained together."""
    if not folder or not fetched(folder).is_dir():
        raise UserError(
            f"config.prior_workdir is {folder!r}, where no MCVAE is; train one there first (python -m mcvae_jax.main"
            " --config=mcvae --workdir=DIR), or name another."
        )
    found = open_model(folder)
    if any(PARTS in origin.data for origin in found.origins.values()):
        raise UserError(
            f"config.prior_workdir is {folder}, whose parts were trained together already; more config.train.steps with"
            " its own --workdir train it on."
        )
    if type(found) is not LatentComposer or not isinstance(found.prior.prior, TrainablePrior):
        raise UserError(
            f"config.prior_workdir is {folder}, which holds a {found.name}; only a bar VAE and an MDRNN or transformer"
            " prior can be trained on together."
        )
    return found


def make_sums(vae: VAE, prior: TrainablePrior, dropout: Dropout) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task, over the bars of the songs given.

    It returns 'weight', the weighed number of bars; in nats 'reconstruction', -log p(x | z), 'nll', -log p(z_t | z_<t),
    'entropy', H[q], 'kl', KL(q || N(0, I)), and 'stop', what it costs which bar is the last; 'mu', 'mu_squares' and
    'variances', (Z,), of q; and the sums of the prior's own figures.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = jax.vmap(jax.random.split)(example_keys(key, batch["index"]))
        songs, count, steps = batch["bars"].shape
        of_bars = jax.vmap(lambda key: jax.vmap(lambda n: jax.random.fold_in(key, n))(jnp.arange(count)))(keys[:, 0])
        bars, is_bar = batch["bars"].reshape(-1, steps), batch["mask"].reshape(-1) > 0
        noise = draw_noise(vae, of_bars.reshape(-1), steps, dropout if train else Dropout())
        mu, log_var, predicted = applied(vae, VAE.__call__, params[VAE_PART], bars, noise)
        z = mu + jnp.exp(log_var / 2) * noise.eps
        of_prior = prior.unroll(params[PRIOR], z.reshape(songs, count, -1), keys[:, 1] if train else None)
        weight = batch["weight"][:, None] * batch["mask"]  # (B, N)
        each = weight.reshape(-1)
        log_x = jnp.sum(jnp.where(is_bar[:, None], predicted.log_p, 0.0), axis=-1)
        figures = {name: jnp.einsum("bn,bn...->...", weight, figure) for name, figure in of_prior.figures.items()}
        return figures | {
            "weight": jnp.sum(weight),
            "reconstruction": -jnp.sum(each * log_x),
            "nll": -jnp.sum(weight * of_prior.log_density),
            "entropy": jnp.sum(each * gaussian.entropy(log_var)),
            "kl": jnp.sum(each * jnp.sum(gaussian.kl_to_standard(mu, log_var), axis=-1)),
            "stop": jnp.sum(weight * stop_nats(of_prior.stop_logit, batch["mask"], batch["ends"])),
            "mu": each @ mu,
            "mu_squares": each @ mu**2,
            "variances": each @ jnp.exp(log_var),
        }

    return sums


def objective(loss: Loss, sums: Sums, prior: TrainablePrior, bars_per_batch: float) -> tuple[Array, Metrics]:
    """What training minimises, and the terms to log; a bar counts the same in a batch of short or of long songs."""
    rate = sums["nll"] - sums["entropy"]
    return (sums["reconstruction"] + loss.beta * rate + sums["stop"]) / bars_per_batch, terms(sums, prior)


def held_out_objective(sums: Sums, prior: TrainablePrior) -> tuple[Array, Metrics]:
    """The whole-song bound and what it costs where songs end, in nats per bar, whose minimum is the best."""
    found = terms(sums, prior)
    return found["bound_bits"] * math.log(2) + found["stop"], found


def terms(sums: Sums, prior: TrainablePrior) -> Metrics:
    """'bound_bits' per bar; 'reconstruction', 'rate', 'kl' and 'stop' in nats per bar; 'active', the units of z in use;
    and what the prior makes of its own figures."""
    mean = {name: each / sums["weight"] for name, each in sums.items()}
    rate = mean["nll"] - mean["entropy"]
    return {
        "bound_bits": (mean["reconstruction"] + rate) / math.log(2),
        "reconstruction": mean["reconstruction"],
        "rate": rate,
        "kl": mean["kl"],
        "stop": mean["stop"],
        "active": active_units(mean["mu"], mean["mu_squares"], mean["variances"]),
    } | prior.terms(mean)
