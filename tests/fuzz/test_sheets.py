"""Whatever is composed, its score is read back to the same bars, and its title stays a title."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.sheet.sheet import make_sheet
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF
from tests.music.sheet.songs import METRES, check_read_again, written

pytestmark = pytest.mark.fuzz
KEYS = st.sampled_from(["", "C", "F#", "Gb", "Am", "D#m", "Abm", "Cb", "C#"])


@st.composite
def songs(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int]]:
    """Bars with a note at least, some of which come back, and a metre."""
    steps, metre = draw(st.sampled_from(METRES))
    token = st.just(NO_EVENT) | st.sampled_from([NO_EVENT, NOTE_OFF, 60, 61]) | st.integers(12, 127)
    kinds = draw(st.lists(st.lists(token, min_size=steps, max_size=steps), min_size=1, max_size=4))
    order = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=20)) * draw(st.integers(1, 2))
    bars = np.array([kinds[i] for i in order], np.uint8)
    bars[draw(st.integers(0, len(bars) - 1)), draw(st.integers(0, steps - 1))] = 66
    return bars, metre


@given(songs(), KEYS, st.lists(st.integers(0, 20), max_size=2))
def test_scores_are_read_back(song, key, labels):
    bars, metre = song
    check_read_again(bars, metre, key=key, labels=[(bar, "here") for bar in labels if bar < len(bars)])


@given(st.text(st.characters(), max_size=40))
def test_titles_are_read_back(title):
    bars = np.array([[60, *[NO_EVENT] * 15]], np.uint8)
    for suffix, text in written(bars, title=title, composer=title, labels=[(0, title)]).items():
        (score,) = read_scores(text.encode(), suffix)
        assert score.title == make_sheet(bars, title=title).title and len(score.tracks[0].pitch) == 1
