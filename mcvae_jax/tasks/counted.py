"""Any model that is counted in training songs as a task: corpus -> songs -> `training.counted.Counted`.

A row of kinds.py names the function that makes the model, (config, songs) -> a `SongModel` that is a dataclass with a
field `origins`. What a workdir keeps is the songs themselves, uint8, since a model is counted from them in seconds, and
tables of counts would be larger.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.batches.songs import SongSettings, choose_songs
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.kinds import Kind, load
from mcvae_jax.models.song_model import NO_LIKELIHOOD
from mcvae_jax.music.tokens import BAR, NO_EVENT
from mcvae_jax.tasks.corpus import corpus_facts, training_corpus
from mcvae_jax.tasks.held_out import write_held_out
from mcvae_jax.training.counted import Counted
from mcvae_jax.training.fields import INT, TEXT, fields_of

Say = Callable[[str], None]

FIELDS = {
    "corpus_folder": TEXT,
    "corpus": fields_of(CorpusSettings),
    "data": {"min_bars": INT, "max_bars": INT},
}  # of the config of any counted model


def check(kind: Kind, config: Any) -> None:
    """UserError for a field of the config that cannot work, by counting one silent bar."""
    _settings(config)
    CorpusSettings(**config.corpus)
    load(kind.make)(config, [np.full((1, BAR), NO_EVENT, np.uint8)])


def make_task(kind: Kind, config: Any, say: Say) -> Counted:
    """The task of a config; builds the corpus where it does not stand yet.

    Raises:
      UserError: a field of the config that cannot work; no songs.
    """
    corpus = training_corpus(kind, config, CorpusSettings(**config.corpus), say)
    songs, scored, left_out = choose_songs(corpus, _settings(config), say)
    training, held_out = ([corpus.song(i) for i in side] for side in (songs, scored))
    counted = functools.cache(lambda: load(kind.make)(config, training))  # what the workdir keeps are these songs

    def nats(params: Any) -> float:
        model = counted()
        return 0.0 if model.likelihood == NO_LIKELIHOOD else float(np.concatenate(model.nats(held_out)).mean())

    def finish(params: Any, folder: Path, say: Say) -> dict:
        """Alone and with the copy switch."""
        model = counted()
        if model.likelihood == NO_LIKELIHOOD:
            return {}
        models = {model.name: model} | with_switch({model.name: model}, corpus_switch(training))
        return write_held_out(models, held_out, 1, left_out, folder, say)

    params = as_params(training)
    sizes = {"counted_songs": len(params["lengths"]), "counted_bars": len(params["bars"])}
    return Counted(lambda: params, nats, finish, corpus_facts(corpus) | sizes)


def as_params(songs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Songs, uint8 (n, T) each, as 'bars' uint8 (N, T), all in a row, and 'lengths' int32 (S,)."""
    return {"bars": np.concatenate(songs), "lengths": np.array([len(song) for song in songs], np.int32)}


def _settings(config: Any) -> SongSettings:
    return SongSettings(1, config.seed, **config.data)
