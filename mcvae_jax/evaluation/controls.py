"""Sets of songs that are no compositions, scored like every model's: a measure that one of them wins says little.

All are functions of a numpy Generator; songs are uint8 (n, T).
"""

from collections.abc import Sequence

import numpy as np

from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF

Songs = list[np.ndarray]

HALF, COPIES = "other held-out songs", "copies of training songs"
SHUFFLED, RANDOM, REPEATED, SILENCE = "shuffled bars", "random bars", "one repeated bar", "silence"
REAL = (HALF, COPIES)  # these are music: a model may well lose to them


def halves(songs: Sequence[np.ndarray], rng: np.random.Generator) -> tuple[Songs, Songs]:
    """The songs in two halves of equal size by chance; an odd song is in neither."""
    order = rng.permutation(len(songs))
    middle = len(songs) // 2
    return [songs[i] for i in order[:middle]], [songs[i] for i in order[middle : 2 * middle]]


def copied(training: int, songs: int, rng: np.random.Generator) -> list[int]:
    """The training songs, of so many, that are copied into a set of `songs`, by index; half of them at most.

    What is left is for a model of songs that has not seen them. Each is taken once, as far as they go.
    """
    chosen = rng.permutation(training)[: max(1, training // 2)].tolist()
    return [chosen[i % len(chosen)] for i in range(songs)]


def control_sets(
    other: Sequence[np.ndarray], training: Sequence[np.ndarray], copies: Sequence[int], rng: np.random.Generator
) -> dict[str, Songs]:
    """The controls by name, all of as many songs: distances of sets of unequal sizes could not be compared.

    HALF: `other`, held-out songs that are not those against which is compared. SHUFFLED: the same, the bars of each in
    another order. RANDOM: every bar from anywhere in the training songs. REPEATED: one bar of the training songs,
    with a note in it, over and over. COPIES: training songs. SILENCE.

    Args:
      other, training: of the same number of bars each, one of each at least.
      copies: which training songs are copied, as many as there are in `other`.
    """
    bars, songs = len(training[0]), len(other)
    pool = np.concatenate(training)
    sounding = pool[np.any(pool < NOTE_OFF, axis=1)]
    return {
        HALF: list(other),
        COPIES: [training[i] for i in copies],
        SHUFFLED: [rng.permutation(song) for song in other],
        RANDOM: list(pool[rng.integers(len(pool), size=(songs, bars))]),
        REPEATED: [np.tile(bar, (bars, 1)) for bar in sounding[rng.integers(len(sounding), size=songs)]],
        SILENCE: [np.full_like(training[0], NO_EVENT)] * songs,
    }
