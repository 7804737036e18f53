"""Bars for tests of sheets, written as text, and what they sound."""

from fractions import Fraction

import numpy as np

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.bars import bars_to_tokens, melody_to_bars, tokens_to_bars
from mcvae_jax.music.grid import grid_of
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.sheet.abc import as_abc
from mcvae_jax.music.sheet.musicxml import as_musicxml
from mcvae_jax.music.sheet.sheet import make_sheet
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF, tokens_to_notes

SCALE = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71, "c": 72, "d": 74, "e": 76, "f": 77, "g": 79}
# widths of bars, and metres that they are printed in
METRES = [
    *((16, metre) for metre in ((4, 4), (2, 2), (2, 4), (4, 8), (8, 4), (1, 4))),
    *((12, metre) for metre in ((3, 4), (6, 8), (3, 8), (12, 8), (6, 4))),
    *((24, metre) for metre in ((4, 4), (2, 4))),
    *((20, (5, 4)), (18, (9, 8)), (14, (7, 8)), (48, (4, 4)), (96, (4, 4)), (32, (4, 4)), (80, (4, 4)), (31, (31, 16))),
]


def bars_of(text, steps=16):
    """Bars of steps: a letter is a note that starts, '-' holds, 'z' is silence; blanks and '|' are for the eye."""
    signs = text.replace(" ", "").replace("|", "")
    tokens = np.full(-(-len(signs) // steps) * steps, NO_EVENT, np.uint8)
    for i, sign in enumerate(signs):
        if sign in SCALE:
            tokens[i] = SCALE[sign]
        elif sign == "z" and i and signs[i - 1] != "z":
            tokens[i] = NOTE_OFF
    return tokens.reshape(-1, steps)


def notes_of(bars):
    """Onset from the first note, length and pitch of the notes of bars, in quarters."""
    quarter = grid_of(bars.shape[1]).quarter
    start, end, pitch = (column.tolist() for column in tokens_to_notes(bars_to_tokens(bars)))
    return [
        (Fraction(a - start[0], quarter), Fraction(b - a, quarter), p)
        for a, b, p in zip(start, end, pitch, strict=True)
    ]


def written(bars, **how):
    """The files of a sheet by their suffix."""
    sheet = make_sheet(bars, **how)
    return {".musicxml": as_musicxml(sheet), ".abc": as_abc(sheet)}


def check_read_again(bars, metre, **how):
    """AssertionError unless our own readers make the same bars of both formats, and take all just as it is written."""
    expected = tokens_to_bars(bars_to_tokens(bars), bars.shape[1])
    for suffix, text in written(bars, metre=metre, **how).items():
        (score,) = read_scores(text.encode(), suffix)
        found, stats = melody_to_bars(
            score, score.tracks[0], CorpusSettings("x", steps_per_bar=bars.shape[1], min_pitch=0, max_pitch=127)
        )
        np.testing.assert_array_equal(found, expected, f"{suffix}: {text}")
        assert not score.remarks and not (stats.moved or stats.padded or stats.cut or stats.left_out), text


def music_of(bars, **how):
    """The music of a tune in ABC, without the head, in one line."""
    return " ".join(written(bars, **how)[".abc"].split("K:")[1].splitlines()[1:])
