"""The bar VAE on events, (token, duration), instead of steps (thesis 7.2, 8.3.1); letters as in vae.py."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mcvae_jax.models.events import (
    Events,
    bars_to_events,
    can_last,
    events_to_bars,
    may_stand,
    remaining,
    step_log_p,
)
from mcvae_jax.models.vae import VAE, Choose, Decoder, Noise, Prediction
from mcvae_jax.music.tokens import START, VOCABULARY
from mcvae_jax.nn.layers import Dense, over_slots
from mcvae_jax.nn.lstm import token_rows

Array = jax.Array


class EventVAE(VAE):
    """Encoder and decoder of single bars, which they read and write event by event.

    A slot has two parts, the token and the duration of an event. The decoder predicts the token given the events before
    it, then the duration given the token too, from 1 to what is left of the bar, so that every bar comes out whole. The
    encoder reads the slots that are left over as (START, 0), which no event is.
    """

    before: ClassVar[tuple[int, ...]] = (START, 0)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The values of a token, and those of a duration."""
        return (VOCABULARY, self.steps + 1)

    @property
    def choices(self) -> int:
        """Even numbers are tokens, odd ones durations."""
        return 2 * self.steps

    def setup(self) -> None:
        super().setup()
        self.durations = Dense(self.steps, self.dtype)
        self.said = self.param("said", jax.nn.initializers.lecun_normal(), (VOCABULARY, self.units))

    def predict(self, z: Array, bars: Array, noise: Noise | None = None) -> Prediction:
        """The log p of the events of bars (B, T) given z (B, Z), as it falls to the steps."""
        events = bars_to_events(bars)
        hidden = self.read_back(z, bars, noise)
        tokens = jax.nn.log_softmax(self.token_logits(hidden, jnp.arange(self.steps)[:, None])).swapaxes(0, 1)
        lasts = self.duration_logits(hidden, events.token.T, remaining(events.duration).T)
        return Prediction(*step_log_p(bars, tokens, jax.nn.log_softmax(lasts).swapaxes(0, 1)))

    def render(self, carry: Decoder, z: Array, choose: Choose) -> tuple[Decoder, Array]:
        """One bar as `VAE.render` has it; a bar that is full leaves the decoder as it is."""

        def body(vae: EventVAE, carry: tuple[Decoder, Array], slot: Array) -> tuple[tuple[Decoder, Array], Events]:
            decoder, left = carry
            states, hidden = vae.step(*decoder, z)
            token = choose(vae.token_logits(hidden, slot), 2 * slot)
            duration = choose(vae.duration_logits(hidden, token, left), 2 * slot + 1) + 1
            goes_on = left > 0
            decoder = jax.tree.map(
                lambda new, old: jnp.where(goes_on.reshape(-1, *[1] * (new.ndim - 1)), new, old),
                (states, (token, duration)),
                decoder,
            )
            duration = jnp.where(goes_on, duration, 0)
            return (decoder, left - duration), Events(token, duration)

        left = jnp.full(z.shape[0], self.steps, jnp.int32)
        (carry, _), events = over_slots(body)(self, (carry, left), jnp.arange(self.steps))
        return carry, events_to_bars(Events(events.token.T, events.duration.T))

    def slots(self, bars: Array) -> tuple[Array, ...]:
        """The tokens and the durations of the events of bars (B, T), each int32 (T, B)."""
        return tuple(part.T for part in bars_to_events(bars))

    def token_logits(self, hidden: Array, slot: Array) -> Array:
        """As `VAE.token_logits` has them; NO_EVENT can stand in the first slot alone."""
        return jnp.where(may_stand(slot), super().token_logits(hidden, slot), -jnp.inf)

    def duration_logits(self, hidden: Array, token: Array, left: Array) -> Array:
        """Logits (..., T) of 1, 2, ... T steps for events of tokens (...,), -inf beyond the steps that are left."""
        logits = self.durations(jnp.tanh(hidden + token_rows(self.said, token, self.dtype)))
        return jnp.where(can_last(left, self.steps), logits, -jnp.inf)
