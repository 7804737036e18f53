"""MusicVAE (Roberts et al. 2018): windows of 16 bars with one latent vector each, written bar by bar by a conductor.

    mcvae train --config=music_vae                 built-in fiddle tunes, a laptop
    mcvae train --config=music_vae:flat            the same with the flat decoder, which writes all tokens in a row
    mcvae train --config=music_vae:smoke           our own 23 tunes, in a minute
    mcvae train --config=music_vae:accelerator     a GPU or TPU
    mcvae train --config=music_vae --config.corpus.source=FOLDER --workdir=DIR   your own music

Every field can be changed on the command line: --config.model.latent=128.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "flat", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/music_vae.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "music_vae"
    config.seed = 0  # of parameters, batches and noise

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = data = COMMON["songs"]()
    del data["window"]  # it is model.bars: of each song and epoch one window, which begins at any bar

    config.model = model = ml_collections.ConfigDict()
    model.decoder = "flat" if preset == "flat" else "conductor"
    model.bars = 16  # of a window
    model.latent = 64  # dimensions of z (paper: 512)
    model.layers = 2  # of the encoder, of the conductor and of the decoder
    model.encoder_units = 128  # in each direction (paper: 2048)
    model.conductor_units = 128  # and the width of the embedding of a bar (paper: 1024 and 512)
    model.units = 192  # of the decoder (paper: 1024)
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.hidden = 0.2  # share of the outputs of every layer of the decoder that is dropped

    config.loss = loss = ml_collections.ConfigDict()  # nats per bar; see configs/vae.py
    loss.kind = "beta"  # or 'capacity'
    loss.beta = 1.0  # the final weight of the KL (paper: 0.2)
    loss.beta_schedule = "linear"  # 'constant', 'linear', 'exponential' (paper), 'cyclical'
    loss.beta_steps = 300  # linear: length of the rise; cyclical: length of a cycle
    loss.beta_rate = 0.99999  # exponential: beta * (1 - beta_rate ** step)
    loss.gamma = 1.0  # capacity: weight of the distance
    loss.capacity = 2.0  # capacity: the final C
    loss.capacity_steps = 1  # capacity: C rises from 0 over this many steps
    loss.free_bits = "per_bar"  # 'none', 'per_bar' (paper), 'per_dim'
    loss.free_nats = (
        1.0  # in the mean over the bars of a window (paper: 256 bits of 16 bars are 11.1; 48 of 2 are 16.6)
    )

    config.scheduled_sampling = sampling = ml_collections.ConfigDict()
    sampling.rate = (
        0.0  # k of k / (k + exp(step / k)), the share of true tokens read (paper: 2000 for 2 bars); 0 is off
    )

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=4e-3, decay_steps=1500)
    config.train = COMMON["train"](steps=1500, batch_size=32, eval_every=250, save_every=250)  # 32 windows

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.draws = 4  # over which the bound of held-out songs is averaged

    if preset == "smoke":
        corpus.source = "tunes"
        COMMON["smoke_songs"](config)
        model.update(latent=16, layers=1, encoder_units=32, conductor_units=32, units=64)
        loss.beta_steps = 100
        dropout.hidden = 0.0
    elif preset == "accelerator":
        model.update(latent=256, encoder_units=512, conductor_units=512, units=512)
        loss.beta_steps = 2000
        optimizer.learning_rate = 1e-3
        COMMON["accelerated_songs"](config, batch_size=256)
    return config
