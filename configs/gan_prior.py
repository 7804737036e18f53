"""A generative adversarial network over the latents of bars (thesis 4.3). It needs a trained VAE, has no likelihood.

    mcvae train --config=gan_prior                  on runs/vae-default
    mcvae train --config=gan_prior:smoke            on runs/vae-smoke, in seconds
    mcvae train --config=gan_prior:accelerator      a GPU or TPU
    mcvae train --config=gan_prior --config.vae_workdir=DIR --workdir=DIR2     on another VAE

Every field can be changed on the command line: --config.loss.gamma=0.1.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/gan_prior.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "gan_prior"
    config.vae_workdir = f"runs/vae-{preset}"  # the VAE whose latents are learnt: its best checkpoint
    config.corpus_folder = ""  # '' is the corpus on which the VAE was trained, where its training found it
    config.seed = 0  # of parameters, batches and noise

    config.data = data = COMMON["songs"](window=36)  # bars that see each other; longer songs are windows of so many

    config.model = model = ml_collections.ConfigDict()
    model.units = 128  # of every layer of both networks, a multiple of twice the heads
    model.layers = 4
    model.heads = 4  # of attention
    model.matmul_dtype = "auto"  # of the generator's products ('bfloat16' where that is faster); the critic's: float32

    config.loss = loss = ml_collections.ConfigDict()
    loss.gamma = 1.0  # weight of the penalty on the critic's slope at real windows (R1)

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=3e-4, decay_steps=3000)
    optimizer.b1, optimizer.b2 = 0.0, 0.99  # the other side moves, so that no momentum is kept
    config.train = COMMON["train"](steps=3000, batch_size=32, eval_every=500, save_every=500)  # 32 windows

    if preset == "smoke":
        COMMON["smoke_songs"](config)
        optimizer.learning_rate = 1e-3
        model.update(units=64, layers=2, heads=2)
    elif preset == "accelerator":
        data.window = 64
        model.update(units=384, layers=8, heads=6)
        COMMON["accelerated_songs"](config, batch_size=128)
    return config
