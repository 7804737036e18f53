"""The MCVAE in one piece: bars, latents and how they follow each other, trained together; it copies bars exactly.

    python -m mcvae_jax.main --config=configs/joint.py                 built-in fiddle tunes, a laptop
    python -m mcvae_jax.main --config=configs/joint.py:smoke           our own 23 tunes, under a minute
    python -m mcvae_jax.main --config=configs/joint.py:accelerator     a GPU or TPU
    python -m mcvae_jax.main --config=configs/joint.py --config.corpus.source=FOLDER --workdir=DIR   your own music

Every field can be changed on the command line: --config.model.units=512.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/joint.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "joint"
    config.seed = 0  # of parameters, batches and noise

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = data = COMMON["songs"](window=64, as_written=0.5)

    config.model = model = ml_collections.ConfigDict()
    model.latent = 16  # dimensions of z
    model.components = 8  # Gaussians of the mixture
    model.encoder_units = 128  # of the LSTM that reads bars, in each direction
    model.units = 256  # of every LSTM layer of the composer
    model.layers = 2  # of the composer
    model.decoder_units = 256  # of the LSTM that writes bars
    model.recall = 1  # heads that show the decoder earlier bars, beside the pointer of the copy switch
    model.memory = 128  # bars that all of them look back
    model.floor = 1e-2  # of the standard deviations of the mixture
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.codes = 0.2  # share of what the composer reads of bars that is dropped
    dropout.composer = 0.2  # share of the outputs of every layer of the composer
    dropout.decoder = 0.2  # share of the outputs of the decoder
    dropout.words = 0.0  # share of the tokens that the decoder reads

    config.loss = loss = ml_collections.ConfigDict()
    loss.beta = 1.0  # weight of the rate
    loss.beta_steps = 1  # over which it rises from 0
    loss.free_nats = 4.5  # of the mean rate of new bars, below which it costs nothing: else z falls into disuse
    loss.draws = 1  # of z of each new bar, whose mean weight counts (IWAE); more take time, and bound more tightly
    loss.told = 0.5  # share of the songs that are told how many bars are left, so that both can be composed

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=2e-3, decay_steps=1200)
    config.train = train = COMMON["train"](steps=1200, batch_size=16, eval_every=250, save_every=250)  # 16 songs

    config.songs = songs = COMMON["demo_songs"](seed_bars=8, temperature=0.7, tau_sigma=0.5)

    if preset == "smoke":
        songs.composed = songs.continued = 2
        corpus.source = "tunes"
        COMMON["smoke_songs"](config)
        data.window = 32
        model.encoder_units = 32
        model.units = model.decoder_units = 64
        model.latent = 8
        dropout.codes = dropout.composer = dropout.decoder = 0.0
    elif preset == "accelerator":
        model.units = 320
        model.decoder_units = 384
        dropout.codes = dropout.composer = dropout.decoder = 0.4
        optimizer.decay_steps = 5000
        train.steps = 5000
        train.eval_every = train.save_every = 500
    return config
