"""The config mdrnn with another prior: python -m mcvae_jax.main --config=mine/ar_config.py:smoke"""

from mcvae_jax.options import load_config


def get_config(preset="default"):
    """The config of a preset of mdrnn; this prior has nothing to be set."""
    config = load_config(f"mdrnn:{preset}")
    config.task = "ar_prior:KIND"
    config.model = {}
    config.dropout = {}
    return config
