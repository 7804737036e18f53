"""What a trained MCVAE composes by itself: songs from nothing, and held-out songs continued. The end of main."""

import contextlib
import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.command import check_range
from mcvae_jax.corpus.metres import song_metre
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import SongModel, main_origin
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.numbering import numbers_of
from mcvae_jax.sampling import results
from mcvae_jax.sampling.modes import compose, continue_
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.song import ComposedSong, Setting
from mcvae_jax.text import printable
from mcvae_jax.trained import open_corpus

Say = Callable[[str], None]

PAGE = "index.html"  # in the folder of the songs
LATER = {"repetition": Settings.repetition}  # facts that earlier songs do not tell, as they held then
OWN_FIELDS = ("composed", "continued", "seed_bars", "bars")  # of config.songs; the others are those of `Settings`
FIELDS = dict.fromkeys(OWN_FIELDS, int) | {field.name: field.type for field in dataclasses.fields(Settings)}


def check_settings(config: Any) -> None:
    """UserError for a field of config.songs that cannot work."""
    _sampling_settings(config)
    for name, low, high in (
        ("composed", 0, 10_000),
        ("continued", 0, 10_000),
        ("seed_bars", 1, 1000),
        ("bars", 1, 1000),
    ):
        check_range(f"config.songs.{name}", config[name], low, high)
    if config.composed + config.continued < 1:
        raise UserError("config.songs.composed and continued are both 0; ask for one song at least")


def check_folder(folder: Path) -> None:
    """UserError where the songs may not be written there."""
    results.check_folder(folder, "move it away, or take another --workdir")


def is_written(model: SongModel, config: Any, folder: Path, say: Say) -> bool:
    """Whether the songs that `write_demo` would write stand there already, as they were written; damage is said."""
    written = results.read_written(folder, say)
    if written is None or written.unfinished or LATER | written.about != _about(model, config):
        return False
    damaged = written.damaged(folder)
    if damaged:
        say(f"{folder / damaged} is gone or damaged; the songs are made anew.")
    return not damaged


def make_songs(
    model: SongModel,
    config: Any,
    folder: Path,
    say: Say,
    corpus_folder: str = "",
    timed: AbstractContextManager | None = None,
) -> None:
    """`write_demo` where its songs do not stand there yet, inside `timed`."""
    if is_written(model, config, folder, say):
        say(f"{folder} is done. Nothing is left to do.")
    else:
        with timed or contextlib.nullcontext():
            write_demo(model, config, folder, say, corpus_folder)


def say_where(folder: Path, say: Say) -> None:
    """Where to listen to the songs of a folder."""
    say(f"Listen: open {folder / PAGE} in a browser.")


def write_demo(model: SongModel, config: Any, folder: Path, say: Say, corpus_folder: str = "") -> None:
    """Writes the songs of config.songs with their page.

    Args:
      model: the composer.
      config: composed, continued, seed_bars, bars, and the fields of `Settings`, see configs/mcvae.py.
      folder: of the songs.
      say: takes lines for the user.
      corpus_folder: of the held-out songs; '' is where its training found it.
    """
    check_folder(folder)
    settings = _sampling_settings(config)
    songs: list[ComposedSong] = []
    seeds: list[Seed] = []
    if config.continued:
        seeds = held_out_seeds(open_corpus(main_origin(model), corpus_folder), config.continued, config.seed_bars)
        if len(seeds) < config.continued:
            say(f"only {len(seeds)} held-out songs are longer than {config.seed_bars} bars and can be continued")
        continued = continue_(model, seeds, config.bars, songs=1, settings=settings, say=say)
        for seed, song in zip(seeds, continued, strict=True):
            songs += [song, real_continuation(seed, song, config.bars)]
    if config.composed:
        songs += compose(model, config.composed, config.bars, settings, first=len(seeds) + 1, say=say)
    results.write_results(folder, songs, "Composed songs", _about(model, config), say)


def held_out_seeds(corpus: Corpus, count: int, bars: int) -> list[Seed]:
    """The first bars of held-out songs, which are spread evenly over those that are longer than that."""
    songs = [i for i in corpus.songs(HELD_OUT) if corpus.lengths[i] > bars]
    if not songs:
        raise UserError(
            f"no held-out song of {corpus.folder} is longer than {bars} bars; lower config.songs.seed_bars, or"
            " set config.songs.continued=0"
        )
    chosen = np.unique(np.linspace(0, len(songs) - 1, min(count, len(songs))).astype(np.int64))
    records = corpus.records()
    seeds = []
    for i in (songs[n] for n in chosen):
        title = printable(records[i]["title"] or Path(records[i]["name"]).stem)
        setting = Setting(metre=song_metre(records[i], corpus.steps_per_bar))
        read, rest = np.split(np.array(corpus.song(i)), [bars])
        numbers = numbers_of(setting.metre, grid_of(corpus.steps_per_bar))
        seed = Seed(read, setting, title, int(corpus.lengths[i]), (), (read[:0], rest), numbers)
        seeds.append(seed)
    return seeds


def real_continuation(seed: Seed, composed: ComposedSong, bars: int) -> ComposedSong:
    """How the tune of a seed really goes on for as many bars, to be heard beside the composed song."""
    tune = np.concatenate([seed.bars, seed.after[:bars]])
    sections = ((0, "given"), (len(seed.bars), "the tune itself"))
    name, title = composed.name.replace("continue", "original"), f"{seed.title}, as it really goes on"
    song = ComposedSong(name, title, tune, np.ones(len(tune), bool), seed.setting, {}, sections)
    return song._replace(numbers=seed.numbers)


def _about(model: SongModel, config: Any) -> dict[str, Any]:
    """All that the songs depend on, as JSON."""
    parts = {name: f"step {origin.step}, parameters {origin.identity[:12]}" for name, origin in model.origins.items()}
    return parts | {"corpus": main_origin(model).data["identity"][:12], **config.to_dict()}


def _sampling_settings(config: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in config.items() if name not in OWN_FIELDS})
    except UserError as error:
        raise UserError(f"config.songs.{error}") from error  # its lines start with the name of the field
