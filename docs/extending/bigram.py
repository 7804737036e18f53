"""A song model of one's own, without latents: the chance of a token given the one before it and its step of the bar.

Letters: B bars, T steps of a bar, V outcomes (130), S songs, n bars of a song.
"""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.batches.bars import BarBatches, DataSettings, distinct_batches
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.metres import bar_facts
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import HELD_OUT, TRAIN
from mcvae_jax.kinds import Kind
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import EXACT, MEMORY
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY
from mcvae_jax.tasks.corpus import default_folder
from mcvae_jax.trained import restore_model
from mcvae_jax.training.task import Task

KIND = Kind("bigram:KIND", "bigram model", "bigram", "bigram:open_model")


# The model: pure functions of parameters.


def init(steps):
    """{'logits': (T, VOCABULARY, V)}: all tokens are alike."""
    return {"logits": jnp.zeros((steps, VOCABULARY, OUTCOMES))}


def log_p(params, bars, before):
    """log p of each token of bars (B, T) given the one before it, (B, T) nats; before (B,) stands before the first."""
    previous = jnp.concatenate([before[:, None], bars[:, :-1]], axis=1).astype(jnp.int32)
    logits = params["logits"][jnp.arange(bars.shape[1]), previous]
    return jnp.take_along_axis(jax.nn.log_softmax(logits), bars[..., None].astype(jnp.int32), axis=-1)[..., 0]


@jax.jit
def draw_bar(params, before, keys):
    """A bar after each token of before (B,): (B, T)."""

    def step(token, inputs):
        logits, number = inputs
        of_step = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
        token = jax.vmap(jax.random.categorical)(of_step, logits[token])
        return token, token

    numbers = jnp.arange(len(params["logits"]))
    return jax.lax.scan(step, before, (params["logits"], numbers))[1].T


# The task: what training is given.


def check(kind, config):
    """UserError for a field that cannot work, before any work."""
    CorpusSettings(**config.corpus)
    DataSettings(config.train.batch_size, config.seed, **config.data)


def make_task(kind, config, say):
    """Bars for themselves, START before each."""
    settings = CorpusSettings(**config.corpus)
    corpus = ensure_corpus(settings, config.corpus_folder or default_folder(settings), progress=say)

    def sums(params, batch, key, train):
        starts = jnp.full(len(batch["bars"]), START)
        nats = -jnp.sum(log_p(params, batch["bars"], starts), axis=1)
        return {"weight": jnp.sum(batch["weight"]), "nats": jnp.sum(batch["weight"] * nats)}

    def objective(sums, step=None):
        nats = sums["nats"] / sums["weight"]
        return nats, {"bits": nats / jnp.log(2)}

    def finish(params, folder, say):
        (folder / "held_out.json").write_text(json.dumps({"steps": len(params["logits"])}))
        return {}

    return Task(
        init=lambda key: init(corpus.steps_per_bar),
        sums=sums,
        objective=objective,
        held_out_objective=objective,
        batch=BarBatches(
            corpus, corpus.songs(TRAIN), DataSettings(config.train.batch_size, config.seed, **config.data)
        ),
        held_out_batches=lambda: distinct_batches(corpus, HELD_OUT, 64),
        finish=finish,
        data={"corpus": str(corpus.folder), "identity": corpus.identity, **bar_facts(corpus)},
    )


# The song model: what sampling and evaluation ask.


@dataclasses.dataclass(frozen=True, eq=False)
class Bigrams:
    """The trained model."""

    params: dict
    origins: dict
    steps: int

    name = "bigram model"
    likelihood = EXACT
    abilities = frozenset({MEMORY})
    pitches = (0, 127)
    defaults = Settings(temperature=1.0)
    lacks = {}

    def nats(self, songs, draws=1, seed=0):
        """What each bar costs given the bars before it: (n,) for each song."""
        costs = []
        for song in songs:
            before = jnp.concatenate([jnp.full(1, START), song[:-1, -1]])
            costs.append(-np.asarray(log_p(self.params, jnp.asarray(song), before), np.float64).sum(axis=1))
        return costs

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        """The bars that follow each seed: uint8 (m, T)."""
        before, made = jnp.asarray([seed[-1, -1] if len(seed) else START for seed in seeds], jnp.int32), []
        for number in range(bars or max_bars):
            of_bar = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
            drawn = draw_bar(self.params, before, of_bar)
            before = drawn[:, -1]
            made.append(np.asarray(drawn, np.uint8))
        return list(np.stack(made, axis=1))

    def untrained(self, seed):
        """A twin that has learnt nothing."""
        return {"untrained bigram model": Bigrams(init(self.steps), {}, self.steps)}

    def baselines(self, training):
        """None."""
        return {}

    def kin(self):
        """None."""
        return []


def open_model(kind, folder, which):
    """The model of a workdir."""

    def make(config, data):
        return data["steps_per_bar"], functools.partial(init, data["steps_per_bar"])

    steps, params, origin = restore_model(folder, which, make)
    return Bigrams(params, {"bigrams": origin}, steps)
