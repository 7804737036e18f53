"""Trained models -> the clips of a listening test: the same seeds, instrument, tempo and loudness for all.

As in thesis 6.4.1 every model goes on from the first bar of the same held-out songs. What is heard are the bars after
the seed alone, so that no model gains from music that it did not make. The MCVAE composes them after the seed; the VAE
has no memory of bars, so its decoder runs free from q's mean of the last seed bar, and the first bar of that run, its
rendering of the seed, is left out; of a real song they are its own next bars.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mcvae_jax.corpus.clean import content_hash
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import MEMORY, SongModel, main_origin
from mcvae_jax.music.tokens import NOTE_OFF
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.sampling.preview import render_wav
from mcvae_jax.trained import open_corpus

REAL = "real"
_HEADER = 44  # bytes of a PCM WAV file before its samples
_PEAK = 0.9 * 32767


class Model(NamedTuple):
    """One of the models to be compared."""

    name: str
    composer: SongModel
    corpus: Corpus  # on which it was trained


class SeedSong(NamedTuple):
    """A held-out song and where it is cut."""

    name: str
    before: np.ndarray  # uint8 (seed bars, T): what the models see
    after: np.ndarray  # uint8 (bars, T): how it really goes on


def open_models(texts: Sequence[str], names: Sequence[str]) -> list[Model]:
    """The models of 'DIR' or 'DIR:alone', under these names or, where there are none, their own.

    'DIR:alone' is the part of the model that has no memory of bars: of an MCVAE its VAE, whose decoder runs freely from
    the last bar of the seed. 'DIR:vae' is the same.
    """
    models = []
    for text in texts:
        folder = text.removesuffix(":vae").removesuffix(":alone")
        if not Path(folder).exists():
            raise UserError(
                f"{text} does not exist; --models takes DIR, or DIR:alone for its part without memory alone"
            )
        model = open_model(folder)
        if folder != text or MEMORY not in model.abilities:
            model = next((kin for kin in model.kin() if MEMORY not in kin.abilities), model)
        name = f"{Path(folder).name}: {model.name}"
        models.append(Model(name, model, open_corpus(main_origin(model))))
    if names and len(names) != len(models):
        raise UserError(f"names in --names: {len(names)}, models: {len(models)}; give one name for each model")
    models = [model._replace(name=name) for model, name in zip(models, names or [m.name for m in models], strict=True)]
    if len({model.name for model in models}) < len(models):
        raise UserError("two models have the same name; tell them apart with --names=A,B")
    return models


def held_out_songs(models: Sequence[Model], count: int, seed_bars: int, bars: int, seed: int) -> list[SeedSong]:
    """Songs that no model was trained on, drawn from the held-out ones of the first model's corpus.

    They go on for `bars` bars after the seed, so the draw is the same with and without real songs, and a note starts
    within the seed. A song that another model's corpus trains on, in any key, is passed over.
    """
    corpus = models[0].corpus
    others = {model.corpus.identity: model.corpus for model in models if model.corpus.identity != corpus.identity}
    seen = {content_hash(other.song(i)) for other in others.values() for i in other.songs(TRAIN)}
    fit = [
        i
        for i in corpus.songs(HELD_OUT)
        if corpus.lengths[i] >= seed_bars + bars and (corpus.song(i)[:seed_bars] < NOTE_OFF).any()
    ]
    usable = [i for i in fit if not seen or content_hash(corpus.song(i)) not in seen]
    if len(usable) < count:
        known = f", of which another model was trained on {len(fit) - len(usable)}" if usable != fit else ""
        raise UserError(
            f"the corpus {corpus.folder} has {len(fit)} held-out song{'s' if len(fit) != 1 else ''} of"
            f" {seed_bars + bars} bars or more{known}, and --seeds asks for {count}; give fewer --seeds or --bars"
        )
    chosen = np.random.default_rng(seed).choice(usable, count, replace=False)
    records = corpus.records()
    return [
        SeedSong(records[i]["name"], song[:seed_bars].copy(), song[seed_bars : seed_bars + bars].copy())
        for i, song in ((i, corpus.song(i)) for i in chosen)
    ]


def go_on(model: Model, songs: Sequence[SeedSong], settings: Settings) -> list[np.ndarray]:
    """How a model goes on after each seed, for as many bars as the song does: uint8 (bars, T) each."""
    keys = song_keys(settings.seed, range(1, len(songs) + 1))
    return model.composer.go_on([song.before for song in songs], keys, len(songs[0].after), settings)


def render_alike(songs: Sequence[np.ndarray], quarters_per_minute: float) -> list[bytes]:
    """A WAV file of each song, uint8 (n, T), with equal loudness: the root mean square of what is not silence.

    The level is the highest at which no clip comes closer than 10 % to full scale. A silent song stays silent.
    """
    files = [render_wav(bars, quarters_per_minute) for bars in songs]
    sounds = [np.frombuffer(file, "<i2", offset=_HEADER).astype(np.float64) for file in files]
    loudness = [np.sqrt(np.mean(sound[sound != 0] ** 2)) if sound.any() else 0.0 for sound in sounds]
    highest = [_PEAK * rms / np.abs(sound).max() for sound, rms in zip(sounds, loudness, strict=True) if rms]
    level = min(highest, default=0.0)
    return [
        file[:_HEADER] + np.rint(sound * (level / rms if rms else 0.0)).astype("<i2").tobytes()
        for file, sound, rms in zip(files, sounds, loudness, strict=True)
    ]
