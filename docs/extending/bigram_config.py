"""python -m mcvae_jax.main --config=docs/extending/bigram_config.py:smoke"""

import runpy
from pathlib import Path

VAE = Path(__file__).parents[2] / "configs" / "vae.py"


def get_config(preset="default"):
    """Corpus, data, optimiser and training as in configs/vae.py."""
    config = runpy.run_path(str(VAE))["get_config"](preset)
    config.task = "bigram:KIND"
    config.corpus_folder = "corpora/bigrams"
    config.optimizer.learning_rate = 0.1
    for section in ("model", "dropout", "loss", "token_weights", "held_out"):
        del config[section]
    return config
