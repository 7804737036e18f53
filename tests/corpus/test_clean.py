"""Duplicates, limits, split and leakage, against plain loops that work on notes instead of tokens."""

import random

import numpy as np
import pytest

from mcvae_jax.corpus import clean as clean_module
from mcvae_jax.corpus.clean import clean, content_hash, song_content, split_side
from mcvae_jax.corpus.read import Song
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN
from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import notes_to_tokens

SETTINGS = CorpusSettings("test")


def notes_to_bars(notes, delay=0):
    """uint8 (n, 16) of (onset, end, pitch) in steps, after `delay` silent steps."""
    start, end, pitch = (np.array(column) for column in zip(*notes, strict=True))
    tokens = notes_to_tokens(start + delay, end + delay, pitch)
    padding = [128] + [129] * 15 if len(tokens) % 16 else []
    return np.append(tokens, padding[: -len(tokens) % 16]).astype(np.uint8).reshape(-1, 16)


def random_notes(rng, count):
    """Notes with random rests between them."""
    notes, step = [], 0
    for _ in range(count):
        length = rng.choice([1, 2, 2, 4, 4, 8])
        notes.append((step, step + length, rng.randint(55, 80)))
        step += length + rng.choice([0, 0, 0, 2])
    return notes


def song(name, notes, shift=0, delay=0, checksum=None):
    bars = notes_to_bars([(start, end, pitch + shift) for start, end, pitch in notes], delay)
    return Song(name, (checksum or name).encode().ljust(16)[:16], bars, None, "")


def tunes(count, seed=0, notes=40):
    rng = random.Random(seed)
    return [random_notes(rng, notes) for _ in range(count)]


def sides_by_name(cleaned):
    return {s.name: int(side) for s, side in zip(cleaned.songs, cleaned.sides, strict=True)}


def relative(notes):
    """The tune in any key, as the oracle sees it."""
    return tuple((start - notes[0][0], end - notes[0][0], pitch - notes[0][2]) for start, end, pitch in notes)


def shingles_by_loop(notes):
    """All windows of 8 notes as (interval, steps between onsets), or the whole of a shorter tune."""
    steps = [(b[2] - a[2], b[0] - a[0]) for a, b in zip(notes, notes[1:], strict=False)]
    length = min(7, len(steps))
    return {tuple(steps[i : i + length]) for i in range(len(steps) - length + 1)}


def similarity_by_loop(notes, training):
    """Largest share of the windows of `notes` that stand in one tune of `training`, and which tune first."""
    own = shingles_by_loop(notes)
    shares = [len(own & shingles_by_loop(other)) / len(own) for other in training]
    return max(shares), shares.index(max(shares)) if max(shares) else -1


# --- content -----------------------------------------------------------------------------------------------


def test_content_is_relative_and_has_no_silence_around_it():
    bars = notes_to_bars([(0, 2, 60), (4, 5, 67)], delay=5)
    np.testing.assert_array_equal(song_content(bars), [0, 129, 128, 129, 7])


def test_content_hash_ignores_key_and_alignment_and_nothing_else():
    notes = tunes(1)[0]
    plain = content_hash(notes_to_bars(notes))
    assert content_hash(notes_to_bars([(a, b, p + 5) for a, b, p in notes])) == plain
    for delay in range(1, 17):
        assert content_hash(notes_to_bars(notes, delay)) == plain
    assert content_hash(np.append(notes_to_bars(notes), np.full((2, 16), 129, np.uint8), axis=0)) == plain
    changed = [(a, b, p + (i == 3)) for i, (a, b, p) in enumerate(notes)]
    assert content_hash(notes_to_bars(changed)) != plain
    shorter = [*notes[:-1], (notes[-1][0], notes[-1][1] + 1, notes[-1][2])]
    assert content_hash(notes_to_bars(shorter)) != plain


def test_a_last_note_that_fills_its_bar_is_the_same_in_another_alignment():
    notes = [(0, 8, 60), (8, 16, 62)]
    assert not (notes_to_bars(notes) == 128).any() and (notes_to_bars(notes, 3) == 128).any()
    assert content_hash(notes_to_bars(notes)) == content_hash(notes_to_bars(notes, 3))


def test_a_pitch_far_above_the_first_is_not_taken_for_a_rest():
    low_to_high = notes_to_bars([(0, 1, 0), (1, 2, 127), (2, 3, 0)])
    np.testing.assert_array_equal(song_content(low_to_high), [0, 127, 0])
    high_to_low = notes_to_bars([(0, 1, 127), (1, 2, 0)])
    np.testing.assert_array_equal(song_content(high_to_low), [0, -127])


