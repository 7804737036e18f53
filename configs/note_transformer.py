"""A transformer over the notes of whole songs: a rival of the MCVAE with an exact likelihood, which can copy.

    mcvae train --config=note_transformer                 built-in fiddle tunes, a laptop
    mcvae train --config=note_transformer:smoke           our own 23 tunes, about a minute
    mcvae train --config=note_transformer:accelerator     a GPU or TPU
    mcvae train --config=note_transformer --config.corpus.source=FOLDER --workdir=DIR   your own music

Every field can be changed on the command line: --config.model.memory=64.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/note_transformer.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "note_transformer"
    config.seed = 0  # of parameters, batches and noise

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = data = COMMON["songs"](window=32)

    config.model = model = ml_collections.ConfigDict()
    model.units = 128  # of every layer, a multiple of twice the heads
    model.layers = 5
    model.heads = 2  # of attention; its time on a CPU grows with them
    model.memory = 32  # bars that attention reaches back; time and memory of training grow with it
    model.matmul_dtype = "auto"  # of products: 'bfloat16' where the device is faster with it, else 'float32'

    config.dropout = dropout = ml_collections.ConfigDict()
    dropout.hidden = 0.2  # share that is dropped of what every layer adds

    config.optimizer = optimizer = COMMON["optimizer"](learning_rate=2e-3, decay_steps=1500)
    config.train = COMMON["train"](steps=1500, batch_size=16, eval_every=250, save_every=250)  # 16 songs

    if preset == "smoke":
        corpus.source = "tunes"
        COMMON["smoke_songs"](config)
        data.window = model.memory = 16
        model.update(units=64, layers=2)
        dropout.hidden = 0.0
    elif preset == "accelerator":
        data.window = model.memory = 64
        model.update(units=384, layers=8, heads=6)
        optimizer.learning_rate = 1e-3
        COMMON["accelerated_songs"](config, batch_size=32)
    return config
