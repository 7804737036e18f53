"""A bar VAE with an adversarial prior over its latents as a `SongModel`: it composes, and has no likelihood.

Nothing says what a song costs under it, so that it has no bits, no copy switch, and no several draws of which the
likeliest stays; what can be compared are its songs.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from mcvae_jax.models.gan.prior import GANPrior
from mcvae_jax.models.latent_windows import InWindows, Place
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import FILL, MEMORY, NO_LIKELIHOOD, Songs

Array = jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class GANComposer(InWindows):
    """See the module."""

    prior: GANPrior
    name: str = "VAE and GAN"
    prior_name: str = "GAN"
    defaults: Settings = Settings(tau_sigma=1.0)

    likelihood = NO_LIKELIHOOD
    abilities = frozenset({MEMORY, FILL})

    def drawn(self, z: np.ndarray, known: np.ndarray, place: Place, keys: Array, settings: Settings) -> Array:
        """See `InWindows`; tau_sigma multiplies the variance of the noise."""
        return _sample(self.prior, self.params, z, known, place, keys, np.float32(settings.tau_sigma))

    def nats(self, songs: Songs, draws: int = 1, seed: int = 0) -> list[np.ndarray]:
        """There are none."""
        raise ValueError("a GAN has no likelihood")


@functools.partial(jax.jit, static_argnums=0)
def _sample(prior: GANPrior, params: Any, z: Array, known: Array, place: Place, keys: Array, spread: Array) -> Array:
    return prior.sample(params, z, known, place, keys, spread)
