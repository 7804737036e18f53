"""configs/mdrnn.py with another prior: python -m mcvae_jax.main --config=mine/ar_config.py:smoke"""

from configs.mdrnn import get_config as mdrnn_config


def get_config(preset="default"):
    """The config of a preset of configs/mdrnn.py; this prior has nothing to be set."""
    config = mdrnn_config(preset)
    config.task = "ar_prior:KIND"
    config.model = {}
    config.dropout = {}
    return config
