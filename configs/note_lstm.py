"""An LSTM over the notes of whole songs (thesis 1.1.5, 1.1.6): a rival of the MCVAE with an exact likelihood.

    python -m mcvae_jax.main --config=configs/note_lstm.py                 built-in fiddle tunes, a laptop
    python -m mcvae_jax.main --config=configs/note_lstm.py:smoke           our own 23 tunes, under a minute
    python -m mcvae_jax.main --config=configs/note_lstm.py:accelerator     a GPU or TPU
    python -m mcvae_jax.main --config=configs/note_lstm.py --config.corpus.source=FOLDER --workdir=DIR   your own music

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
        raise ValueError(f"configs/note_lstm.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "note_lstm"
    config.seed = 0  # of parameters, batches and noise

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = data = COMMON["songs"](window=32)

    config.model = model = ml_collections.ConfigDict()
    model.units = 256  # of every LSTM layer
    model.layers = 2
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.hidden = 0.2  # share of every layer's outputs that is dropped

    config.optimizer = COMMON["optimizer"](learning_rate=4e-3, decay_steps=1500)
    config.train = COMMON["train"](steps=1500, batch_size=16, eval_every=250, save_every=250)  # 16 songs

    if preset == "smoke":
        corpus.source = "tunes"
        COMMON["smoke_songs"](config)
        data.window = 16
        model.units = 64
        dropout.hidden = 0.0
    elif preset == "accelerator":
        data.window = 64
        model.units = 512
        COMMON["accelerated_songs"](config, batch_size=64)
    return config