def test_silence_has_empty_content():
    assert len(song_content(np.full((3, 16), 129, np.uint8))) == 0


# --- duplicates and limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dedupe", ["tune", "file", "none"])
def test_duplicates_against_a_loop(dedupe):
    rng = random.Random(1)
    base = tunes(12, notes=12)
    entries = []  # (name, notes as written, checksum)
    for i in range(60):
        notes, shift = base[rng.randrange(12)], rng.choice([0, 0, 3, -4])
        shifted = [(a, b, p + shift) for a, b, p in notes]
        entries.append((f"{rng.randrange(10**6)}/{i}", shifted, str(shifted) if i % 2 else str(i)))
    checksums = {text: f"{n:016d}" for n, text in enumerate(sorted({text for _, _, text in entries}))}
    songs = [song(name, notes, checksum=checksums[text]) for name, notes, text in entries]

    groups = {}
    for name, notes, text in entries:
        key = {"tune": relative(notes), "file": text, "none": name}[dedupe]
        groups.setdefault(key, []).append((name, notes))
    cleaned = clean(songs, CorpusSettings("test", dedupe=dedupe))
    written = {name: notes for name, notes, _ in entries}
    kept = [s.name for s in cleaned.songs]
    assert sorted(kept) == kept
    assert len(kept) == len(groups) and len(kept) + len(cleaned.dropped) == len(songs)
    for members in groups.values():
        (chosen,) = set(kept) & {name for name, _ in members}
        # of songs with the same notes the smallest name stays
        assert chosen == min(name for name, notes in members if notes == written[chosen])


def test_what_stays_depends_neither_on_order_nor_on_names():
    songs = [song(f"{i}.{shift}", notes, shift) for i, notes in enumerate(tunes(30)) for shift in (0, 2, -3)]
    cleaned = clean(songs, SETTINGS)
    shuffled = random.Random(2).sample(songs, len(songs))
    again = clean(shuffled, SETTINGS)
    assert [s.name for s in again.songs] == [s.name for s in cleaned.songs]
    np.testing.assert_array_equal(again.sides, cleaned.sides)
    assert sorted(again.dropped) == sorted(cleaned.dropped)
    renamed = clean([s._replace(name=f"other {i}") for i, s in enumerate(shuffled)], SETTINGS)
    assert {s.bars.tobytes() for s in renamed.songs} == {s.bars.tobytes() for s in cleaned.songs}


def test_no_key_is_preferred_among_copies():
    kept = clean([song(f"{i}.{shift}", n, shift) for i, n in enumerate(tunes(60)) for shift in (0, 1)], SETTINGS).songs
    shifts = [s.name.split(".")[1] for s in kept]
    assert 10 < shifts.count("1") < 50


def test_the_same_tune_at_another_speed_or_with_small_changes_is_one():
    """Of each tune the shortest version stays; the changed ones are named apart from those that are the same."""
    songs, twins = [], {}
    for i, notes in enumerate(tunes(12, notes=60)):
        changed = [(a, b, p + (n in (9, 31))) for n, (a, b, p) in enumerate(notes)]
        versions = {"plain": notes, "slow": [(2 * a, 2 * b, p) for a, b, p in notes], "changed": changed}
        twins |= {f"{i}.{name}": i for name in versions}
        songs += [song(f"{i}.{name}", version, shift=n) for n, (name, version) in enumerate(versions.items())]
    cleaned = clean(songs, SETTINGS)
    assert sorted(twins[s.name] for s in cleaned.songs) == list(range(12))
    assert not any(s.name.endswith("slow") for s in cleaned.songs)
    assert {skip.reason for skip in cleaned.dropped} == {clean_module.NEAR_DUPLICATE} and len(cleaned.dropped) == 24
    assert all(twins[skip.name] == twins[skip.detail.removeprefix("the same as ")] for skip in cleaned.dropped)
    assert len(clean(songs, CorpusSettings("test", alike="windows")).songs) == 36


def test_a_held_out_song_at_half_the_speed_of_a_training_song_is_not_scored():
    notes = tunes(40, notes=60)
    songs = [song(f"{i}.1", n) for i, n in enumerate(notes)]
    songs += [song(f"{i}.2", [(2 * a, 2 * b, p) for a, b, p in n]) for i, n in enumerate(notes)]
    for alike, excluded in (("edits", True), ("windows", False)):
        cleaned = clean(songs, CorpusSettings("test", dedupe="file", held_out=0.3, alike=alike))
        sides = sides_by_name(cleaned)
        apart = [i for i in range(40) if TRAIN in (sides[f"{i}.1"], sides[f"{i}.2"]) != (TRAIN, TRAIN)]
        assert len(apart) > 8
        assert all((EXCLUDED in (sides[f"{i}.1"], sides[f"{i}.2"])) == excluded for i in apart)


