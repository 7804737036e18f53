"""Generator and critic of windows of latents: two transformers whose bars see each other both ways.

Both know where a window lies in its song, as the denoiser of the diffusion prior does. The generator reads the given
bars and draws of noise; the critic says of a window whether it is real.

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


class Windows(nn.Module):
    """What both have in common: places, layers, and what is said of each bar."""

    latent: int
    units: int = 128
    layers: int = 4
    heads: int = 4
    dtype: jnp.dtype = jnp.float32  # of the operands of matrix products

    def setup(self) -> None:
        init = nn.initializers.normal(0.5)
        self.read = Dense(self.units, self.dtype)
        self.phrase = self.param("phrase", init, (PHRASE, self.units))
        self.edges = self.param("edges", init, (2, self.units))
        self.given = self.param("given", init, (self.units,))
        self.blocks = [Block(self.units, self.heads, self.dtype) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.said = Dense(self.latent, self.dtype)
        self.of_window = Dense(self.units, self.dtype)

    def seen(self, x: Array, is_given: Array, place: Place, of_window: Array) -> Array:
        """(B, N, H) of what each bar has, x (B, N, .), which are given, and a vector of the whole window (B, .)."""
        number, known = jnp.arange(x.shape[1]), place.known(x.shape[1])
        of_song = place.first[:, None] + number
        is_first = (of_song == 0)[..., None]
        is_last = ((number == place.bars[:, None] - 1) & (place.ends[:, None] > 0))[..., None]
        h = self.read(jnp.where(known[..., None], x, 0.0)) + self.phrase[of_song % PHRASE]
        h = h + is_first * self.edges[0] + is_last * self.edges[1] + is_given[..., None] * self.given
        return self.norm(both_ways(self.blocks, h + self.of_window(of_window)[:, None], known))


class Generator(Windows):
    """Noise and given bars -> a window."""

    def __call__(self, given: Array, is_given: Array, place: Place, noise: Array) -> Array:
        """Standardised latents (B, N, Z), with those that are given; noise (B, N + 1, Z), the last for the window."""
        x = jnp.concatenate([jnp.where(is_given[..., None], given, 0.0), noise[:, :-1]], axis=-1)
        made = self.said(self.seen(x, is_given, place, noise[:, -1]))
        return jnp.where(is_given[..., None], given, made)


class Critic(Windows):
    """A window -> whether it is real."""

    def __call__(self, x: Array, is_given: Array, place: Place) -> Array:
        """Logits (B,) of standardised latents x (B, N, Z), of which some were given to the generator."""
        known = place.known(x.shape[1])[..., None]
        count = jnp.maximum(place.bars, 1)[:, None]
        mean = jnp.sum(jnp.where(known, x, 0.0), axis=1) / count
        logits = self.said(self.seen(x, is_given, place, mean))
        return jnp.sum(jnp.where(known, logits, 0.0), axis=(1, 2)) / (count[:, 0] * self.latent)
