"""Songs composed bar by bar by a model with a state: seeds are read, what follows them is drawn.

Letters: B songs of a block, n bars of a song, T steps of a bar.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from mcvae_jax.models.song_model import Songs
from mcvae_jax.nn.arrays import AnyArray

Array = jax.Array


class Turn(NamedTuple):
    """One bar of every song of a block, before it is known."""

    number: int  # of the bar, from 0: the same for all songs
    bar: AnyArray  # uint8 (B, T): what is given; zeros where it is to be drawn
    is_given: AnyArray  # bool (B,)
    drawn: np.ndarray  # int (B,): how many bars of each song were drawn before, from which it has its random numbers
    left: np.ndarray  # int (B,): how many bars each song will have after this one


NextBar = Callable[
    [Any, Turn], tuple[Any, Array, Array]
]  # the next state, the bars (B, T), and which are the last (B,)


def compose(state: Any, next_bar: NextBar, seeds: Songs, bars: int, may_end: bool) -> list[np.ndarray]:
    """The bars after each seed, uint8 (m, T).

    Args:
      bars: m; with `may_end` at most so many, as a song ends with the first bar that is drawn as its last.
    """
    given, nothing = np.array([len(seed) for seed in seeds]), np.zeros(seeds[0].shape[1], np.uint8)
    composed, ended = [], []
    for number in range(int(given.max()) + bars):
        is_given = number < given
        bar = np.stack([seed[number] if number < len(seed) else nothing for seed in seeds])
        turn = Turn(number, bar, is_given, np.maximum(number - given, 0), np.maximum(given + bars - number - 1, 0))
        state, made, ends = next_bar(state, turn)
        composed.append(np.asarray(made, np.uint8))
        ended.append(np.asarray(ends) & ~is_given)
        if may_end and np.any(ended, axis=0).all():
            break
    songs, stops = np.stack(composed, axis=1), np.stack(ended, axis=1)
    found = []
    for i, start in enumerate(given):
        stop = int(stops[i].argmax()) + 1 if may_end and stops[i].any() else len(stops[i])
        found.append(songs[i, start : min(stop, start + bars)])
    return found


def token_keys(keys: Array, drawn: AnyArray, count: int) -> Array:
    """Of the draws of one bar of each song, (B, count): from the songs' keys (B,) and the bars drawn before it (B,)."""
    of_bar = jax.vmap(jax.random.fold_in)(keys, drawn)
    return jax.vmap(lambda key: jax.random.split(key, count))(of_bar)