def test_a_book_of_tunes_is_no_duplicate_of_itself():
    songs = [song(f"book#{i}", notes, checksum="book") for i, notes in enumerate(tunes(5))]
    assert len(clean(songs, SETTINGS).songs) == 5


def test_songs_over_the_limit_are_dropped_and_named():
    songs = [song(name, [(0, 16 * n, 60 + n)]) for name, n in [("short", 3), ("exact", 4), ("long", 5)]]
    cleaned = clean(songs, CorpusSettings("test", max_bars=4))
    assert [s.name for s in cleaned.songs] == ["exact", "short"]
    ((name, reason, detail),) = cleaned.dropped
    assert (name, reason) == ("long", clean_module.TOO_LONG) and "5 bars" in detail
    assert len(clean(songs, CorpusSettings("test", max_bars=0)).songs) == 3


# --- split -------------------------------------------------------------------------------------------------


def test_adding_songs_moves_none():
    songs = [song(str(i), notes) for i, notes in enumerate(tunes(200))]
    few, all_of_them = (sides_by_name(clean(part, SETTINGS)) for part in (songs[:50], songs))
    assert set(few.values()) == {TRAIN, HELD_OUT}
    assert few == {name: all_of_them[name] for name in few}


def test_share_seed_and_limits_of_the_split():
    keys = [str(i).encode() for i in range(4000)]
    share = np.mean([split_side(key, 0.1, 0) == HELD_OUT for key in keys])
    assert abs(share - 0.1) < 4 * np.sqrt(0.09 / 4000)  # four standard deviations of a binomial share
    held = [{key for key in keys if split_side(key, 0.1, seed) == HELD_OUT} for seed in (0, 1)]
    assert len(held[0] & held[1]) < 100  # 40 by chance
    assert {split_side(key, 0.0, 0) for key in keys} == {TRAIN}
    assert {split_side(key, 1.0, 0) for key in keys} == {HELD_OUT}


@pytest.mark.parametrize("split", ["content", "name"])
def test_copies_in_other_keys_stay_together_unless_split_by_name(split):
    songs = [song(f"{i}.{shift}", notes, shift) for i, notes in enumerate(tunes(60)) for shift in (0, 4)]
    settings = CorpusSettings("test", dedupe="none", split=split, held_out=0.5, max_similarity=1.0)
    sides = sides_by_name(clean(songs, settings))
    assert set(sides.values()) == {TRAIN, HELD_OUT}  # max_similarity=1 excludes not even copies
    apart = sum(sides[f"{i}.0"] != sides[f"{i}.4"] for i in range(60))
    assert apart == 0 if split == "content" else apart > 10


@pytest.mark.parametrize(("held_out", "few"), [(1e-6, HELD_OUT), (1 - 1e-6, TRAIN)])
def test_a_side_that_would_be_empty_gets_the_song_of_the_nearest_hash(held_out, few):
    songs = [song(str(i), notes) for i, notes in enumerate(tunes(6))]
    settings = CorpusSettings("test", held_out=held_out)
    cleaned = clean(songs, settings)
    assert np.flatnonzero(cleaned.sides == few).tolist() == [cleaned.moved]
    # the share at which it would change sides by its hash is nearest to the one asked for
    shares = np.linspace(0, 1, 2001)
    changes = [np.mean([split_side(key, share, 0) == TRAIN for share in shares]) for key in cleaned.contents]
    assert cleaned.moved == (np.argmin(changes) if few == HELD_OUT else np.argmax(changes))
    again = clean(songs[::-1], settings)
    assert again.songs[again.moved].name == cleaned.songs[cleaned.moved].name


def test_the_song_that_fills_a_side_is_one_that_can_be_scored():
    """Five of six songs are the same tune but for a note, so that only the sixth can be held out."""
    notes, other = tunes(2)
    alike = [song(str(i), [*notes[:i], (*notes[i][:2], notes[i][2] + 1), *notes[i + 1 :]]) for i in range(5)]
    cleaned = clean([*alike, song("other", other)], CorpusSettings("test", held_out=1e-6, dedupe="file"))
    assert cleaned.songs[cleaned.moved].name == "other" and sorted(cleaned.sides.tolist()) == [TRAIN] * 5 + [HELD_OUT]
    assert clean(alike, CorpusSettings("test", held_out=1e-6, dedupe="file")).moved == -1


