"""The one folder for what is kept between runs and can be had again: tunes as they were read, downloads."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """MCVAE_CACHE, or else mcvae_jax in XDG_CACHE_HOME or ~/.cache; it need not be there."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MCVAE_CACHE") or Path(home) / "mcvae_jax")
