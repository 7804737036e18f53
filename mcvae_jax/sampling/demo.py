"""What a trained MCVAE composes by itself: songs from nothing, and held-out songs continued. The last stage of main."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.corpus.sources import printable
from mcvae_jax.corpus.store import HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.sampling.modes import compose, continue_
from mcvae_jax.sampling.results import check_folder, write_results
from mcvae_jax.sampling.seeds import Seed
from mcvae_jax.sampling.settings import Settings
from mcvae_jax.sampling.song import Setting
from mcvae_jax.trained import Composer, open_corpus
from mcvae_jax.workdir import read_json

Say = Callable[[str], None]


def check_settings(config: Any) -> None:
    """UserError for a field of config.songs that cannot work."""
    _sampling_settings(config)
    for name in ("composed", "continued"):
        if config[name] < 0:
            raise UserError(f"config.songs.{name} is {config[name]}; it must be 0 or more")
    if config.composed + config.continued < 1:
        raise UserError("config.songs.composed and continued are both 0; ask for one song at least")
    if min(config.seed_bars, config.bars) < 1:
        raise UserError("config.songs.seed_bars and bars must be at least 1")


def write_demo(composer: Composer, config: Any, folder: Path, say: Say) -> Path:
    """Writes the songs of config.songs with their page; does nothing where these very songs stand there already.

    Args:
      composer: both models.
      config: composed, continued, seed_bars, bars, and the fields of `Settings`, see configs/mcvae.py.
      folder: of the songs.
      say: takes lines for the user.

    Returns:
      The page.
    """
    page = folder / "index.html"
    about = {
        "VAE": f"{composer.vae.folder}, step {composer.vae.step}, {composer.vae.identity[:12]}",
        "MDRNN": f"{composer.mdrnn.folder}, step {composer.mdrnn.step}, {composer.mdrnn.identity[:12]}",
        "corpus": composer.vae.record.data["identity"][:12],
        **config.to_dict(),
    }
    if page.is_file() and read_json(folder / "songs.json").get("about") == about:
        say(f"{folder} is done.")
        return page
    check_folder(folder)
    settings = _sampling_settings(config)
    songs = []
    if config.continued:
        seeds = held_out_seeds(open_corpus(composer.vae), config.continued, config.seed_bars)
        songs += continue_(composer, seeds, config.bars, songs=1, settings=settings, say=say)
    if config.composed:
        songs += compose(composer, config.composed, config.bars, settings, first=len(songs) + 1, say=say)
    write_results(folder, songs, "Songs of the MCVAE", about, say)
    return page


def held_out_seeds(corpus: Corpus, count: int, bars: int) -> list[Seed]:
    """The first bars of held-out songs, which are spread evenly over those that are longer than that."""
    songs = [i for i in corpus.songs(HELD_OUT) if corpus.lengths[i] > bars]
    if not songs:
        raise UserError(f"no held-out song of {corpus.folder} is longer than {bars} bars; lower config.songs.seed_bars")
    chosen = np.unique(np.linspace(0, len(songs) - 1, min(count, len(songs))).astype(np.int64))
    records = corpus.records()
    seeds = []
    for i in (songs[n] for n in chosen):
        title = printable(records[i]["title"] or Path(records[i]["name"]).stem)
        seeds.append(Seed(np.array(corpus.song(i)[:bars]), Setting(), title, int(corpus.lengths[i]), ()))
    return seeds


def _sampling_settings(config: Any) -> Settings:
    return Settings(**{field.name: config[field.name] for field in dataclasses.fields(Settings)})
