"""Bar encoder and bar decoder of the joint MCVAE.

Letters: P bars, T steps of a bar, H units, E width of a bar's code, Z latent size, C width of the context, R heads that
recall earlier bars, A the width of a recalled token, V outcomes (130).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mcvae_jax.models.joint.pitches import (
    INTERVALS,
    PITCHES,
    WIDEST,
    Heard,
    hear,
    heard_along,
    intervals_within,
    scores_of_tokens,
)
from mcvae_jax.music.tokens import OUTCOMES, START, VOCABULARY
from mcvae_jax.nn.arrays import AnyArray
from mcvae_jax.nn.layers import Dense, LSTMLayer, both_ways
from mcvae_jax.nn.lstm import Gates, State

Array = jax.Array

LOWEST_LOG_VAR, HIGHEST_LOG_VAR = -8.0, 4.0


class Encoded(NamedTuple):
    """What the encoder makes of bars."""

    code: Array  # (P, E), by which the composer knows a bar
    mu: Array  # (P, Z), of q(z | bar)
    log_var: Array  # (P, Z)


class BarReader(nn.Module):
    """One LSTM layer in each direction over the tokens of a bar and the intervals between its notes."""

    units: int  # of each direction
    dtype: jnp.dtype

    def setup(self) -> None:
        self.directions = [LSTMLayer(self.units, (VOCABULARY, INTERVALS), self.dtype) for _ in range(2)]

    def read(self, bars: Array) -> Array:
        """The last hidden states of both, (P, 2 units), of bars, integers (P, T)."""
        read = bars.astype(jnp.int32).T, intervals_within(bars).T
        forwards, _, backwards, _ = both_ways([self.directions], read)
        return jnp.concatenate([forwards, backwards], axis=-1)


class BarEncoder(BarReader):
    """q of a bar, and its code of width E, the units."""

    latent: int

    def setup(self) -> None:
        super().setup()
        self.code = Dense(self.units, self.dtype)
        self.mu = Dense(self.latent, self.dtype)
        self.log_var = Dense(self.latent, self.dtype)

    def __call__(self, bars: Array) -> Encoded:
        """Of bars, integers (P, T)."""
        hidden = self.read(bars)
        log_var = jnp.clip(self.log_var(hidden), LOWEST_LOG_VAR, HIGHEST_LOG_VAR)
        return Encoded(jnp.tanh(self.code(hidden)), self.mu(hidden), log_var)


class Given(NamedTuple):
    """What the decoder has of a bar beside its tokens so far."""

    z: Array  # (P, Z)
    context: Array  # (P, C), what the composer knows before the bar
    recalled: Array  # (P, R, T, A), tokens of the earlier bars that each head looks at, weighed by how much it does
    heard: Heard  # (P,) each, before the bar


class BarDecoder(nn.Module):
    """One LSTM layer that says token by token what a bar may be.

    In every step it reads the token before, the last note with its interval, z, the context, and what stood here
    in the recalled bars, so it can take steps of an earlier bar and vary others. What it says of a pitch is the sum of
    what it says of the pitch itself and of the interval from the last note. Of z, context and recalled bars those count
    that have a width.
    """

    units: int
    recalled_width: int  # A
    dtype: jnp.dtype
    latent: int
    context: int  # C
    heads: int  # R
    few_rows: int = 0  # see `LSTMLayer`

    def setup(self) -> None:
        notes = (VOCABULARY, PITCHES, INTERVALS)
        others = (self.latent, self.context, self.heads * self.recalled_width)
        self.lstm = LSTMLayer(self.units, (*notes, *filter(None, others)), self.dtype, self.few_rows)
        self.first = Dense(2 * self.units, self.dtype)
        self.logits = Dense(OUTCOMES, self.dtype)
        self.by_interval = Dense(2 * WIDEST + 1, self.dtype)

    def log_p(self, bars: Array, given: Given, hidden: Array | None = None, words: Array | None = None) -> Array:
        """log p of the tokens of bars (P, T), by teacher forcing, in nats.

        hidden, (P, T, H), and words, (P, T), are masks of dropout, of outputs and of the tokens before.
        """
        tokens = bars.astype(jnp.int32)
        before = jnp.concatenate([jnp.full_like(tokens[:, :1], START), tokens[:, :-1]], axis=1)
        at_steps = heard_along(tokens, given.heard)
        heard = Heard(at_steps.last[:, :-1].T, at_steps.before[:, :-1].T)
        ((h, c), _), along = self.begin(given)
        found, _ = self.lstm(self._gates(before.T, heard, along, None if words is None else words.T), h, c)
        if hidden is not None:
            found = found * hidden.swapaxes(0, 1)
        log_p = jax.nn.log_softmax(self._outputs(found, heard), axis=-1)
        return jnp.take_along_axis(log_p.swapaxes(0, 1), tokens[..., None], axis=-1)[..., 0]

    def begin(self, given: Given) -> tuple[tuple[State, Heard], Gates]:
        """The first (h, c), (P, H) each, with what was heard before; and what all but tokens give to the gates."""
        h, c = jnp.split(jnp.tanh(self.first(jnp.concatenate([given.z, given.context], axis=-1))), 2, axis=-1)
        steps = jnp.moveaxis(given.recalled, 2, 0)  # (T, P, R, A)
        recalled = steps.reshape(*steps.shape[:2], -1)
        others = [x for x in (given.z, given.context, recalled) if x.shape[-1]]
        shape = (*steps.shape[:2], self.units)
        i, f, s, o = (jnp.broadcast_to(gate, shape) for gate in self.lstm.gates(None, None, None, *others))
        return ((h, c), given.heard), (i, f, s, o)

    def step(
        self, state: tuple[State, Heard], before: Array, place: Array, along: Gates
    ) -> tuple[tuple[State, Heard], Array]:
        """One token: from the one before, (P,), at step `place` () to the next state and logits (P, V).

        along: what `begin` gives.
        """
        heard = hear(state[1], before)
        row = Heard(heard.last[None], heard.before[None])
        i, f, s, o = (gate[place][None] for gate in along)
        found, known = self.lstm(self._gates(before[None], row, (i, f, s, o)), *state[0])
        return (known, heard), self._outputs(found, row)[0]

    def _gates(self, before: Array, heard: Heard, along: Gates, words: Array | None = None) -> Gates:
        """Of tokens and what was heard, integers (T, P), weighed by `words`, and what `begin` gives of all else."""
        tokens = before, heard.last, heard.interval
        others = (None,) * (len(self.lstm.inputs) - len(tokens))
        return self.lstm.gates(*tokens, *others, masks=(words,) * len(tokens) + others, onto=along)

    def _outputs(self, found: Array, heard: Heard) -> Array:
        """Logits (T, P, V) from the layer's outputs (T, P, H)."""
        return self.logits(found) + scores_of_tokens(self.by_interval(found), heard.last)


class RecallingDecoder(BarDecoder):
    """One whose recalled bars are weighed sums of what `embed` makes of them."""

    def setup(self) -> None:
        super().setup()
        embedding = nn.initializers.normal(0.3)
        self.embedding = self.param("embedding", embedding, (VOCABULARY, self.recalled_width))
        self.interval_embedding = self.param("interval_embedding", embedding, (INTERVALS, self.recalled_width))

    def embed(self, bars: AnyArray) -> Array:
        """Bars, integers (..., T), as heads recall them: (..., T, A)."""
        return self.embedding[bars.astype(jnp.int32)] + self.interval_embedding[intervals_within(bars)]
