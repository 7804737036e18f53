"""The denoiser: a transformer over the bars of a window (models/window_network.py) that knows how much noise there is.

Letters: B windows, N bars, Z latent size, H units, L layers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models.latent_windows import Place
from mcvae_jax.models.window_network import WindowNetwork
from mcvae_jax.nn.layers import Dense

Array = jax.Array

WAVES = 32  # of the log SNR, as many sines as cosines
SLOWEST, FASTEST = 0.1, 10.0  # radians for each nat of it


class Denoiser(WindowNetwork):
    """The network."""

    def setup(self) -> None:
        super().setup()
        self.of_noise = [Dense(self.units, self.dtype) for _ in range(2)]

    def denoise(self, x: Array, log_snr: Array, place: Place, hidden: Array | None = None) -> Array:
        """v (B, N, Z) of x_t (B, N, Z) with noise log_snr (B,); see process.py.

        Args:
          hidden: masks of dropout of what each layer adds, (B, L, N, H).
        """
        noise = self.of_noise[1](nn.gelu(self.of_noise[0](_waves(log_snr))))
        return self.see(x, place, noise[:, None], hidden)


def _waves(log_snr: Array) -> Array:
    """(B,) -> (B, 2 * WAVES)."""
    speed = jnp.geomspace(SLOWEST, FASTEST, WAVES)
    angle = log_snr[:, None] * speed
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
