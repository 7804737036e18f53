"""Batches are a pure function of the step; every bar once an epoch; transposition by song and epoch."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from mcvae_jax.batches.bars import BarBatches, DataSettings, distinct_batches, hash64
from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF

LENGTHS = np.array([3, 40, 7, 1])


def make_corpus(lengths=LENGTHS, seed=0):
    """Four songs; the first token of a bar is its song's lowest pitch, 40 + song; no bar stands twice."""
    rng = np.random.default_rng(seed)
    song = np.repeat(np.arange(len(lengths)), lengths)
    tokens = rng.integers(50, 60, (len(song), 16)).astype(np.uint8)
    tokens[:, 0] = 40 + song
    tokens[:, 1:5] = rng.choice([NOTE_OFF, NO_EVENT], (len(song), 4))
    tokens[:, 5] = np.arange(len(song))
    return SimpleNamespace(
        tokens=tokens, offsets=np.concatenate([[0], np.cumsum(lengths)]), lengths=np.asarray(lengths), folder="corpus"
    )


def epoch_of(batches, epoch):
    size = batches.settings.batch_size
    first = epoch * len(batches)
    steps = range(first // size, (first + len(batches)) // size + 1)
    bars = np.concatenate([batches(step)["bars"] for step in steps])
    skip = first - steps[0] * size
    return bars[skip : skip + len(batches)]


def test_every_bar_once_an_epoch_in_another_order_and_batches_straddle_epochs():
    corpus = make_corpus()
    batches = BarBatches(corpus, np.arange(4), DataSettings(batch_size=8))
    assert len(batches) == 51 and 51 % 8
    whole = sorted(map(bytes, corpus.tokens))
    epochs = [epoch_of(batches, e) for e in range(3)]
    for epoch in epochs:
        assert sorted(map(bytes, epoch)) == whole
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_batch_is_a_function_of_seed_and_step():
    corpus, songs = make_corpus(), np.arange(4)
    settings = DataSettings(batch_size=8, lowest_shift=-5, highest_shift=6)
    forward = BarBatches(corpus, songs, settings)
    seen = [forward(step)["bars"] for step in range(40)]
    backward = BarBatches(corpus, songs, settings)
    for step in (39, 0, 17):
        np.testing.assert_array_equal(backward(step)["bars"], seen[step])
    other = BarBatches(corpus, songs, DataSettings(batch_size=8, seed=1, lowest_shift=-5, highest_shift=6))
    assert not np.array_equal(other(0)["bars"], seen[0])
    assert forward(3)["index"].tolist() == list(range(8)) and forward(3)["weight"].tolist() == [1.0] * 8


def test_only_the_songs_that_are_asked_for():
    batches = BarBatches(make_corpus(), np.array([0, 2]), DataSettings(batch_size=5))
    assert set(epoch_of(batches, 0)[:, 0].tolist()) == {40, 42} and len(batches) == 10


def test_a_song_has_one_shift_an_epoch_and_all_shifts_come():
    corpus = make_corpus()
    batches = BarBatches(corpus, np.arange(4), DataSettings(batch_size=51, lowest_shift=-5, highest_shift=6))
    shifts = {song: Counter() for song in range(4)}
    for epoch in range(240):
        bars = batches(epoch)["bars"]
        # column 5 names the bar before its shift, column 0 the song: 40 + song
        shift_of = {}
        for bar in bars:
            for shift in range(-5, 7):
                source = int(bar[5]) - shift
                if 0 <= source < 51 and np.array_equal(unshift(bar, shift), corpus.tokens[source]):
                    shift_of.setdefault(int(corpus.tokens[source][0]) - 40, set()).add(shift)
        for song, found in shift_of.items():
            assert len(found) == 1
            shifts[song] += Counter(found)
    # song 1, 2 and 3 may move by all of -5..6; the lowest "note" of song 0 is its bar number 0, so it only goes up
    assert set(shifts[0]) == set(range(7))
    for song in (2, 3):
        assert set(shifts[song]) == set(range(-5, 7))
        # each of 12 shifts is expected 20 times in 240 epochs; five standard deviations of a binomial
        assert max(abs(count - 20) for count in shifts[song].values()) < 5 * np.sqrt(240 / 12 * 11 / 12)


def unshift(bar, shift):
    return np.where(bar < NOTE_OFF, bar.astype(int) - shift, bar)


def test_shifts_stay_within_the_pitch_bounds():
    corpus = make_corpus()
    corpus.tokens[:, 5] = 50
    settings = DataSettings(batch_size=51, lowest_shift=-5, highest_shift=6, min_pitch=39, max_pitch=61)
    batches = BarBatches(corpus, np.arange(4), settings)
    notes = np.concatenate([batches(epoch)["bars"].reshape(-1) for epoch in range(60)])
    notes = notes[notes < NOTE_OFF]
    assert notes.min() == 39 and notes.max() == 61


def test_the_song_sampler_gives_every_song_the_same_weight():
    batches = BarBatches(make_corpus(), np.arange(4), DataSettings(batch_size=51, sampler="song"))
    songs = np.concatenate([batches(step)["bars"][:, 0] for step in range(100)]) - 40
    share = np.bincount(songs, minlength=4) / len(songs)
    np.testing.assert_allclose(share, 0.25, atol=5 * np.sqrt(0.25 * 0.75 / len(songs)))


def test_hashes_differ_in_every_argument():
    epoch, song = (grid.reshape(-1) for grid in np.meshgrid(np.arange(8), np.arange(8)))
    assert len(np.unique([hash64(seed, epoch, song) for seed in range(8)])) == 512


def test_held_out_bars_come_once_with_their_number():
    ids = np.array([0, 1, 1, 2, 1, 0, 4], np.int32)
    distinct = np.arange(5, dtype=np.uint8)[:, None] + np.zeros(16, np.uint8)
    corpus = SimpleNamespace(bar_ids=ids, bars=lambda side: np.arange(7), distinct=distinct)
    batches = list(distinct_batches(corpus, side=1, size=3))
    assert [batch["bars"].shape for batch in batches] == [(3, 16)] * 2
    weight = np.concatenate([batch["weight"] for batch in batches])
    assert weight.tolist() == [2, 3, 1, 1, 0, 0] and weight.dtype == np.float32
    assert np.concatenate([batch["bars"][:, 0] for batch in batches])[:4].tolist() == [0, 1, 2, 4]
    assert np.concatenate([batch["index"] for batch in batches]).tolist() == list(range(6))


def test_a_sample_of_held_out_bars_keeps_their_shares():
    """Sampling distinct bars instead would give silence, the commonest bar, a weight that depends on luck."""
    ids = np.repeat(np.arange(100), np.r_[900, np.ones(99, int)]).astype(np.int32)
    distinct = np.arange(100, dtype=np.uint8)[:, None] + np.zeros(16, np.uint8)
    corpus = SimpleNamespace(bar_ids=ids, bars=lambda side: np.arange(999)[::-1], distinct=distinct)
    batches = list(distinct_batches(corpus, side=1, size=8, most=111))
    bars, weight = (np.concatenate([batch[name] for batch in batches]) for name in ("bars", "weight"))
    assert weight.sum() == 111 and weight[0] == 100 and bars[0, 0] == 0
    assert set(weight[1:].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"sampler": "bars"}, "sampler"),
        ({"lowest_shift": 1}, "lowest_shift"),
        ({"batch_size": 0}, "batch_size"),
        ({"min_pitch": 200}, "min_pitch"),
        ({"min_pitch": 60, "max_pitch": 50}, "they are 60 and 50"),
    ],
)
def test_settings_that_cannot_work_are_named(fields, words):
    with pytest.raises(UserError, match=words):
        DataSettings(**({"batch_size": 4} | fields))


def test_no_training_bars_is_one_clear_error():
    with pytest.raises(UserError, match="no training bars"):
        BarBatches(make_corpus(), np.array([], np.int64), DataSettings(batch_size=4))
