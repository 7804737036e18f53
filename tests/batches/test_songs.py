"""Batches of songs are a pure function of the step; every song once an epoch; little padding, few shapes."""

from types import SimpleNamespace

import numpy as np
import pytest

from mcvae_jax.batches.songs import (
    LatentSettings,
    SongBatches,
    SongSettings,
    latent_maker,
    padded_length,
    scored_batches,
    token_maker,
    usable_songs,
    whole_songs,
)
from mcvae_jax.errors import UserError
from mcvae_jax.latents import Latents
from mcvae_jax.music.tokens import NO_EVENT

LENGTHS = np.random.default_rng(0).integers(16, 200, 101)
LOWEST, HIGHEST = -5, 6


def make_corpus(lengths=LENGTHS):
    """Song i has the lowest pitch 3 + i % 100, and notes up to six semitones higher."""
    song = np.repeat(np.arange(len(lengths)), lengths)
    tokens = np.full((len(song), 16), NO_EVENT, np.uint8)
    tokens[:, 0], tokens[:, 1] = 3 + song % 100, 9 + song % 100
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    sides = np.zeros(len(lengths), np.uint8)
    return SimpleNamespace(
        tokens=tokens,
        offsets=offsets,
        lengths=np.asarray(lengths),
        folder="corpus",
        songs=lambda side: np.flatnonzero(sides == side),
        song=lambda i: tokens[offsets[i] : offsets[i + 1]],
    )


def make_latents(corpus):
    """mu of a bar is (its song, its place in the song, the shift), log_var is -mu."""
    song = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
    place = np.arange(len(song)) - corpus.offsets[song]
    shifts = range(LOWEST, HIGHEST + 1)
    mu = np.concatenate([np.stack([song, place, np.full(len(song), s)], axis=1) for s in shifts]).astype(np.float32)
    rows = np.arange(len(mu), dtype=np.int32).reshape(len(shifts), -1)
    return Latents(mu, -mu, rows, LOWEST)


def make_batches(lengths=LENGTHS, make=None, **fields):
    corpus = make_corpus(lengths)
    settings = SongSettings(
        **{"batch_size": 8, "lowest_shift": LOWEST, "highest_shift": HIGHEST, "min_bars": 1} | fields
    )
    maker = make(corpus) if make else latent_maker(corpus, make_latents(corpus))
    return SongBatches(corpus, np.arange(len(lengths)), settings, maker)


def songs_of(batch):
    """(song, shift, first bar, bars) of each song of a batch, its form checked on the way."""
    rows = []
    for mu, log_var, mask, weight in zip(batch["mu"], batch["log_var"], batch["mask"], batch["weight"], strict=True):
        n = int(mask.sum())
        assert weight == (n > 0) and (mask == (np.arange(len(mask)) < n)).all()
        assert not mu[n:].any() and not log_var[n:].any() and (log_var == -mu).all()
        if n:
            assert len(set(mu[:n, 0])) == len(set(mu[:n, 2])) == 1
            assert (mu[:n, 1] == mu[0, 1] + np.arange(n)).all()
            rows.append((int(mu[0, 0]), int(mu[0, 2]), int(mu[0, 1]), n))
    return rows


def epoch_of(batches, epoch):
    return [row for place in range(len(batches)) for row in songs_of(batches(epoch * len(batches) + place))]


def test_every_song_whole_and_once_an_epoch_in_another_order():
    batches = make_batches()
    assert len(batches) == 13 and len(LENGTHS) % 8
    epochs = [epoch_of(batches, e) for e in range(3)]
    for rows in epochs:
        assert sorted((song, first, n) for song, _, first, n in rows) == [(i, 0, n) for i, n in enumerate(LENGTHS)]
    assert [r[0] for r in epochs[0]] != [r[0] for r in epochs[1]]
    total = sum(int(batches(step)["mask"].sum()) for step in range(13))
    assert batches.bars_per_batch == pytest.approx(total / 13)


def test_a_batch_is_a_function_of_seed_and_step():
    batches, other, seeded = make_batches(), make_batches(), make_batches(seed=1)
    forward = [batches(step) for step in range(30)]
    for step in (29, 0, 17):
        again = other(step)
        for name, values in forward[step].items():
            np.testing.assert_array_equal(again[name], values)
    assert songs_of(seeded(0)) != songs_of(forward[0])
    assert forward[3]["index"].tolist() == list(range(8))


def test_songs_of_like_lengths_come_together_and_shapes_are_few():
    lengths = np.random.default_rng(1).integers(16, 339, 1000)
    batches = make_batches(lengths)
    shapes, padded = set(), 0
    order = []
    for step in range(len(batches)):
        batch = batches(step)
        shapes.add(batch["mask"].shape)
        padded += batch["mask"].size
        order.append(batch["mask"].sum())
    assert shapes <= {(8, n) for n in (32, 64, 128, 256, 512)}
    assert lengths.sum() / padded > 0.6, "with songs in any order it is about 0.4"
    assert np.corrcoef(order, np.arange(len(order)))[0, 1] < 0.3, "short songs must not come first"
    groups = [tuple(sorted(r[0] for r in songs_of(batches(step)))) for step in range(len(batches))]
    later = {tuple(sorted(r[0] for r in songs_of(batches(len(batches) + i)))) for i in range(len(batches))}
    assert len(set(groups) & later) < 3, "songs must not always meet the same others"


