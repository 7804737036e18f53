"""A bar as events, (token, duration) instead of its steps (thesis 7.2, 8.3.1), and what that says about its steps.

An event is a pitch or NOTE_OFF and lasts to the next one or to the end of the bar; a bar that begins with NO_EVENT has
a first event (NO_EVENT, d) and no other such. Durations sum to the steps of the bar. Bars and sequences of such events
are in bijection, so that the probability of a bar means the same in both encodings.

Letters: B bars, T steps of a bar and slots for its events, V outcomes (130).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, OUTCOMES, START
from mcvae_jax.nn.categorical import likeliest

Array = jax.Array


class Events(NamedTuple):
    """The events of bars in slots, first to last; a slot that is left over holds START and lasts 0 steps."""

    token: Array  # (B, T) int32
    duration: Array  # (B, T) int32, in steps


def bars_to_events(bars: Array) -> Events:
    """Bars (B, T) of tokens, canonical or not, as events."""
    bars = bars.astype(jnp.int32)
    starts = _starts(bars)
    within = _within(starts)
    duration = jnp.sum(within, axis=1, dtype=jnp.int32)
    token = jnp.sum(jnp.where(within & starts[..., None], bars[..., None], 0), axis=1)
    return Events(jnp.where(duration > 0, token, START), duration)


def events_to_bars(events: Events) -> Array:
    """The bars (B, T) int32 of events whose durations sum to T."""
    first = jnp.cumsum(events.duration, axis=-1) - events.duration
    begins = first[:, None, :] == jnp.arange(first.shape[-1])[:, None]  # (B, T, slots)
    begins &= events.duration[:, None, :] > 0
    token = jnp.sum(jnp.where(begins, events.token[:, None, :], 0), axis=-1)
    return jnp.where(jnp.any(begins, axis=-1), token, NO_EVENT)


def remaining(duration: Array) -> Array:
    """The steps of the bar (B, T) that are left before each event, for durations (B, T)."""
    return duration.shape[-1] - jnp.cumsum(duration, axis=-1) + duration


def can_last(steps: Array, longest: int) -> Array:
    """Whether an event lasts 1, 2, ... `longest` steps where so many (...,) are left: bool (..., longest).

    One step always may be, so that a slot which is left over has a distribution too; it counts for nothing.
    """
    return jnp.arange(1, longest + 1) <= jnp.maximum(steps, 1)[..., None]


def step_log_p(bars: Array, tokens: Array, durations: Array) -> tuple[Array, Array]:
    """What a model of events says about the steps of bars.

    A duration tells the steps after its event one by one whether the event goes on there. So the log p of a bar's
    events falls to its steps exactly: a NO_EVENT has the log p that the event goes on, given that it has not ended; any
    other token has the log p that the event before it ends there, and the log p of itself.

    Args:
      bars: (B, T).
      tokens: (B, T, V) log p of the token in each slot, given the events before.
      durations: (B, T, T) log p of each slot's duration 1, 2, ... T, given its token too.

    Returns:
      log p of each step's token given the steps before it, (B, T) in nats; and a guess of each step from the true
      steps before it, (B, T): NO_EVENT where the event is likelier to go on than to end, else the likeliest token of
      the next slot, or NOTE_OFF where the true bar goes on and so has no such slot.
    """
    starts = _starts(bars)
    within = _within(starts)
    of_slot = jnp.minimum(bars_to_events(bars).token, tokens.shape[-1] - 1)[..., None]
    token = _at_steps(within, jnp.take_along_axis(tokens, of_slot, axis=-1)[..., 0])
    guessed = _at_steps(within, likeliest(tokens))
    # Each step but the first: the event of the step before, which has lasted `so_far` steps when this one begins.
    so_far = _elapsed(starts)[:, :-1, None] + 1
    lasts = _at_steps(within[:, :-1], durations)  # (B, T - 1, T), of 1, 2, ... T steps
    steps = jnp.arange(1, bars.shape[-1] + 1)
    not_over, goes_on = (
        jax.nn.logsumexp(jnp.where(still, lasts, -jnp.inf), axis=-1) for still in (steps >= so_far, steps > so_far)
    )
    ends = jnp.take_along_axis(lasts, so_far - 1, axis=-1)[..., 0]
    later = jnp.where(starts[:, 1:], ends + token[:, 1:], goes_on) - not_over
    guess = jnp.where(goes_on > ends, NO_EVENT, jnp.where(starts[:, 1:], guessed[:, 1:], NOTE_OFF))
    return jnp.concatenate([token[:, :1], later], axis=1), jnp.concatenate([guessed[:, :1], guess], axis=1)


def may_stand(slot: Array) -> Array:
    """Whether each token may stand in slots of these numbers (...,) of their bars: bool (..., V)."""
    return (slot == 0)[..., None] | (jnp.arange(OUTCOMES) != NO_EVENT)


def _starts(bars: Array) -> Array:
    """Whether an event starts at each step, bool (B, T)."""
    return (bars != NO_EVENT) | (jnp.arange(bars.shape[-1]) == 0)


def _within(starts: Array) -> Array:
    """Whether each step belongs to the event of each slot: bool (B, T, slots)."""
    return (jnp.cumsum(starts, axis=-1) - 1)[..., None] == jnp.arange(starts.shape[-1])


def _at_steps(within: Array, table: Array) -> Array:
    """Of a table by slots (B, T, ...) the entry of each step's event: (B, steps, ...).

    A sum, because the gradient of a look-up would add in an order that a GPU leaves open.
    """
    within = within.reshape(*within.shape, *[1] * (table.ndim - 2))
    return jnp.sum(jnp.where(within, table[:, None], 0), axis=2)


def _elapsed(starts: Array) -> Array:
    """The steps of its event before each step, (B, T)."""
    step = jnp.arange(starts.shape[-1])
    return step - jax.lax.cummax(jnp.where(starts, step, 0), axis=1)
