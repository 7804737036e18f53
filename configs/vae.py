"""The bar VAE (thesis 4.4, 5.4.1, 6.2).

    python -m mcvae_jax.main --config=configs/vae.py                   built-in fiddle tunes, a laptop
    python -m mcvae_jax.main --config=configs/vae.py:smoke             our own 23 tunes, under a minute
    python -m mcvae_jax.main --config=configs/vae.py:thesis            the sizes and rates of the thesis
    python -m mcvae_jax.main --config=configs/vae.py:accelerator       a GPU or TPU
    python -m mcvae_jax.main --config=configs/vae.py --config.corpus.source=FOLDER --workdir=DIR   your own music

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
        raise ValueError(f"vae has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "vae"
    config.seed = 0  # of parameters, batches and noise

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()

    config.data = data = ml_collections.ConfigDict()
    data.sampler = "bar"  # 'bar': every bar once an epoch; 'song': every song as likely, whatever its length (thesis 7)
    data.lowest_shift = -5  # transposition in semitones, drawn anew for each song and epoch
    data.highest_shift = 6
    data.min_pitch = 0  # no shift takes a song out of these bounds
    data.max_pitch = 127

    config.model = model = ml_collections.ConfigDict()
    model.units = 256  # of every LSTM layer and direction
    model.latent = 32  # dimensions of z
    model.layers = 2
    model.merge = "add"  # the encoder's four final states are added (thesis 3.1.4), or 'concat'
    model.encoding = "steps"  # 'steps': 16 tokens a bar (thesis); 'events': (token, duration) of each event (8.3.1)
    model.min_pitch = 0  # pitches outside have probability 0 (thesis 7.2: 21 to 108); bound corpus and data alike
    model.max_pitch = 127
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.inputs = 0.0  # share of the encoder's tokens that is dropped
    dropout.words = 0.0  # share of the decoder's previous tokens that is dropped
    dropout.gates = 0.0  # share of the squash gates that is dropped (thesis 4.4.8)

    config.loss = loss = ml_collections.ConfigDict()
    loss.kind = "beta"  # 'beta': reconstruction + beta * KL; 'capacity': + gamma * |KL - C| (thesis 4.14)
    loss.beta = 0.5  # the final weight of the KL; chosen by the whole-song bound (docs/results.md)
    loss.beta_schedule = "linear"  # 'constant', 'linear', 'exponential' (MusicVAE), 'cyclical'
    loss.beta_steps = 2500  # linear: length of the rise; cyclical: length of a cycle
    loss.beta_rate = 0.99999  # exponential: beta * (1 - beta_rate ** step)
    loss.gamma = 1.0  # capacity: weight of the distance
    loss.capacity = 25.0  # capacity: the final C, nats per bar
    loss.capacity_steps = 1  # capacity: C rises from 0 over this many steps
    loss.free_bits = "none"  # 'none', 'per_bar' (MusicVAE), 'per_dim' (Kingma 2016)
    loss.free_nats = 0.0  # lambda: nats per bar or per dimension

    config.token_weights = weights = ml_collections.ConfigDict()
    weights.note = 1.0  # weights of the tokens in the training loss alone (thesis 7.3), never in a reported bound
    weights.note_off = 1.0
    weights.no_event = 1.0

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=4e-3)
    config.train = train = COMMON["train"]()

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.bars = 4096  # a sample of so many held-out bars is scored while training; at the end all are
    held_out.importance_samples = 64  # draws for each bar of the importance-weighted bound
    held_out.importance_bars = 512  # a sample of so many held-out bars

    if preset == "thesis":  # its text and notebooks
        corpus.bars = "fixed16"
        data.lowest_shift = data.highest_shift = 0
        model.units = 512
        model.latent = 64
        dropout.inputs = 0.3
        loss.beta = 0.2
        loss.beta_schedule = "constant"
        optimizer.learning_rate = 1e-4
        optimizer.schedule = "constant"
        optimizer.warmup_steps = 0
        optimizer.amsgrad = True
        train.steps = 100_000
    elif preset == "smoke":
        corpus.source = "tunes"
        model.units = 64
        model.latent = 16
        loss.beta_steps = 300
        optimizer.learning_rate = 1e-2
        optimizer.decay_steps = 400
        optimizer.warmup_steps = 20
        train.steps = 400
        train.batch_size = 32
        train.eval_every = train.save_every = 100
        held_out.importance_samples = 8
    elif preset == "accelerator":
        model.units = 512
        loss.beta_steps = 15_000
        optimizer.learning_rate = 2e-3
        optimizer.warmup_steps = 500
        optimizer.decay_steps = 20_000
        train.steps = 20_000
        train.batch_size = 1024
        train.eval_every = train.save_every = 1000
    return config