def test_copies_of_the_song_that_fills_a_side_go_with_it():
    songs = [song(f"{i}.{shift}", notes, shift) for i, notes in enumerate(tunes(4)) for shift in (0, 3)]
    settings = CorpusSettings("test", dedupe="none", held_out=1e-6, max_similarity=1.0)
    sides = sides_by_name(clean(songs, settings))
    assert all(sides[f"{i}.0"] == sides[f"{i}.3"] for i in range(4)) and list(sides.values()).count(HELD_OUT) == 2


@pytest.mark.parametrize("held_out", [0.0, 1.0])
def test_no_song_moves_where_all_are_wanted_on_one_side_or_both_have_some(held_out):
    songs = [song(str(i), notes) for i, notes in enumerate(tunes(40))]
    assert clean(songs, CorpusSettings("test", held_out=held_out)).moved == -1
    cleaned = clean(songs, CorpusSettings("test", held_out=0.2))
    assert cleaned.moved == -1
    assert cleaned.sides.tolist() == [split_side(key, 0.2, 0) for key in cleaned.contents]


# --- leakage -----------------------------------------------------------------------------------------------


def related_tunes(seed=3):
    """Tunes of which some borrow a stretch of others, in another key and at another place in the bar."""
    rng = random.Random(seed)
    base = tunes(25, seed)
    for _ in range(25):
        donor, cut, shift, delay = (
            rng.choice(base),
            rng.randint(4, 36),
            rng.randint(-5, 5),
            rng.randint(0, 15),
        )
        own = random_notes(rng, 40 - cut)
        at = own[-1][1]
        base.append(
            own + [(a - donor[0][0] + at + delay, b - donor[0][0] + at + delay, p + shift) for a, b, p in donor[:cut]]
        )
    return base + tunes(3, seed, notes=3)


def test_similarity_against_a_loop():
    notes = related_tunes()
    songs = [song(f"{i:02d}", n) for i, n in enumerate(notes)]
    cleaned = clean(songs, CorpusSettings("test", held_out=0.4, max_similarity=0.5, alike="windows"))
    by_name = dict(zip((s.name for s in songs), notes, strict=True))
    training = [s.name for s, side in zip(cleaned.songs, cleaned.sides, strict=True) if side == TRAIN]
    seen = set()
    for i, s in enumerate(cleaned.songs):
        seen.add(int(cleaned.sides[i]))
        if cleaned.sides[i] == TRAIN:
            assert cleaned.similarity[i] == 0 and cleaned.nearest[i] == -1
            continue
        similarity, nearest = similarity_by_loop(by_name[s.name], [by_name[name] for name in training])
        assert cleaned.similarity[i] == pytest.approx(similarity, abs=1e-12)
        assert (cleaned.songs[cleaned.nearest[i]].name == training[nearest]) if similarity else cleaned.nearest[i] == -1
        assert (cleaned.sides[i] == EXCLUDED) == (similarity > 0.5)
    assert seen == {TRAIN, HELD_OUT, EXCLUDED}


def test_exclusion_moves_no_song_into_or_out_of_training():
    songs = [song(str(i), n) for i, n in enumerate(related_tunes())]
    strict, loose = (clean(songs, CorpusSettings("test", held_out=0.4, max_similarity=m)).sides for m in (0.1, 1.0))
    assert EXCLUDED in strict and EXCLUDED not in loose
    np.testing.assert_array_equal(strict == TRAIN, loose == TRAIN)


@pytest.mark.parametrize("alike", ["edits", "windows"])
def test_a_copy_across_a_leaky_split_has_similarity_one(alike):
    songs = [song(f"{i}.{shift}", n, shift) for i, n in enumerate(tunes(20) + tunes(5, 9, 3)) for shift in (0, 4)]
    cleaned = clean(
        songs, CorpusSettings("test", dedupe="none", split="name", held_out=0.5, max_similarity=0.9, alike=alike)
    )
    for i in np.flatnonzero(cleaned.sides == EXCLUDED):
        assert cleaned.similarity[i] == 1
        assert cleaned.songs[cleaned.nearest[i]].name.split(".")[0] == cleaned.songs[i].name.split(".")[0]
    assert (cleaned.sides == EXCLUDED).sum() >= 5


def test_wrong_settings_are_named():
    for wrong in (
        {"bars": "3/4"},
        {"dedupe": "yes"},
        {"held_out": 1.5},
        {"min_pitch": 90, "max_pitch": 80},
        {"max_bars": -1},
        {"split_seed": 2**63},
    ):
        with pytest.raises(UserError, match=next(iter(wrong))):
            CorpusSettings("test", **wrong)
