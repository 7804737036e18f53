"""The project's side of each kind of work, made of the functions that its commands call.

Parameters are fresh and the music is random: time does not depend on either.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.speed.work import Sizes, Work, random_bars
from mcvae_jax.models import elbo, mixture_prior, vae
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.mdrnn import MDRNN
from mcvae_jax.models.mixture_prior import MixturePrior
from mcvae_jax.models.sequences import LatentPrior
from mcvae_jax.models.vae import VAE, Dropout
from mcvae_jax.music.tokens import OUTCOMES
from mcvae_jax.sampling import modes
from mcvae_jax.tasks import prior as prior_task
from mcvae_jax.tasks.vae import make_sums
from mcvae_jax.training import optimizer, parallel, update
from mcvae_jax.training.task import Task

ADAM = ml_collections.ConfigDict(
    {
        "name": "adam",
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-8,
        "amsgrad": False,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_steps": 0,
    }
)


def bar_vae(sizes: Sizes) -> VAE:
    """The VAE of the preset `default`, of these sizes."""
    return VAE(units=sizes.units, latent=sizes.latent, layers=sizes.layers, dtype=jnp.dtype(sizes.dtype))


def mdrnn(sizes: Sizes) -> MDRNN:
    """The MDRNN of the thesis, of these sizes: heads that recall bars have no peer."""
    return MDRNN(
        latent=sizes.latent,
        units=sizes.units,
        layers=sizes.layers,
        components=sizes.components,
        dtype=jnp.dtype(sizes.dtype),
    )


def train(sizes: Sizes) -> Work:
    """Updates of the VAE with Adam and clipping, as the loop makes them; items are bars."""
    network = bar_vae(sizes)
    loss = elbo.ObjectiveSettings(beta=1.0)
    task = _task(
        init=lambda key: vae.init(network, key),
        sums=make_sums(network, Dropout(), loss, jnp.ones(OUTCOMES)),
        objective=lambda sums, step: elbo.objective(loss, sums, step),
    )
    return _updates(task, {"bars": random_bars(sizes.batch)}, sizes.batch)


def mdrnn_steps(sizes: Sizes) -> Work:
    """Updates of the MDRNN on draws of z; items are bars."""
    prior = MixturePrior(mdrnn(sizes))
    shape = (sizes.batch, sizes.bars, sizes.latent)
    mu = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    bars = sizes.batch * sizes.bars
    task = _task(
        init=lambda key: mixture_prior.init(prior.network, key),
        sums=prior_task.make_sums(prior, "q"),
        objective=lambda sums, step: prior_task.objective(sums, bars, prior),
    )
    batch = {
        "mu": mu,
        "log_var": np.full(shape, -4.0, np.float32),
        "mask": np.ones(shape[:2], np.float32),
        "ends": np.ones(sizes.batch, np.float32),
    }
    return _updates(task, batch, bars)


def encode(sizes: Sizes) -> Work:
    """`BarCodec.encode`; items are bars."""
    network, bars = bar_vae(sizes), random_bars(4096)
    codec = BarCodec(network, jax.jit(vae.init, static_argnums=0)(network, jax.random.key(0)))
    return Work(len(bars), lambda: _ignored(codec.encode(bars)))


def compose(sizes: Sizes) -> Work:
    """Songs of so many bars from nothing; items are songs."""
    network, prior = bar_vae(sizes), MixturePrior(mdrnn(sizes))
    make = jax.jit(vae.init, static_argnums=0), jax.jit(mixture_prior.init, static_argnums=0)
    model = LatentComposer(
        BarCodec(network, make[0](network, jax.random.key(0))),
        LatentPrior(prior, make[1](prior.network, jax.random.key(1))),
    )
    return Work(sizes.songs, lambda: _ignored(modes.compose(model, sizes.songs, sizes.bars)))


def read(sizes: Sizes) -> Work:
    """Bytes of files -> melody -> tokens -> bars; items are files."""
    from experiments.speed.files import music_files
    from mcvae_jax.corpus.read import read_file
    from mcvae_jax.corpus.settings import CorpusSettings

    files, settings = music_files(sizes.source), CorpusSettings(sizes.source)
    return Work(len(files), lambda: [read_file(file, settings) for file in files] and None)


def build(sizes: Sizes) -> Work:
    """The whole build of a corpus but its pictures: read, drop duplicates, split, save, report; items are files."""
    from experiments.speed.files import music_files
    from mcvae_jax.corpus.build import build_corpus
    from mcvae_jax.corpus.settings import CorpusSettings

    def call() -> None:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            build_corpus(CorpusSettings(sizes.source), Path(folder) / "corpus", workers=1, pictures=False)

    return Work(len(music_files(sizes.source)), call)


def product(sizes: Sizes) -> Work:
    """Products of two square matrices of 2048 rows: what the machine can do; items are GFLOP."""
    side = 2048
    a = jax.random.normal(jax.random.key(0), (side, side)).astype(sizes.dtype)
    multiply = jax.jit(lambda x: jnp.matmul(x, a, preferred_element_type=jnp.float32).astype(sizes.dtype) / side)
    results = [a]

    def call() -> None:
        results[0] = multiply(results[0])

    return Work(2 * side**3 / 1e9, call, lambda: _ignored(jax.block_until_ready(results[0])))


def _task(**fields: object) -> Task:
    """A task that only takes steps."""
    nothing = {"held_out_objective": None, "batch": None, "held_out_batches": None, "finish": None}
    return Task(**(nothing | fields))


def _updates(task: Task, batch: dict[str, np.ndarray], items: int) -> Work:
    layout = parallel.make_layout("jit", jax.devices()[:1])
    chosen = optimizer.make_optimizer(ADAM)
    state = [layout.init_state(lambda seed: update.init_state(task, chosen, seed), 0)]
    count = len(next(iter(batch.values())))
    whole = batch | {"weight": np.ones(count, np.float32), "index": np.arange(count, dtype=np.int32)}
    step = layout.compile_update(update.make_update(task, chosen), 0)

    def call() -> None:
        state[0], _ = step(state[0], layout.place_batch(whole))

    return Work(items, call, lambda: _ignored(jax.block_until_ready(state[0])))


def _ignored(_: object) -> None:
    """Work returns nothing."""
