"""The whole MCVAE (thesis 5.4): corpus, bar VAE, latents, MDRNN, songs, and a page to hear and see them.

    python -m mcvae_jax.main --config=configs/mcvae.py                 built-in fiddle tunes, a laptop
    python -m mcvae_jax.main --config=configs/mcvae.py:smoke           our own 23 tunes, under two minutes
    python -m mcvae_jax.main --config=configs/mcvae.py:thesis          the sizes and rates of the thesis
    python -m mcvae_jax.main --config=configs/mcvae.py:accelerator     a GPU or TPU
    python -m mcvae_jax.main --config=configs/mcvae.py --config.vae.corpus.source=FOLDER --workdir=DIR   your own music

`config.vae` is what configs/vae.py declares and `config.mdrnn` what configs/mdrnn.py does, without its vae_workdir,
each with the same preset.
Every field can be changed on the command line: --config.mdrnn.train.steps=3000.
"""

import runpy
from pathlib import Path

import ml_collections

PRESETS = ("default", "thesis", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"mcvae has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "mcvae"
    for model in ("vae", "mdrnn"):
        config[model] = runpy.run_path(str(Path(__file__).with_name(f"{model}.py")))["get_config"](preset)
    del config.mdrnn.vae_workdir  # it is always the VAE of the same workdir

    config.songs = songs = ml_collections.ConfigDict()
    songs.composed = 4  # songs from nothing
    songs.continued = 6  # songs continued from held-out ones
    songs.seed_bars = 4  # bars of a held-out song that are given
    songs.bars = 24  # bars that are composed
    songs.temperature = 0.0  # of the tokens; 0 takes the likeliest
    songs.top_k = 0  # draw from the so many likeliest tokens alone; 0 is off
    songs.top_p = 1.0  # then from the likeliest that hold this share of the chance; 1 is off
    songs.tau_pi = 1.0  # divides the logits of the MDRNN's components; 0 takes the heaviest component
    songs.tau_sigma = 0.5  # multiplies the MDRNN's variances; 0 takes the component's mean
    songs.tau_recall = 0.0  # where the MDRNN recalls an earlier bar: 0 repeats it, 1 draws as the model says
    songs.repetition = 1.0  # multiplies the odds that a bar repeats an earlier one, of models that copy
    songs.seed = 0
    if preset == "smoke":
        songs.composed = songs.continued = 2
    return config
