"""The musical dice game (thesis 1.1.1): for each bar of the phrase a random bar of the corpus; nothing is learnt.

    mcvae train --config=dice                 built-in fiddle tunes
    mcvae train --config=dice:smoke           our own 23 tunes, seconds
    mcvae train --config=dice --config.corpus.source=FOLDER --workdir=DIR   your own music

The preset `accelerator` is the default one: there is nothing to accelerate.
"""

import runpy
from pathlib import Path

import ml_collections

COMMON = runpy.run_path(str(Path(__file__).with_name("common.py")))  # found wherever the program is started
PRESETS = ("default", "smoke", "accelerator")


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The config of one of PRESETS; ValueError for any other name."""
    if preset not in PRESETS:
        raise ValueError(f"configs/dice.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "dice"
    config.seed = 0  # nothing is drawn; of other models it decides the parameters

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = COMMON["lengths"]()

    config.model = model = ml_collections.ConfigDict()
    model.phrase = 8  # bars; each place in it has a table of its own

    if preset == "smoke":
        corpus.source = "tunes"
        model.phrase = 4
    return config
