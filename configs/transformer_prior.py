"""A transformer over the latent sequences of songs, in the MDRNN's place. It needs a trained VAE.

    mcvae train --config=transformer_prior                       on runs/vae-default
    mcvae train --config=transformer_prior:smoke                 on runs/vae-smoke, in seconds
    mcvae train --config=transformer_prior:accelerator           a GPU or TPU
    mcvae train --config=transformer_prior --config.vae_workdir=DIR --workdir=DIR2     on another VAE

Every field can be changed on the command line: --config.model.units=192.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"transformer_prior has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "transformer_prior"
    config.vae_workdir = f"runs/vae-{preset}"  # the VAE whose latents are learnt: its best checkpoint
    config.corpus_folder = ""  # '' is the corpus on which the VAE was trained, where its training found it
    config.seed = 0  # of parameters, batches and noise

    config.data = data = COMMON["songs"]()
    data.draw = "q"  # z is drawn from q anew each time; 'mu': z = mu, where only model.floor bounds the likelihood
    data.standardise = True  # latents, by their mean and standard deviation over the training bars

    config.model = model = ml_collections.ConfigDict()
    model.units = 128  # of every layer, a multiple of twice the heads
    model.layers = 5
    model.heads = 4  # of attention
    model.memory = 128  # bars that attention sees
    model.components = 10  # Gaussians of the mixture
    model.floor = 1e-3  # of the standard deviations, in units of the standardised latents
    model.per_dimension = False  # a mixture for each dimension by itself (World Models)
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.inputs = 0.0  # share of the latent vectors read that is dropped
    dropout.hidden = 0.2  # share that is dropped of what every layer adds

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=2e-3, decay_steps=1500)
    config.train = COMMON["train"](steps=1500, batch_size=16, eval_every=250, save_every=250)  # 16 songs

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.draws = 4  # draws of z over which the whole-song bound at the end is averaged

    if preset == "smoke":
        COMMON["smoke_songs"](config)
        model.update(units=64, layers=2, components=5)
        dropout.hidden = 0.0
    elif preset == "accelerator":
        model.update(units=384, layers=8, heads=6)
        optimizer.learning_rate = 1e-3
        COMMON["accelerated_songs"](config, batch_size=64)
    return config
