"""The key of bars of notes: which one they are in, its signature, and the names of pitches in it."""

import re
from typing import NamedTuple

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.notation import key_name
from mcvae_jax.music.tokens import tokens_to_notes

MAJOR_SCALE = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
# How well each pitch class fits a key, C major and C minor: Krumhansl and Kessler 1982, as in Krumhansl 1990, p. 30.
PROFILES = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
_FIFTHS = "FCGDAEB"
_LOWEST = -5  # the signature of D flat major; six sharps stand for six flats


class Key(NamedTuple):
    """A major or minor key by its signature."""

    sharps: int  # -7 to 7; flats below 0
    minor: bool = False

    @property
    def name(self) -> str:
        """'G', 'Em'."""
        return key_name(self.sharps, "minor" if self.minor else None)

    @property
    def tonic(self) -> int:
        """The place of the tonic on the line of fifths, on which F is -1, C 0, G 1."""
        return self.sharps + 3 * self.minor


def parse_key(name: str) -> Key:
    """'G', 'Em', 'Bb', 'F#m' as files state them (Score.keys); raises UserError."""
    match = re.fullmatch(r"([A-G])([#b]?)(m?)", name)
    if match:
        tonic = _FIFTHS.index(match[1]) - 1 + {"#": 7, "b": -7, "": 0}[match[2]]
        key = Key(tonic - 3 * bool(match[3]), bool(match[3]))
        if -7 <= key.sharps <= 7:
            return key
    raise UserError(f"{name[:20]!r} is no key; say for example 'G', 'Em', 'Bb' or 'F#m'")


def pitch_class_steps(bars: np.ndarray) -> np.ndarray:
    """For how many steps each pitch class sounds in bars, uint8 (n, T): float64 (12,)."""
    start, end, pitch = tokens_to_notes(bars.reshape(-1))
    return np.bincount(pitch % 12, end - start, minlength=12)


def key_correlations(steps: np.ndarray) -> np.ndarray:
    """How well each key fits what sounds, (12,): float64 (2, 12), major and minor by their tonics from C.

    The correlation with the profile of the key (Krumhansl and Schmuckler, in Krumhansl 1990); 0 where all sound alike.
    """
    if np.ptp(steps) == 0:
        return np.zeros((2, 12))
    return np.array([[np.corrcoef(steps, np.roll(profile, key))[0, 1] for key in range(12)] for profile in PROFILES])


def _best_scale(steps: np.ndarray) -> int:
    """The tonic, from C, of the major key whose scale fits what sounds, (12,), best."""
    within = np.array([steps[np.roll(MAJOR_SCALE, key)].sum() for key in range(12)])
    major, minor = key_correlations(steps)
    return max(range(12), key=lambda key: (within[key], max(major[key], minor[(key + 9) % 12])))


def scale_of(bars: np.ndarray) -> np.ndarray | None:
    """The diatonic scale that bars fit best, bool (12,) by pitch classes; None where no note sounds.

    It holds most of what sounds. Where few pitch classes fit several scales, that of the key with the best correlation
    is taken, major or natural minor. Modes have the scale of the major key with the same signature.
    """
    steps = pitch_class_steps(bars)
    return np.roll(MAJOR_SCALE, _best_scale(steps)) if steps.any() else None


def find_key(bars: np.ndarray) -> Key:
    """The key of bars, uint8 (n, T): the signature of `scale_of`, major or minor by the better correlation.

    C major where no note sounds.
    """
    steps = pitch_class_steps(bars)
    if not steps.any():
        return Key(0)
    scale = _best_scale(steps)
    major, minor = key_correlations(steps)
    sharps = (7 * scale - _LOWEST) % 12 + _LOWEST  # a fifth is seven semitones, and seven times seven is one modulo 12
    return Key(sharps, bool(minor[(scale + 9) % 12] > major[scale]))