def test_transposition_is_drawn_for_song_and_epoch_within_the_bounds():
    batches = make_batches(min_pitch=4, max_pitch=100)
    shifts = np.array([[row[1] for row in sorted(epoch_of(batches, e))] for e in range(12)])
    assert LOWEST <= shifts.min() and shifts.max() <= HIGHEST and len(np.unique(shifts)) == 12
    lowest = 3 + np.arange(101) % 100
    assert (lowest + shifts >= np.minimum(lowest, 4)).all() and (
        lowest + 6 + shifts <= np.maximum(lowest + 6, 100)
    ).all()
    assert len(np.unique(shifts[:, 50])) > 3
    assert not [row for row in epoch_of(make_batches(lowest_shift=0, highest_shift=0), 0) if row[1]]


def test_a_share_of_the_songs_is_left_as_written_others_in_each_epoch():
    """The others keep the transposition that they have anyway, of which one in twelve is 0."""
    shifts, anyway = (
        np.array([[row[1] for row in sorted(epoch_of(make_batches(**fields), e))] for e in range(12)])
        for fields in ({"as_written": 0.7}, {})
    )
    assert np.mean(shifts == 0) == pytest.approx(0.7 + 0.3 / 12, abs=0.04)
    assert np.all((shifts == 0) | (shifts == anyway)) and np.all(np.mean(shifts == 0, axis=0) > 0)
    assert not np.any([row[1] for row in epoch_of(make_batches(as_written=1.0), 3)])


def test_windows_are_drawn_anew_and_only_those_at_the_end_have_an_end():
    batches = make_batches(window=20)
    seen = {}
    for step in range(30 * len(batches)):
        batch = batches(step)
        assert batch["mask"].shape == (8, 20)
        rows = songs_of(batch)
        for (song, _, first, n), end in zip(rows, batch["ends"], strict=False):
            assert n == min(20, LENGTHS[song]) and end == (first + n == LENGTHS[song])
            seen.setdefault(song, set()).add(first)
    long = int(np.argmax(LENGTHS))
    assert len(seen[long]) > 15 and 0 <= min(seen[long]) and max(seen[long]) <= LENGTHS[long] - 20
    tight = [song for song in seen if LENGTHS[song] == 22]
    assert all(seen[song] == {0, 1, 2} for song in tight)


def test_whole_songs_end():
    batch = make_batches()(0)
    assert (batch["ends"] == batch["weight"]).all()


def test_held_out_songs_are_whole_as_they_stand_and_each_once():
    corpus = make_corpus()
    songs = np.arange(5, 50)
    pieces = whole_songs(corpus, songs)
    batches = list(scored_batches(pieces, 8, latent_maker(corpus, make_latents(corpus))))
    rows = [row for batch in batches for row in songs_of(batch)]
    assert sorted(rows) == [(i, 0, 0, LENGTHS[i]) for i in songs]
    assert sorted(np.concatenate([batch["index"] for batch in batches])) == list(range(48))
    assert [piece.bars for piece in pieces] == sorted(LENGTHS[songs])
    assert {batch["mask"].shape for batch in batches} <= {(8, n) for n in (32, 64, 128, 256)}


def test_batches_of_tokens_hold_the_same_pieces():
    """As those of latents do: the same songs, transposed and cut alike."""
    latents, tokens = make_batches(window=20), make_batches(make=token_maker, window=20)
    for step in (0, 7, 40):
        batch = tokens(step)
        assert batch["bars"].dtype == np.uint8 and batch["bars"].shape == (8, 20, 16)
        rows = songs_of(latents(step))
        for n, (song, shift, first, bars) in enumerate(rows):
            expected = np.full((bars, 16), NO_EVENT)
            expected[:, 0], expected[:, 1] = 3 + song % 100 + shift, 9 + song % 100 + shift
            np.testing.assert_array_equal(batch["bars"][n, :bars], expected)
            assert batch["first"][n] == first and not batch["bars"][n, bars:].any()
        for name in ("mask", "ends", "weight", "index"):
            np.testing.assert_array_equal(batch[name], latents(step)[name])


def test_songs_too_short_or_too_long_are_left_out_and_counted():
    corpus = make_corpus([15, 16, 339, 340, 3])
    songs, left_out = usable_songs(corpus, 0, SongSettings(1))
    assert songs.tolist() == [1, 2] and left_out == {"too_short": 2, "too_long": 1}
    songs, left_out = usable_songs(corpus, 0, SongSettings(1, max_bars=0))
    assert songs.tolist() == [1, 2, 3] and left_out == {"too_short": 2, "too_long": 0}


def test_padded_lengths():
    found = [padded_length(n) for n in (1, 32, 33, 64, 65, 128, 129, 339, 10_000)]
    assert found == [32, 32, 64, 64, 128, 128, 256, 512, 16384]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"draw": "z"}, "config.data.draw is 'q' or 'mu', not 'z'"),
        ({"min_bars": 0}, "min_bars must be at least 1"),
        ({"max_bars": 15}, "max_bars not below it"),
        ({"window": -1}, "config.data.window is -1"),
        ({"lowest_shift": 1}, "lowest_shift must be from -127 to 0"),
        ({"as_written": 1.5}, "config.data.as_written is 1.5; it must be a share"),
    ],
)
def test_settings_that_cannot_work_are_one_line(fields, said):
    with pytest.raises(UserError, match=said):
        LatentSettings(8, **fields)
