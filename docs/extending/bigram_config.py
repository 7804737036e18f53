"""A model of tokens: python -m mcvae_jax.main --config=mine/bigram_config.py:smoke"""

from mcvae_jax.options import load_config


def get_config(preset="default"):
    """Corpus, data, optimiser and training as in the config vae."""
    config = load_config(f"vae:{preset}")
    config.task = "bigram:KIND"
    config.optimizer.learning_rate = 0.1
    for section in ("model", "dropout", "loss", "token_weights", "held_out"):
        del config[section]
    return config
