"""The bar VAE (thesis 4.4, 5.4): bars -> (mu, log_var), and (z, bars) -> log p of the bars.

Letters: B bars, T steps of a bar, V outcomes (130), H units, L layers, Z latent size.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mcvae_jax.music.tokens import BAR, HIGHEST, NOTE_OFF, OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.categorical import likeliest
from mcvae_jax.nn.dropout import kept
from mcvae_jax.nn.layers import Dense, LSTMLayer, both_ways, check_shares, over_slots, states_of

Array = jax.Array
States = list[tuple[Array, Array]]  # (h, c) of every layer of the decoder, each (B, H)
Decoder = tuple[States, tuple[Array, ...]]  # the decoder before a slot: its states, and the parts of the slot before it
Choose = Callable[[Array, Array], Array]  # logits (B, V) and the number of the choice in its bar -> outcomes (B,)


class Noise(NamedTuple):
    """All randomness of a training step, drawn for each bar from that bar's own key. Masks are scaled to mean 1."""

    eps: Array  # (B, Z) standard normal
    encoder_inputs: Array | None  # (B, T): dropout on the encoder's one-hot inputs
    decoder_inputs: Array | None  # (B, T): word dropout on the decoder's previous tokens, not scaled
    encoder_gates: Array | None  # (B, L, 2, H): dropout on the squash gates, one mask for all steps
    decoder_gates: Array | None  # (B, L, H)


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Shares that are dropped in training, each from 0 to below 1."""

    inputs: float = 0.0  # of the encoder's tokens (thesis notebooks: 0.3)
    words: float = 0.0  # of the decoder's previous tokens (Bowman et al. 2016, arXiv:1511.06349)
    gates: float = 0.0  # of the squash gates of every layer (thesis 4.4.8)

    def __post_init__(self) -> None:
        check_shares(self)


class Prediction(NamedTuple):
    """What a decoder predicts of bars, given z and what stands before each step of the bar."""

    log_p: Array  # (B, T) nats, of each step's token given those before it; the sum over the steps is log p(bar | z)
    guess: Array  # (B, T) int32, the likeliest token of each step; of events, what `events.step_log_p` returns


class VAE(nn.Module):
    """Encoder and decoder of single bars, which it reads and writes step by step.

    The defaults are the sizes of the thesis. START has no logit: it is only ever an input, so it can never be sampled.
    """

    units: int = 512
    latent: int = 64
    layers: int = 2
    merge: str = "add"  # how the four final states of the encoder meet: 'add' (thesis 3.1.4) or 'concat'
    dtype: jnp.dtype = jnp.float32  # of the operands of all matrix products
    min_pitch: int = 0  # a pitch outside has probability 0 (thesis 7.2: 21 to 108)
    max_pitch: int = HIGHEST
    steps: int = BAR  # T

    before: ClassVar[tuple[int, ...]] = (START,)  # what stands before the first slot

    @property
    def pitches(self) -> tuple[int, int]:
        """The lowest and the highest pitch to which it gives a chance."""
        return self.min_pitch, self.max_pitch

    @property
    def inputs(self) -> tuple[int, ...]:
        """How many values each part of a slot has that the LSTMs read; a step has one part."""
        return (VOCABULARY,)

    @property
    def choices(self) -> int:
        """Outcomes that are chosen to render a bar."""
        return self.steps

    def setup(self) -> None:
        both = 2 * self.units
        self.encoder = [
            [LSTMLayer(self.units, (both,) if layer else self.inputs, self.dtype) for _ in ("forward", "backward")]
            for layer in range(self.layers)
        ]
        self.mu = Dense(self.latent, self.dtype)
        self.log_var = Dense(self.latent, self.dtype)
        self.first_states = Dense(2 * self.layers * self.units, self.dtype)
        self.decoder = [
            LSTMLayer(self.units, (self.units,) if layer else (*self.inputs, self.latent), self.dtype)
            for layer in range(self.layers)
        ]
        self.logits = Dense(OUTCOMES, self.dtype)

    def __call__(self, bars: Array, noise: Noise) -> tuple[Array, Array, Prediction]:
        """Encodes, draws z = mu + sigma * eps (Table 4.2) and decodes: mu (B, Z), log_var (B, Z), the prediction."""
        mu, log_var = self.encode(bars, noise)
        z = mu + jnp.exp(log_var / 2) * noise.eps
        return mu, log_var, self.predict(z, bars, noise)

    def encode(self, bars: Array, noise: Noise | None = None) -> tuple[Array, Array]:
        """The approximate posterior of bars (B, T) of tokens: mu and log variance, each (B, Z)."""
        xs = self.slots(bars)
        mask = None if noise is None or noise.encoder_inputs is None else noise.encoder_inputs.T
        states = both_ways(self.encoder, xs, (mask,) * len(xs), None if noise is None else noise.encoder_gates)
        code = jnp.asarray(sum(states)) if self.merge == "add" else jnp.concatenate(states, axis=-1)
        return self.mu(code), self.log_var(code)

    def predict(self, z: Array, bars: Array, noise: Noise | None = None) -> Prediction:
        """The log p of the tokens of bars (B, T) given z (B, Z), by teacher forcing."""
        logits = self.decode(z, bars, noise)
        of_token = bars.astype(jnp.int32)[..., None]
        log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), of_token, axis=-1)[..., 0]
        return Prediction(log_p, likeliest(logits))

    def decode(self, z: Array, bars: Array, noise: Noise | None = None) -> Array:
        """Logits (B, T, V) of the token in each slot of bars (B, T), given z (B, Z) and the slots before it."""
        return self.token_logits(self.read_back(z, bars, noise), jnp.arange(self.steps)[:, None]).swapaxes(0, 1)

    def first(self, z: Array) -> States:
        """The decoder's initial (h, c) of every layer, each (B, H): tanh of a dense map of z (B, Z)."""
        return list(states_of(jnp.tanh(self.first_states(z)), self.layers))

    def begin(self, z: Array) -> Decoder:
        """The decoder before its first slot: its states, and what stands before (START)."""
        return self.first(z), tuple(jnp.full(z.shape[0], part, jnp.int32) for part in self.before)

    def render(self, carry: Decoder, z: Array, choose: Choose) -> tuple[Decoder, Array]:
        """One bar, (B, T) int32, with z (B, Z): from what `begin` or the bar before gives to what the next one takes.

        choose: takes each outcome by its logits, with the number of this choice, from 0 to `choices` - 1.
        """

        def body(vae: VAE, carry: Decoder, step: Array) -> tuple[Decoder, Array]:
            states, hidden = vae.step(*carry, z)
            token = choose(vae.token_logits(hidden, step), step)
            return (states, (token,)), token

        carry, tokens = over_slots(body)(self, carry, jnp.arange(self.steps))
        return carry, tokens.T

    def greedy(self, z: Array) -> Array:
        """The bars (B, T) of outcomes that are likeliest one by one, given z (B, Z)."""
        return self.render(self.begin(z), z, lambda logits, _: likeliest(logits))[1]

    def step(self, states: States, previous: tuple[Array, ...], z: Array) -> tuple[States, Array]:
        """One slot of the decoder: from the parts of the previous one, (B,) each, to the next states and h (B, H)."""
        states, hidden = self._run(states, tuple(part[None] for part in previous), z)
        return states, hidden[0]

    def slots(self, bars: Array) -> tuple[Array, ...]:
        """Bars (B, T) as the LSTMs read them: the parts of their slots, each int32 (T, B)."""
        return (bars.astype(jnp.int32).T,)

    def read_back(self, z: Array, bars: Array, noise: Noise | None) -> Array:
        """The decoder's last hidden states (T, B, H) where the true slots stand before each slot."""
        previous = tuple(
            jnp.concatenate([jnp.full_like(part[:1], before), part[:-1]])
            for part, before in zip(self.slots(bars), self.before, strict=True)
        )
        mask = None if noise is None or noise.decoder_inputs is None else noise.decoder_inputs.T
        return self._run(self.first(z), previous, z, mask, None if noise is None else noise.decoder_gates)[1]

    def _run(
        self,
        states: States,
        previous: tuple[Array, ...],
        z: Array,
        mask: Array | None = None,
        gate_masks: Array | None = None,
    ) -> tuple[States, Array]:
        """previous, parts (T, B) each -> the final states and the hidden states (T, B, H) of the last layer."""
        finals, xs = [], (*previous, z)
        masks: tuple[Array | None, ...] = (*[mask] * len(previous), None)
        for n, (layer, (h, c)) in enumerate(zip(self.decoder, states, strict=True)):
            gates = layer.gates(*xs, masks=masks)
            hidden, final = layer(gates, h, c, None if gate_masks is None else gate_masks[:, n])
            finals.append(final)
            xs, masks = (hidden,), ()
        return finals, hidden

    def token_logits(self, hidden: Array, slot: Array) -> Array:
        """Logits (..., V) of the tokens of slots number `slot` from h (..., H), -inf for what cannot stand there."""
        logits = self.logits(hidden)
        if (self.min_pitch, self.max_pitch) == (0, HIGHEST):
            return logits
        outcome = np.arange(OUTCOMES)
        within = (outcome >= NOTE_OFF) | ((outcome >= self.min_pitch) & (outcome <= self.max_pitch))
        return jnp.where(within, logits, -jnp.inf)


def init(vae: VAE, key: Array) -> Any:
    """Fresh parameters."""
    return vae.init(key, jnp.zeros((1, vae.steps), jnp.int32), draw_noise(vae, key[None], vae.steps, Dropout()))


def draw_noise(vae: VAE, keys: Array, steps: int, dropout: Dropout) -> Noise:
    """The noise of B bars of `steps` tokens from their keys (B,); what a bar gets does not depend on the others."""

    def one(key: Array) -> Noise:
        eps, inputs, words, encoder, decoder = jax.random.split(key, 5)
        return Noise(
            eps=jax.random.normal(eps, (vae.latent,)),
            encoder_inputs=kept(inputs, dropout.inputs, (steps,)),
            decoder_inputs=kept(words, dropout.words, (steps,), scale=False),
            encoder_gates=kept(encoder, dropout.gates, (vae.layers, 2, vae.units)),
            decoder_gates=kept(decoder, dropout.gates, (vae.layers, vae.units)),
        )

    return jax.vmap(one)(keys)
