"""configs/mdrnn.py with another prior: python -m mcvae_jax.main --config=docs/extending/ar_config.py:smoke"""

import runpy
from pathlib import Path

MDRNN = Path(__file__).parents[2] / "configs" / "mdrnn.py"


def get_config(preset="default"):
    """The config of a preset of configs/mdrnn.py; its model has nothing to be set."""
    config = runpy.run_path(str(MDRNN))["get_config"](preset)
    config.task = "ar_prior:KIND"
    config.model = {}
    config.dropout = {}
    return config
