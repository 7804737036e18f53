"""What was heard, and scores by intervals, against plain loops."""

import jax.numpy as jnp
import numpy as np

from mcvae_jax.models.joint.pitches import (
    INTERVALS,
    MIDDLE,
    WIDEST,
    Heard,
    hear,
    heard_along,
    intervals_within,
    scores_of_tokens,
    silence,
)
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, OUTCOMES


def some_tokens(rows, length, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((rows, length)) < 0.5, rng.integers(0, 128, (rows, length)), rng.integers(128, 130))


def heard_by_loop(tokens, notes):
    """The notes heard before each token and after the last, the newest first; `notes` were heard before."""
    found = [list(notes)]
    for token in tokens:
        found.append([int(token), *found[-1]] if token < NOTE_OFF else found[-1])
    return found


def test_what_was_heard_is_the_last_two_notes():
    """Along a sequence, and token by token; from silence, and after other notes."""
    tokens = some_tokens(6, 12)
    for start, before in ((silence(6), []), (Heard(jnp.full(6, 60), jnp.full(6, 64)), [60, 64])):
        along, step = heard_along(tokens, start), start
        for place in range(13):
            wanted = [heard_by_loop(row, before)[place] for row in tokens]
            last, second = ([notes[n] if len(notes) > n else NO_EVENT for notes in wanted] for n in (0, 1))
            for found in (Heard(along.last[:, place], along.before[:, place]), step):
                np.testing.assert_array_equal(found.last, last)
                np.testing.assert_array_equal(found.before, second)
            step = hear(step, jnp.asarray(tokens[:, place])) if place < 12 else step


def test_intervals_are_those_of_neighbouring_notes():
    bars = np.array([[60, 129, 67, 128, 20, 129], [129, 128, 129, 129, 129, 129], [127, 0, 127, 126, 126, 129]])
    none, same = 0, WIDEST + 1
    wanted = [
        [none, none, same + 7, none, same - WIDEST, none],
        [none] * 6,
        [none, same - WIDEST, same + WIDEST, same - 1, same, none],
    ]
    np.testing.assert_array_equal(intervals_within(bars), wanted)
    assert int(np.max(wanted)) == INTERVALS - 1


def test_scores_are_counted_from_the_last_note():
    """Intervals wider than WIDEST are as this one; tokens that are no notes get 0; a first note counts from MIDDLE."""
    rng = np.random.default_rng(1)
    scores, last = rng.normal(size=(2, 5, 2 * WIDEST + 1)), np.array([[0, 60, 127, NO_EVENT, 5], [64, 1, 2, 3, 126]])
    found = scores_of_tokens(jnp.asarray(scores), jnp.asarray(last))
    assert found.shape == (2, 5, OUTCOMES)
    for place in np.ndindex(2, 5):
        middle = MIDDLE if last[place] == NO_EVENT else last[place]
        wanted = [scores[place][np.clip(pitch - middle, -WIDEST, WIDEST) + WIDEST] for pitch in range(128)]
        np.testing.assert_allclose(found[place], [*wanted, 0.0, 0.0], rtol=1e-6)
