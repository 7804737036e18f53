"""A transformer over the bars of a window of latents, which see each other both ways, and know where they are.

Each bar knows its number in the phrase and whether it is the first or the last of its song, and distances by rotary
positions. What the network reads and says is the matter of who inherits this.

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


class WindowNetwork(nn.Module):
    """See the module."""

    latent: int
    units: int = 128
    layers: int = 4
    heads: int = 2
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    def setup(self) -> None:
        init = nn.initializers.normal(0.5)
        self.read = Dense(self.units, self.dtype)
        self.phrase = self.param("phrase", init, (PHRASE, self.units))
        self.edges = self.param("edges", init, (2, self.units))
        self.blocks = [Block(self.units, self.heads, self.dtype) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.said = Dense(self.latent, self.dtype)

    def see(self, x: Array, place: Place, more: Array, hidden: Array | None = None) -> Array:
        """What is said of each bar, (B, N, Z).

        Args:
          x: (B, N, .), what is read of each; padding does not count.
          more: (B, 1 or N, H), what else is known of the window or of its bars.
          hidden: masks of dropout of what each layer adds, (B, L, N, H).
        """
        number, known = jnp.arange(x.shape[1]), place.known(x.shape[1])
        of_song = place.first[:, None] + number
        is_first = (of_song == 0)[..., None]
        is_last = ((number == place.bars[:, None] - 1) & (place.ends[:, None] > 0))[..., None]
        h = self.read(jnp.where(known[..., None], x, 0.0)) + self.phrase[of_song % PHRASE]
        h = h + is_first * self.edges[0] + is_last * self.edges[1]
        return self.said(self.norm(both_ways(self.blocks, h + more, known, hidden)))
