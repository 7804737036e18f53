"""The adversarial prior as a task: a VAE's workdir -> windows of latents, both losses, a distance from held-out ones.

The objective is the sum of the critic's loss and the generator's, each of which moves its own network alone
(models/gan/prior.py), so that both are updated at the same time. In half of the windows nothing is given to the
generator; in the others all bars but those of a gap, which in half of these goes to the end. Held-out figures are of
windows of which nothing is given: the squared maximum mean discrepancy, whose minimum is the best.

Letters: B windows, N bars of a window, Z latent size.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mcvae_jax.batches.bars import Batch
from mcvae_jax.batches.songs import SongBatches, SongSettings, scored_batches, whole_songs
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models.gan.prior import GANPrior, discrepancy
from mcvae_jax.models.latent_windows import Place
from mcvae_jax.nn.keys import example_keys
from mcvae_jax.tasks.diffusion import windows
from mcvae_jax.tasks.latents import latent_songs, open_vae
from mcvae_jax.training import metrics
from mcvae_jax.training.fields import TEXT, fields_of
from mcvae_jax.training.task import Metrics, Placed, Sums, Task

Array = jax.Array
Say = Callable[[str], None]

FIELDS = {
    "vae_workdir": TEXT,
    "corpus_folder": TEXT,
    "data": fields_of(SongSettings, "batch_size", "seed"),
}  # of its config beside those of every model and those of models/gan/prior.py


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work."""
    read_settings(config)
    load(kind.make)(config, 1)


def read_settings(config: Any) -> SongSettings:
    """What config.data says; UserError for a field that cannot work."""
    return SongSettings(config.train.batch_size, config.seed, **config.data)


def make_task(kind: Kind, config: Any, say: Say) -> Task:
    """The task of a config; encodes the VAE's corpus where that has not been done yet.

    Raises:
      UserError: a field of the config that cannot work; no VAE, or not the corpus on which it was trained; no songs.
    """
    settings = read_settings(config)
    codec = open_vae(config.vae_workdir, settings)
    prior: GANPrior = load(kind.make)(config, codec.latent)
    of = latent_songs(codec, config.corpus_folder, settings, say)
    moments, lengths = of.moments, of.corpus.lengths[of.songs]

    make, sums = of.in_windows(prior.window), make_sums(prior)

    @functools.cache
    def held_out() -> tuple[Batch, ...]:
        pieces = [part for song in whole_songs(of.corpus, of.scored) for part in windows(song, prior.window)]
        return tuple(scored_batches(pieces, settings.batch_size, make))

    def finish(params: Any, folder: Path, say: Say) -> dict:
        """The distance, of other draws than in training; there are no bits."""
        run, total = jax.jit(lambda params, batch, key: sums(params, batch, key, False)), None
        for n, batch in enumerate(held_out()):
            found = run(params, batch, jax.random.fold_in(jax.random.key(config.seed), n))
            total = metrics.add_sums(total, found)
        distance = metrics.compile_scalars(lambda sums: held_out_objective(sums)[1])
        scores = {"songs": len(of.scored), **distance(metrics.as_float32(total or {})), "left_out": of.left_out}
        (folder / "held_out.json").write_text(json.dumps(scores, indent=2) + "\n")
        say(f"{kind.label}: MMD^2 {scores['mmd']:.4f} from the latents of {scores['songs']} held-out songs")
        return scores

    return Task(
        init=lambda key: prior.init(key, moments, lengths),
        sums=sums,
        objective=objective,
        held_out_objective=held_out_objective,
        batch=SongBatches(of.corpus, of.songs, settings, make),
        held_out_batches=held_out,
        finish=finish,
        data=of.facts,
        constants=prior.constants,
    )


def make_sums(prior: GANPrior) -> Callable[[Any, Placed, Array, bool], Sums]:
    """The function sums(params, batch, key, train) of the task, over the windows given.

    It returns 'weight', the weighed number of windows; in training the losses 'critic' and 'generator' and 'right', the
    share of real and made windows that the critic tells rightly; else 'bars' and 'steps', the numbers of bars and of
    steps from bar to bar, and the sums of their features, 'real' and 'made', (2 F,), all weighed.
    """

    def sums(params: Any, batch: Placed, key: Array, train: bool) -> Sums:
        keys = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(example_keys(key, batch["index"]))
        is_bar = batch["mask"][..., None] > 0
        mu, log_var = (jnp.where(is_bar, batch[name], 0.0) for name in ("mu", "log_var"))
        z = mu + jnp.exp(log_var / 2) * jax.vmap(lambda k: jax.random.normal(k, mu.shape[1:]))(keys[0])
        bars, weight = jnp.sum(batch["mask"], axis=1).astype(jnp.int32), batch["weight"]
        place = Place(batch["first"], bars, batch["ends"])
        total = {"weight": jnp.sum(weight)}
        if train:
            given = jax.vmap(functools.partial(_given, mu.shape[1]))(bars, keys[2])
            found = prior.losses(params, z, given, place, keys[1])
            right = ((found.real > 0).astype(jnp.float32) + (found.made < 0)) / 2
            return total | {
                "critic": jnp.sum(weight * found.critic),
                "generator": jnp.sum(weight * found.generator),
                "right": jnp.sum(weight * jax.lax.stop_gradient(right)),
            }
        nothing = jnp.zeros(is_bar.shape[:2], bool)
        made = prior.sample(params, jnp.zeros_like(z), nothing, place, keys[1], jnp.float32(1.0))
        return total | {
            "bars": jnp.sum(weight * bars),
            "steps": jnp.sum(weight * jnp.maximum(bars - 1, 0)),
            "real": weight @ prior.features(params, z, place),
            "made": weight @ prior.features(params, made, place),
        }

    return sums


def _given(window: int, bars: Array, key: Array) -> Array:
    """Which bars of a window of so many are given: none, or all but a gap, which may go to the end; bool (N,)."""
    nothing, to_the_end, ends = jax.random.split(key, 3)
    cuts = jnp.sort(jax.random.randint(ends, (2,), 0, jnp.maximum(bars, 1)))
    start, stop = cuts[0], jnp.where(jax.random.bernoulli(to_the_end), bars, cuts[1] + 1)
    number = jnp.arange(window)
    return ((number < start) | ((number >= stop) & (number < bars))) & jax.random.bernoulli(nothing)


def objective(sums: Sums, step: Array) -> tuple[Array, Metrics]:
    """What training minimises, and the terms to log, means over windows."""
    mean = {name: sums[name] / sums["weight"] for name in ("critic", "generator", "right")}
    return mean["critic"] + mean["generator"], mean


def held_out_objective(sums: Sums) -> tuple[Array, Metrics]:
    """'mmd', the squared discrepancy of draws from held-out latents, of bars and of steps together."""
    count = jnp.repeat(jnp.stack([sums["bars"], jnp.maximum(sums["steps"], 1.0)]), sums["real"].shape[0] // 2)
    mmd = discrepancy(sums["real"] / count, sums["made"] / count)
    return mmd, {"mmd": mmd}
