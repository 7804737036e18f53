"""A model of tokens: python -m mcvae_jax.main --config=mine/bigram_config.py:smoke"""

from configs.vae import get_config as vae_config


def get_config(preset="default"):
    """Corpus, data, optimiser and training as in configs/vae.py."""
    config = vae_config(preset)
    config.task = "bigram:KIND"
    config.optimizer.learning_rate = 0.1
    for section in ("model", "dropout", "loss", "token_weights", "held_out"):
        del config[section]
    return config
