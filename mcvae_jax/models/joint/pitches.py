"""Notes by their intervals: what was heard last, and chances of pitches counted from it.

A tune is the same tune in any key. Absolute pitches alone would have to be learned in each of them; intervals are
learned once. Letters: S tokens of a sequence, T steps of a bar.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mcvae_jax.music.tokens import HIGHEST, NO_EVENT, NOTE_OFF, OUTCOMES
from mcvae_jax.nn.arrays import AnyArray

Array = jax.Array

WIDEST = 24  # semitones that are told apart; wider intervals are as this one
INTERVALS = 2 * WIDEST + 2  # kinds of intervals, the first of which is 'none'
PITCHES = NO_EVENT + 1  # kinds of pitches, the last of which is 'none'
MIDDLE = 60  # from which the first note of a song is counted


class Heard(NamedTuple):
    """The last two notes before some point, integers: pitches, or NO_EVENT where there was none."""

    last: Array
    before: Array

    @property
    def interval(self) -> Array:
        """The kind of interval between them, integers below INTERVALS."""
        return _kind(self.last, self.before)


def silence(count: int) -> Heard:
    """Before the first note of so many songs."""
    nothing = jnp.full(count, NO_EVENT, jnp.int32)
    return Heard(nothing, nothing)


def hear(heard: Heard, token: Array) -> Heard:
    """After one more token."""
    is_note = token < NOTE_OFF
    return Heard(jnp.where(is_note, token, heard.last), jnp.where(is_note, heard.last, heard.before))


def heard_along(tokens: Array, start: Heard) -> Heard:
    """Before each of the tokens (.., S) and after the last: (.., S + 1)."""
    row = jnp.concatenate([start.before[..., None], start.last[..., None], tokens.astype(jnp.int32)], axis=-1)
    place = jnp.arange(1, row.shape[-1] + 1)  # 0 is none
    found = jax.lax.cummax(jnp.where(row < NOTE_OFF, place, 0), axis=row.ndim - 1)
    one_before = jnp.pad(found[..., :-1], [(0, 0)] * (row.ndim - 1) + [(1, 0)])
    last, before = _at(row, found, NO_EVENT), _at(row, _at(one_before, found, 0), NO_EVENT)
    return Heard(last[..., 1:], before[..., 1:])


def intervals_within(bars: AnyArray) -> Array:
    """The kind of interval of each note from the note before it in its bar, (.., T); 'none' where no note begins."""
    tokens = jnp.asarray(bars).astype(jnp.int32)
    nothing = jnp.full(tokens.shape[:-1], NO_EVENT, jnp.int32)
    return _kind(tokens, heard_along(tokens, Heard(nothing, nothing)).last[..., :-1])


def scores_of_tokens(by_interval: Array, last: Array) -> Array:
    """What each token gets by its interval from the last note, (.., OUTCOMES), of scores (.., 2 WIDEST + 1); those that
    are no notes get 0."""
    wide = jnp.pad(by_interval, [(0, 0)] * last.ndim + [(HIGHEST - WIDEST,) * 2], mode="edge").reshape(
        -1, 2 * HIGHEST + 1
    )
    start = HIGHEST - jnp.where(last < NOTE_OFF, last, MIDDLE).reshape(-1)
    of_pitches = jax.vmap(lambda row, first: jax.lax.dynamic_slice_in_dim(row, first, HIGHEST + 1))(wide, start)
    return jnp.pad(of_pitches, ((0, 0), (0, OUTCOMES - HIGHEST - 1))).reshape(*last.shape, OUTCOMES)


def _kind(pitch: Array, before: Array) -> Array:
    """Of an interval, where both are notes."""
    semitones = jnp.clip(pitch - before, -WIDEST, WIDEST)
    return jnp.where((pitch < NOTE_OFF) & (before < NOTE_OFF), semitones + WIDEST + 1, 0)


def _at(row: Array, place: Array, nothing: int) -> Array:
    """What stands at places, counted from 1; `nothing` at 0."""
    return jnp.where(place > 0, jnp.take_along_axis(row, jnp.maximum(place - 1, 0), axis=-1), nothing)
