"""The MDRNN over the latent sequences of songs (thesis 3.2, 5.4.2, 6.3). It needs a trained VAE.

    python -m mcvae_jax.main --config=configs/mdrnn.py                       on runs/vae-default
    python -m mcvae_jax.main --config=configs/mdrnn.py:smoke                 on runs/vae-smoke, in seconds
    python -m mcvae_jax.main --config=configs/mdrnn.py:thesis                the sizes and rates of the thesis
    python -m mcvae_jax.main --config=configs/mdrnn.py:accelerator           a GPU or TPU
    python -m mcvae_jax.main --config=configs/mdrnn.py --config.vae_workdir=DIR --workdir=DIR2     on another VAE

Every field can be changed on the command line: --config.model.units=512.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "thesis", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"mdrnn has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "mdrnn"
    config.vae_workdir = f"runs/vae-{preset}"  # the VAE whose latents are learnt: its best checkpoint
    config.corpus_folder = ""  # '' is the corpus on which the VAE was trained, where its training found it
    config.seed = 0  # of parameters, batches and noise

    config.data = data = COMMON["songs"]()
    data.draw = "q"  # z is drawn from q anew each time; 'mu': z = mu, where only model.floor bounds the likelihood
    data.standardise = True  # latents, by their mean and standard deviation over the training bars

    config.model = model = ml_collections.ConfigDict()
    model.units = 256  # of every LSTM layer
    model.layers = 2
    model.components = 10  # Gaussians of the mixture
    model.recall = 4  # components that recall earlier bars; 0 is the MDRNN of the thesis
    model.memory = 128  # bars that they look back
    model.floor = 1e-3  # of the standard deviations, in units of the standardised latents
    model.per_dimension = False  # a mixture for each dimension by itself (World Models); needs recall = 0
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.inputs = 0.0  # share of the latent vectors read that is dropped
    dropout.hidden = 0.2  # share of every layer's outputs that is dropped
    dropout.gates = 0.0  # share of the squash gates that is dropped (thesis 4.4.8)

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=2e-3, warmup_steps=50, decay_steps=1500)
    config.train = train = COMMON["train"](steps=1500, batch_size=16, eval_every=250, save_every=250)  # 16 songs

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.draws = 4  # draws of z over which the whole-song bound at the end is averaged

    if preset == "thesis":  # its text and notebooks
        data.window = 16
        data.lowest_shift = data.highest_shift = 0
        data.standardise = False
        model.units = 512
        model.recall = 0
        dropout.hidden = 0.0
        optimizer.learning_rate = 1e-4
        optimizer.schedule = "constant"
        optimizer.warmup_steps = 0
        train.steps = 20_000
        train.batch_size = 64
        train.eval_every = train.save_every = 1000
    elif preset == "smoke":
        COMMON["smoke_songs"](config)
        model.units = 64
        model.components = 5
        model.recall = 2
    elif preset == "accelerator":
        model.units = 512
        COMMON["accelerated_songs"](config, batch_size=64)
    return config
