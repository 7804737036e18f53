"""A causal transformer over the latent sequences of songs: a prior in the MDRNN's place.

It is the baseline TransformerMDN of Mittal et al. 2021 (arXiv:2103.16091, "Symbolic music generation with diffusion
models"): layers of self-attention read z_1 .. z_t, and a mixture of Gaussians says what z_{t+1} may be. Beyond theirs
it has rotary positions, a learned start vector and a stop head, and it reads the latents of single bars. Nothing
recalls whole bars: what attention finds goes through the layers into the means.

Letters: B songs, T bars, Z latent size, H units, M bars of memory.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models import mixture_prior
from mcvae_jax.models.mixture_prior import MixtureNetwork, MixturePrior, Noise, Unrolled, checked, log_stop
from mcvae_jax.models.prior import Step
from mcvae_jax.nn import transformer
from mcvae_jax.nn.layers import Dense
from mcvae_jax.nn.transformer import Block, Memory, check_heads

Array = jax.Array

FIELDS = {
    "model": mixture_prior.FIELDS | {"heads": int},
    "dropout": {"inputs": float, "hidden": float},
}  # the sections of the config that are its own

FIRST_SCALE = 0.1  # of what the heads read: the first mixtures are near the moments, with 1 wild and narrow


class State(NamedTuple):
    """What the network remembers between the bars of a song that is being composed."""

    memory: Memory
    read: Array  # int32 (B,): vectors read, the start vector among them


class TransformerPrior(MixtureNetwork):
    """The network. Attention sees the last M of the vectors read; each layer builds on what the one below has seen."""

    heads: int = 4  # of attention

    def setup(self) -> None:
        super().setup()
        self.taken = Dense(self.units, self.dtype)
        self.blocks = [Block(self.units, self.heads, self.dtype) for _ in range(self.layers)]
        self.norm = nn.LayerNorm(scale_init=nn.initializers.constant(FIRST_SCALE))

    def unroll(self, z: Array, noise: Noise | None = None) -> Unrolled:
        """See `MixtureNetwork`."""
        x = self.taken(self.inputs(self.standardise(z), noise))
        x = transformer.along(self.blocks, x, self.memory, None if noise is None else noise.hidden)
        said = self.say(self.norm(x))
        ahead = jax.tree.map(lambda a: a[:, :-1], said)
        return Unrolled(self.mixture(ahead.logits, ahead.mu, ahead.raw), said.stop_logit[:, 1:])

    def next_step(self, state: State | None, z: Array) -> tuple[State, Step]:
        """See `MixtureNetwork`."""
        songs, begun = len(z), state is not None
        x = self.standardise(z) if begun else jnp.broadcast_to(self.start, z.shape)
        if state is None:
            state = State(transformer.fresh_memory(self.blocks, songs, self.memory), jnp.zeros(songs, jnp.int32))
        memory, x = transformer.step(self.blocks, state.memory, self.taken(x[:, None]), state.read)
        said = jax.tree.map(lambda a: a[:, 0], self.say(self.norm(x)))
        mixed = self.mixture(said.logits, said.mu, said.raw)
        step = Step(mixed, log_stop(said.stop_logit, begun), recalled=jnp.zeros((songs, 0, self.latent)))
        return State(memory, state.read + 1), step


def make_prior(config: Any, latent: int) -> MixturePrior:
    """The prior of configs/transformer_prior.py; UserError for a size, a share or a format that cannot be."""
    fields = checked(config["model"], ("heads",))
    check_heads(fields["units"], fields["heads"])
    return mixture_prior.prior_of(TransformerPrior(latent=latent, **fields), config)
