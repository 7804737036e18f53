"""The denoiser: a transformer over the bars of a window, each of which sees all others.

It reads the noised latents, how much noise there is, and where the window lies in its song: the number of each bar in
its phrase, and which bars are the first and the last of the song. Distances it knows by rotary positions.

Letters: B windows, N bars, Z latent size, H units, L layers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models.latent_windows import Place
from mcvae_jax.models.notes import PHRASE
from mcvae_jax.nn.layers import Dense
from mcvae_jax.nn.transformer import Block, both_ways

Array = jax.Array

WAVES = 32  # of the log SNR, as many sines as cosines
SLOWEST, FASTEST = 0.1, 10.0  # radians for each nat of it


class Denoiser(nn.Module):
    """The network."""

    latent: int
    units: int = 128
    layers: int = 4
    heads: int = 2
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    def setup(self) -> None:
        init = nn.initializers.normal(0.5)
        self.read = Dense(self.units, self.dtype)
        self.of_noise = [Dense(self.units, self.dtype) for _ in range(2)]
        self.phrase = self.param("phrase", init, (PHRASE, self.units))
        self.edges = self.param("edges", init, (2, self.units))
        self.blocks = [Block(self.units, self.heads, self.dtype) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.said = Dense(self.latent, self.dtype)

    def denoise(self, x: Array, log_snr: Array, place: Place, hidden: Array | None = None) -> Array:
        """v (B, N, Z) of x_t (B, N, Z) with noise log_snr (B,); see process.py.

        Args:
          hidden: masks of dropout of what each layer adds, (B, L, N, H).
        """
        number = jnp.arange(x.shape[1])
        known = place.known(x.shape[1])
        of_song = place.first[:, None] + number
        is_first = (of_song == 0)[..., None]
        is_last = ((number == place.bars[:, None] - 1) & (place.ends[:, None] > 0))[..., None]
        h = self.read(jnp.where(known[..., None], x, 0.0)) + self.phrase[of_song % PHRASE]
        h = h + is_first * self.edges[0] + is_last * self.edges[1]
        h = h + self.of_noise[1](nn.gelu(self.of_noise[0](_waves(log_snr))))[:, None]
        return self.said(self.norm(both_ways(self.blocks, h, known, hidden)))


def _waves(log_snr: Array) -> Array:
    """(B,) -> (B, 2 * WAVES)."""
    speed = jnp.geomspace(SLOWEST, FASTEST, WAVES)
    angle = log_snr[:, None] * speed
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
