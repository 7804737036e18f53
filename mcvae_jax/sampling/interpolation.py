"""The thesis' Algorithms 1 to 4 (6.5.2, 6.6.2): melodies from what lies between the latents of two songs.

Songs a and b are the means of q of their first bars, (P, n, Z) for P pairs; reconstruction and interpolation use the
mean. `between` gives what lies between them, and each algorithm renders that as bars, uint8 (P, bars, T):

    1  vae_conditional      the decoder renders every interpolated bar
    2  vae_unconditional    the decoder runs freely from the first one
    3  mcvae_conditional    the MDRNN reads the interpolated bars and predicts the bar after each, which is rendered
    4  mcvae_unconditional  the MDRNN reads the first one and composes the bars that follow

Where the text has two readings:
- Algorithms 3 and 4 append the vector z_0 to a list of notes, which cannot be meant: here its bar is rendered and
  stands first ("the first latent vector z_0 could not be predicted using this method, and was used directly", 8.1.2).
  with_first=False leaves it out, as printed.
- Algorithm 2 is printed with 80 steps and described with 400 (25 bars); Algorithm 4 is printed with 4 bars after the
  first and described with 24 (8.1.2). `bars` says how many; the shorter melody is the beginning of the longer.
- "predict z from prev z" (Algorithm 3): the MDRNN is recurrent, so what it predicts follows from all interpolated bars
  so far, of which prev z is the last. Each pair starts from a fresh state.

A melody depends on its latents, keys, the settings and the models, and on nothing else in the call.

Letters: P pairs, n bars given, T steps of a bar, Z latent size.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.sequences import lerp
from mcvae_jax.models.settings import Settings
from mcvae_jax.nn.keys import Purpose, bar_keys, for_purpose, song_keys

MILLION = 1_000_000  # alphas are told apart to six digits

Path = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # compose.lerp or compose.slerp


class PairKeys(NamedTuple):
    """A key for each pair, (P,), for what the MDRNN draws and for the tokens."""

    latents: jax.Array
    tokens: jax.Array


def pair_keys(seed: int, pairs: Sequence[int], alpha: float) -> PairKeys:
    """The keys of pairs by their numbers: of a pair and alpha they are the same whatever else is asked for."""
    fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    step = round(alpha * MILLION)
    songs = song_keys(seed, pairs)
    return PairKeys(*(fold(for_purpose(songs, purpose), step) for purpose in (Purpose.LATENTS, Purpose.TOKENS)))


def between(z_a: np.ndarray, z_b: np.ndarray, alpha: float, path: Path = lerp) -> np.ndarray:
    """alpha z_a + (1 - alpha) z_b (Eq 6.2), float32; or by another path from b, at alpha 0, to a, at 1."""
    return np.asarray(path(z_b, z_a, alpha), np.float32)


def vae_conditional(codec: BarCodec, z: np.ndarray, keys: PairKeys, settings: Settings) -> np.ndarray:
    """Algorithm 1: every bar of z (P, n, Z) rendered for itself, START first: uint8 (P, n, T)."""
    pairs, bars, latent = z.shape
    rendered = codec.decode(z.reshape(-1, latent), bar_keys(keys.tokens, [bars] * pairs), settings)
    return rendered.reshape(pairs, bars, -1)


def vae_unconditional(codec: BarCodec, z: np.ndarray, keys: PairKeys, settings: Settings, bars: int = 5) -> np.ndarray:
    """Algorithm 2: `bars` * T steps of the decoder from the first bar's vector of z (P, n, Z): uint8 (P, bars, T)."""
    return codec.free_run(z[:, 0], keys.tokens, bars, settings)


def mcvae_conditional(
    model: LatentComposer,
    z: np.ndarray,
    keys: PairKeys,
    settings: Settings,
    with_first: bool = True,
) -> np.ndarray:
    """Algorithm 3: bar j is what the MDRNN predicts after reading z_0 to z_(j-1) of z (P, n, Z), j = 1 to n - 1.

    It never reads what it predicted. Returns uint8 (P, n, T), or (P, n - 1, T) without the first bar.
    """
    fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    found = [z[:, :1]] if with_first else []
    for bar in range(1, z.shape[1]):
        of_bar = fold(keys.latents, bar)
        found.append(np.stack(model.prior.go_on(list(z[:, :bar]), of_bar, 1, settings)))
    return vae_conditional(model.codec, np.concatenate(found, axis=1), keys, settings)


def mcvae_unconditional(
    model: LatentComposer,
    z: np.ndarray,
    keys: PairKeys,
    settings: Settings,
    bars: int = 5,
    with_first: bool = True,
) -> np.ndarray:
    """Algorithm 4: after the first bar's vector of z (P, n, Z), the MDRNN composes `bars` - 1 that follow it.

    Returns uint8 (P, bars, T), or (P, bars - 1, T) without the first bar.
    """
    first = z[:, :1]
    rest = np.stack(model.prior.go_on(list(first), keys.latents, bars - 1, settings))
    found = np.concatenate([first, rest], axis=1) if with_first else rest
    return vae_conditional(model.codec, found, keys, settings)
