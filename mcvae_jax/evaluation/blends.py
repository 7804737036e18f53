"""Between two melodies without a model: what interpolation in a latent space is compared with (thesis 6.4.2).

Melodies a and b are uint8 arrays of tokens of one shape; alpha is the share of a, 0 to 1.
"""

import numpy as np

from mcvae_jax.music.tokens import OUTCOMES


def published_blend(a: np.ndarray, b: np.ndarray, alpha: float) -> np.ndarray:
    """The thesis' true data interpolation (Eq 6.3): the largest entry of alpha one_hot(a) + (1 - alpha) one_hot(b).

    It mixes nothing: below 0.5 it is b and above it is a, whole. At 0.5 every step that differs is a tie, which the
    largest entry (numpy.argmax, and ours) gives to the lower token: a pitch where the other melody holds or rests,
    the lower of two pitches. The dip of Fig 6.6 at 0.5 is made by this tie. `mixed_steps` is the honest one.
    """
    one_hot = np.eye(OUTCOMES)
    return np.argmax(alpha * one_hot[a] + (1 - alpha) * one_hot[b], axis=-1).astype(np.uint8)


def mixed_steps(a: np.ndarray, b: np.ndarray, alpha: float, uniform: np.ndarray) -> np.ndarray:
    """Each step from a with probability alpha, else from b: true data interpolation that does mix.

    It is also what MusicVAE calls interpolation in data space (Roberts et al. 2018, arXiv:1803.05428, Fig 5).

    Args:
      uniform: draws from [0, 1) of the shape of a, one a step. With the same draws a larger alpha only turns further
        steps into those of a, so that a path from b to a is one morphing.
    """
    return np.where(uniform < alpha, a, b).astype(np.uint8)


def step_draws(seed: int, pairs: range, shape: tuple[int, ...]) -> np.ndarray:
    """The draws of `mixed_steps` for pairs of melodies: (P, *shape); those of a pair depend on its number alone."""
    return np.stack([np.random.default_rng([seed, pair]).random(shape) for pair in pairs])


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Share of the steps in which melodies (P, n, T) differ: float64 (P,)."""
    return np.mean(a != b, axis=(1, 2))
