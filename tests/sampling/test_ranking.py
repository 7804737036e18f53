"""Of several draws of a song the likeliest stays, whatever else is in the call."""

import dataclasses

import jax
import numpy as np
import pytest

from mcvae_jax.errors import UserError
from mcvae_jax.models.settings import Settings
from mcvae_jax.models.song_model import EXACT, NO_LIKELIHOOD
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.sampling.ranking import go_on

STEPS = 4


@dataclasses.dataclass
class Coins:
    """Bars of zeros and ones, a fair coin each; a one costs 1 nat, whatever was before."""

    name = "coins"
    likelihood: str = EXACT

    def go_on(self, seeds, keys, bars, settings, max_bars=128):
        lengths = [bars or 1 + int(jax.random.randint(key, (), 0, max_bars)) for key in keys]
        drawn = [jax.random.bernoulli(key, 0.5, (n, STEPS)) for key, n in zip(keys, lengths, strict=True)]
        return [np.asarray(each, np.uint8) for each in drawn]

    def nats(self, songs, draws=1, seed=0):
        return [song.sum(axis=1).astype(np.float64) for song in songs]


def made(seeds, best_of, bars=5, numbers=None, **fields):
    keys = song_keys(3, numbers or range(1, len(seeds) + 1), seeds)
    return go_on(Coins(**fields), seeds, keys, bars, Settings(best_of=best_of), max_bars=6)


def nothing(songs):
    return [np.empty((0, STEPS), np.uint8)] * songs


def test_the_draw_with_the_fewest_bits_stays_and_all_are_told():
    for song, bits in made(nothing(6), 5):
        assert len(bits) == 5 and bits == sorted(bits)
        assert bits[0] == round(float(song.sum(axis=1).mean() / np.log(2)), 2)
    few, many = (np.mean([bits[0] for _, bits in made(nothing(40), n)]) for n in (2, 8))
    assert many < few < 2 / np.log(2)  # the mean of one draw


def test_one_draw_is_the_song_itself_and_the_first_of_several():
    alone = [song for song, bits in made(nothing(8), 1) if bits == []]
    assert len(alone) == 8
    several = made(nothing(8), 2)
    kept = [np.array_equal(a, b) for a, (b, _) in zip(alone, several, strict=True)]
    assert any(kept) and not all(kept)
    for a, (b, bits), same in zip(alone, several, kept, strict=True):
        assert round(float(a.sum(axis=1).mean() / np.log(2)), 2) in bits
        assert same or b.sum() < a.sum()


def test_a_choice_depends_on_nothing_else_in_the_call():
    seeds = [np.full((n, STEPS), n % 2, np.uint8) for n in (1, 2, 3, 4)]
    whole = made(seeds, 4, bars=None)
    (third, bits), *_ = made(seeds[2:3], 4, bars=None, numbers=[3])
    np.testing.assert_array_equal(third, whole[2].bars)
    assert bits == whole[2].bits


def test_bars_of_the_seed_do_not_count():
    dear = [np.ones((9, STEPS), np.uint8)] * 3
    for song, bits in made(dear, 3):
        assert bits[0] == round(float(song.sum(axis=1).mean() / np.log(2)), 2)


def test_without_a_likelihood_there_is_no_choice():
    assert len(made(nothing(2), 1, likelihood=NO_LIKELIHOOD)) == 2
    with pytest.raises(UserError, match="coins has no likelihood.*best_of=1"):
        made(nothing(2), 2, likelihood=NO_LIKELIHOOD)


@pytest.mark.parametrize("best_of", [0, 65])
def test_so_many_draws_are_refused(best_of):
    with pytest.raises(UserError, match="best_of"):
        Settings(best_of=best_of)
