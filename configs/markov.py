"""A Markov model of tokens (thesis 1.1.2): n-grams, counted in the training songs, with exact likelihoods.

    mcvae train --config=markov                 built-in fiddle tunes
    mcvae train --config=markov:smoke           our own 23 tunes, seconds
    mcvae train --config=markov --config.corpus.source=FOLDER --workdir=DIR   your own music

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
        raise ValueError(f"configs/markov.py has no preset {preset!r}; it has {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.task = "markov"
    config.seed = 0  # nothing is drawn; of other models it decides the parameters

    config.corpus_folder = ""  # where the corpus is kept; '' is corpora/, by its source and a hash of its settings
    config.corpus = corpus = COMMON["corpus"]()
    config.data = COMMON["lengths"]()

    config.model = model = ml_collections.ConfigDict()
    model.order = 8  # tokens of a gram: the chance of a token is that given order - 1 before it; 1 to 8
    model.smoothing = "kneser_ney"  # or 'witten_bell', 'add_one' (Laplace)
    model.all_keys = True  # every song is counted in all twelve keys

    if preset == "smoke":
        corpus.source = "tunes"
        model.order = 5
        model.all_keys = False
    return config
