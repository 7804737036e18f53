"""A trained MCVAE, trained on in one piece: encoder, decoder and prior learn the whole-song bound together.

    mcvae train --config=end_to_end                       on runs/mcvae-default
    mcvae train --config=end_to_end:smoke                 on runs/mcvae-smoke, in a minute
    mcvae train --config=end_to_end --config.prior_workdir=DIR --workdir=DIR2     on another MCVAE

Every field can be changed on the command line: --config.optimizer.learning_rate=1e-4.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/end_to_end.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "end_to_end"
    config.prior_workdir = f"runs/mcvae-{preset}"  # of an MDRNN or transformer prior, or of configs/mcvae.py
    config.corpus_folder = ""  # '' is the corpus on which the VAE was trained, where its training found it
    config.seed = 0  # of batches and noise

    config.data = data = COMMON["songs"](window=32)

    config.loss = loss = ml_collections.ConfigDict()
    loss.beta = 1.0  # weight of the rate

    config.optimizer = COMMON["optimizer"](learning_rate=5e-4, final_learning_rate=5e-5, decay_steps=1000)
    config.train = COMMON["train"](steps=1000, batch_size=8, eval_every=250, save_every=250)  # 8 songs

    config.held_out = held_out = ml_collections.ConfigDict()
    held_out.draws = 4  # draws of z over which the whole-song bound at the end is averaged

    if preset == "smoke":
        COMMON["smoke_songs"](config)
        config.optimizer.learning_rate = 2e-3
        data.window = 16
    return config
