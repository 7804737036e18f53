"""A diffusion model over the latents of bars (Mittal et al. 2021), for composing and infilling. It needs a trained VAE.

    mcvae train --config=diffusion_prior                  on runs/vae-default
    mcvae train --config=diffusion_prior:smoke            on runs/vae-smoke, in seconds
    mcvae train --config=diffusion_prior:accelerator      a GPU or TPU
    mcvae train --config=diffusion_prior --config.vae_workdir=DIR --workdir=DIR2     on another VAE

Every field can be changed on the command line: --config.sampler.steps=50.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/diffusion_prior.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "diffusion_prior"
    config.vae_workdir = f"runs/vae-{preset}"  # the VAE whose latents are learnt: its best checkpoint
    config.corpus_folder = ""  # '' is the corpus on which the VAE was trained, where its training found it
    config.seed = 0  # of parameters, batches and noise

    config.data = data = COMMON["songs"](window=36)  # bars that see each other; longer songs are windows of so many

    config.model = model = ml_collections.ConfigDict()
    model.units = 128  # of every layer, a multiple of twice the heads
    model.layers = 4
    model.heads = 4  # of attention
    model.levels = 20_000  # of noise, evenly in log SNR: many cost nothing and make the bound tight
    model.weighting = "even"  # levels that training draws: 'even' minimises the bound, 'cosine' hears the middle more
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.sampler = sampler = ml_collections.ConfigDict()  # what its songs are drawn with, also later
    sampler.steps = 100  # of the levels
    sampler.repeats = 4  # of each step where bars are given, so that those drawn fit them (RePaint); 1 is plain
    sampler.eta = 1.0  # noise of each step: 1 is ancestral sampling (DDPM), 0 none (DDIM)

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.hidden = 0.1  # share that is dropped of what every layer adds

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=2e-3, decay_steps=3000)
    config.train = COMMON["train"](steps=3000, batch_size=32, eval_every=500, save_every=500)  # 32 windows

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.draws = 4  # draws of z and of levels over which the bound at the end is averaged

    if preset == "smoke":
        COMMON["smoke_songs"](config)
        optimizer.learning_rate = 3e-3
        model.update(units=64, layers=2, heads=2)
        sampler.update(steps=25, repeats=2)
        dropout.hidden = 0.0
    elif preset == "accelerator":
        data.window = 64
        model.update(units=384, layers=8, heads=6)
        optimizer.learning_rate = 1e-3
        COMMON["accelerated_songs"](config, batch_size=128)
    return config
