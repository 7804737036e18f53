"""The whole MCVAE (thesis 5.4): corpus, bar VAE, latents, MDRNN, songs, and a page to hear and see them.

    python -m mcvae_jax.main --config=configs/mcvae.py                 built-in fiddle tunes, a laptop
    python -m mcvae_jax.main --config=configs/mcvae.py:smoke           our own 23 tunes, under two minutes
    python -m mcvae_jax.main --config=configs/mcvae.py:thesis          the sizes and rates of the thesis
    python -m mcvae_jax.main --config=configs/mcvae.py:accelerator     a GPU or TPU
    python -m mcvae_jax.main --config=configs/mcvae.py --config.vae.corpus.source=FOLDER --workdir=DIR   your own music

`config.vae` is what configs/vae.py declares and `config.mdrnn` what configs/mdrnn.py does, without its vae_workdir,
each with the same preset. With --config.prior=transformer_prior the model of `config.transformer_prior` is the prior.
Every field can be changed on the command line: --config.mdrnn.train.steps=3000.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "thesis", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"mcvae has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "mcvae"
    config.prior = "mdrnn"  # over the latents: 'mdrnn', 'transformer_prior'; each has its section
    for model in ("vae", "mdrnn", "transformer_prior"):
        file = runpy.run_path(str(Path(__file__).with_name(f"{model}.py")))
        config[model] = file["get_config"](preset if preset in file["PRESETS"] else "default")
    del config.mdrnn.vae_workdir, config.transformer_prior.vae_workdir  # it is always the VAE of the same workdir

    config.songs = songs = COMMON["demo_songs"]()
    if preset == "smoke":
        songs.composed = songs.continued = 2
    return config
