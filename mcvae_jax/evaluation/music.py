"""What a musician asks of songs, as shares with intervals: key, leaps, loops, what comes back, and how they end.

Each figure counts something in the bars of a song that follow its given ones, uint8 (n, T) with 0 <= given < n, out of
all that could be so. Letters: n bars of a song, T steps of a bar, S songs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.evaluation.beside import beside
from mcvae_jax.evaluation.scores import ratio
from mcvae_jax.music.bars import distinct_bars, repeats
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.keys import scale_of
from mcvae_jax.music.tokens import NOTE_OFF, tokens_to_notes

Songs = Sequence[np.ndarray]

GIVEN = 8  # bars of a real song after which models go on
LAGS = 16  # bars
FIFTH, OCTAVE = 7, 12  # semitones


class Counted(NamedTuple):
    """So many out of so many."""

    hits: float
    of: float


def out_of_key(song: np.ndarray, given: int) -> Counted:
    """Notes outside the scale of the given bars; where none is given, outside that of the song itself."""
    scale, notes = scale_of(song[:given] if given else song), song[given:][song[given:] < NOTE_OFF]
    return Counted(0, 0) if scale is None else Counted(float(np.sum(~scale[notes % 12])), len(notes))


def leaps(song: np.ndarray, given: int, over: int) -> Counted:
    """Notes that are more than `over` semitones from the note before."""
    start, _, pitch = tokens_to_notes(song.reshape(-1))
    steps = np.abs(np.diff(pitch))[start[1:] >= given * song.shape[1]]
    return Counted(float(np.sum(steps > over)), len(steps))


def loops(song: np.ndarray, given: int) -> Counted:
    """Bars within A-B-A-B, of two different bars."""
    bars, within = distinct_bars(song)[1], np.zeros(len(song), bool)
    for i in range(len(song) - 3):
        a, b, c, d = bars[i : i + 4]
        within[i : i + 4] |= a == c and b == d and a != b
    return Counted(float(np.sum(within[given:])), len(song) - given)


def ending(song: np.ndarray, given: int) -> Counted:
    """Whether the last note is in the scale, begins a bar or its second half, and lasts a quarter or longer."""
    scale = scale_of(song[:given] if given else song)
    start, end, pitch = tokens_to_notes(song.reshape(-1))
    if scale is None or not len(start) or start[-1] < given * song.shape[1]:
        return Counted(0, 1)
    strong = start[-1] % song.shape[1] in (0, song.shape[1] / 2)
    long = end[-1] - start[-1] >= grid_of(song.shape[1]).quarter
    return Counted(float(strong and long and scale[pitch[-1] % 12]), 1)


def repeated(song: np.ndarray, given: int) -> Counted:
    """Bars that are the same, note for note, as any earlier bar of their song."""
    return Counted(float(np.sum(repeats(song)[given:])), len(song) - given)


def comes_back(song: np.ndarray, given: int, lag: int) -> Counted:
    """Bars that are the same, note for note, as the bar `lag` before."""
    bars = distinct_bars(song)[1]
    here = np.arange(max(given, lag), len(song))
    return Counted(float(np.sum(bars[here] == bars[here - lag])), len(here))


ENDING = "ends on a long tone of the scale"
FIGURES: Mapping[str, Callable[[np.ndarray, int], Counted]] = {
    "notes out of the key": out_of_key,
    "leaps over a fifth": lambda song, given: leaps(song, given, FIFTH),
    "leaps over an octave": lambda song, given: leaps(song, given, OCTAVE),
    "bars in A-B-A-B loops": loops,
    "bars that repeat an earlier one": repeated,
    ENDING: ending,
}


def musical_figures(real: str, sets: Mapping[str, Songs], given: int, seed: int, ended: bool = True) -> dict[str, Any]:
    """Every figure of every set beside the real songs, as JSON.

    Args:
      real: the name of the real songs among the sets.
      sets: songs of more bars than `given`. Where bars are given, song i of every set has those of song i of the real
        ones, and what they differ by is resampled in pairs.
      ended: whether songs end where they do by themselves; else how they end is left out.

    Returns: 'given', 'real', and by name 'sets', each with 'songs', 'figures' by name and 'lags' (of 1, 2, ... bars).
      A figure has 'value' and 'interval', None where nothing could be counted, and 'beyond' and 'times' (`beside`).
    """
    asked = {name: count for name, count in FIGURES.items() if ended or name != ENDING}
    counts = {name: {f: _counts(songs, given, count) for f, count in asked.items()} for name, songs in sets.items()}
    by_lag = [lambda song, given, lag=lag: comes_back(song, given, lag) for lag in range(1, LAGS + 1)]
    found = {}
    for name, songs in sets.items():
        figures = {}
        for figure, own in counts[name].items():
            figures[figure] = _share(own, seed) | beside(own, counts[real][figure], given > 0, seed)
        lags = [_share(_counts(songs, given, count), seed) for count in by_lag]
        found[name] = {"songs": len(songs), "figures": figures, "lags": lags}
    return {"given": given, "real": real, "sets": found}


def _counts(songs: Songs, given: int, count: Callable[[np.ndarray, int], Counted]) -> np.ndarray:
    """float64 (S, 2): `Counted` of each song."""
    return np.array([count(song, given) for song in songs], np.float64)


def _share(counts: np.ndarray, seed: int) -> dict[str, Any]:
    hits, of = counts.T
    return ratio(hits, of, seed)
