"""The dice game against counts of the corpus."""

import numpy as np
import pytest
from scipy.stats import chisquare

from mcvae_jax.errors import UserError
from mcvae_jax.models.dice import Dice, make_dice
from mcvae_jax.models.settings import Settings
from tests.draws import keys_of

PHRASE, T = 4, 16


def song_of(*kinds):
    """A song whose bars are told apart by a number."""
    return np.stack([np.full(T, kind, np.uint8) for kind in kinds])


SONGS = [song_of(1, 2, 3, 4, 1, 2), song_of(1, 5, 3), song_of(6, 5, 7, 8)]
AT = [{1: 3, 6: 1}, {2: 2, 5: 2}, {3: 2, 7: 1}, {4: 1, 8: 1}]  # of each place of the phrase the bars, counted by hand


@pytest.mark.parametrize("given", [0, 3, 6])
def test_each_place_of_the_phrase_has_its_bars_as_often_as_the_corpus(given):
    """Over 3,000 songs that go on after seeds of several lengths; chi-squared by scipy."""
    seed = song_of(*[9] * given) if given else np.zeros((0, T), np.uint8)
    songs = np.stack(Dice.of(SONGS, PHRASE).go_on([seed] * 3000, keys_of(3000), 5, Settings()))
    assert (songs == songs[..., :1]).all(), "bars are whole"
    for n in range(5):
        expected = AT[(given + n) % PHRASE]
        kinds, counts = np.unique(songs[:, n, 0], return_counts=True)
        assert list(kinds) == list(expected)
        shares = np.array(list(expected.values()))
        assert chisquare(counts, 3000 * shares / shares.sum()).pvalue > 1e-4
    pairs = np.unique(songs[:, [0, 4], 0], axis=0)
    assert len(pairs) == len(AT[given % PHRASE]) ** 2, "places one phrase apart are thrown for themselves"


def test_a_place_without_bars_has_those_of_all_places():
    dice = Dice.of([song_of(1, 2)], PHRASE)
    assert [sorted({int(bar[0]) for bar in faces}) for faces in dice.faces] == [[1], [2], [1, 2], [1, 2]]


def test_a_phrase_of_nothing_is_told():
    with pytest.raises(UserError, match="config.model.phrase is 0"):
        make_dice({"model": {"phrase": 0}}, SONGS)
