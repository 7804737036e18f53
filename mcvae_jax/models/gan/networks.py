"""Generator and critic of windows of latents: two transformers over the bars of a window (models/window_network.py).

The generator reads the given bars and draws of noise; the critic says of a window whether it is real.

Letters: B windows, N bars, Z latent size, H units.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models.latent_windows import Place
from mcvae_jax.models.window_network import WindowNetwork
from mcvae_jax.nn.layers import Dense

Array = jax.Array


class Player(WindowNetwork):
    """What both know: which bars were given, and a vector of the whole window."""

    def setup(self) -> None:
        super().setup()
        self.given = self.param("given", nn.initializers.normal(0.5), (self.units,))
        self.of_window = Dense(self.units, self.dtype)

    def said_of(self, x: Array, is_given: Array, place: Place, of_window: Array) -> Array:
        """(B, N, Z) of what each bar has, x (B, N, .), which are given, and a vector of the window (B, .)."""
        return self.see(x, place, is_given[..., None] * self.given + self.of_window(of_window)[:, None])


class Generator(Player):
    """Noise and given bars -> a window."""

    def __call__(self, given: Array, is_given: Array, place: Place, noise: Array) -> Array:
        """Standardised latents (B, N, Z), with those that are given; noise (B, N + 1, Z), the last for the window."""
        x = jnp.concatenate([jnp.where(is_given[..., None], given, 0.0), noise[:, :-1]], axis=-1)
        return jnp.where(is_given[..., None], given, self.said_of(x, is_given, place, noise[:, -1]))


class Critic(Player):
    """A window -> whether it is real."""

    def __call__(self, x: Array, is_given: Array, place: Place) -> Array:
        """Logits (B,) of standardised latents x (B, N, Z), of which some were given to the generator."""
        known = place.known(x.shape[1])[..., None]
        count = jnp.maximum(place.bars, 1)[:, None]
        mean = jnp.sum(jnp.where(known, x, 0.0), axis=1) / count
        logits = self.said_of(x, is_given, place, mean)
        return jnp.sum(jnp.where(known, logits, 0.0), axis=(1, 2)) / (count[:, 0] * self.latent)
