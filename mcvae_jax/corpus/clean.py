"""Which songs stay, on which side of the split, and which held-out songs training has as good as seen.

Everything here depends on the music alone (names break ties and nothing else), so neither the order of the
files nor their number moves a song. Letters: S songs, N notes, H held-out songs.
"""

from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from mcvae_jax.corpus.alike import ALIKE, Alike, same_tunes
from mcvae_jax.corpus.read import Song
from mcvae_jax.corpus.settings import EDITS, CorpusSettings
from mcvae_jax.corpus.sources import Skipped
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN
from mcvae_jax.music.tokens import NOTE_OFF

TRIES = 32  # songs that are tried where a side of the split is empty

DUPLICATE_FILE, DUPLICATE_TUNE, TOO_LONG = "duplicate file", "duplicate tune", "too many bars"
NEAR_DUPLICATE = "nearly a duplicate tune"  # at another speed, or with small changes


class Cleaned(NamedTuple):
    """The songs of a corpus in the order of their names, and what was dropped on the way."""

    songs: list[Song]
    contents: list[bytes]  # content_hash of each song
    sides: np.ndarray  # uint8 (S,): TRAIN, HELD_OUT or EXCLUDED
    similarity: np.ndarray  # float64 (S,): of held-out and excluded songs to their nearest; 0 in training
    nearest: np.ndarray  # int64 (S,): index of the most similar training song, -1 where there is none
    dropped: list[Skipped]
    moved: int = -1  # index of the song that stands on a side, which would be empty, against its hash; -1: none


def clean(songs: Sequence[Song], settings: CorpusSettings) -> Cleaned:
    """Drops duplicates and songs that are too long, splits the rest, and finds held-out songs that leak."""
    songs = sorted(songs, key=_by_name)
    dropped: list[Skipped] = []
    if settings.dedupe != "none":
        songs, repeats = drop_repeats(songs, [*map(_file_key, songs)], DUPLICATE_FILE)
        dropped += repeats
    if settings.dedupe == "tune":
        songs, repeats = drop_repeats(songs, [content_hash(song.bars) for song in songs], DUPLICATE_TUNE)
        dropped += repeats
        if settings.alike == EDITS:
            songs, repeats = drop_repeats(songs, same_tunes([song.bars for song in songs]).tolist(), NEAR_DUPLICATE)
            dropped += repeats
    if settings.max_bars:
        songs, long = drop_long(songs, settings.max_bars)
        dropped += long
    contents = [content_hash(song.bars) for song in songs]
    keys = contents if settings.split == "content" else [_name_bytes(song.name) for song in songs]
    sides = np.array([split_side(key, settings.held_out, settings.split_seed) for key in keys], np.uint8)
    moved, sides, similarity, nearest = fill_sides(songs, sides, keys, settings)
    return Cleaned(songs, contents, sides, similarity, nearest, dropped, moved)


def fill_sides(
    songs: Sequence[Song], by_hash: np.ndarray, keys: Sequence[bytes], settings: CorpusSettings
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Sides, similarity and nearest songs as `Cleaned` has them, of a split that leaves no side empty if it can be.

    A split by hash may put all of few songs on one side. The song whose hash is nearest to the other side then goes
    there; or the next one, where that is too similar to a training song to be scored. Returned first is its index, -1
    where the hashes decide alone, as they do in every corpus that has songs on both sides.
    """
    sides, similarity, nearest = _without_leaks(songs, by_hash, settings)
    if 0 < settings.held_out < 1 and not (TRAIN in sides and HELD_OUT in sides):
        order = sorted(range(len(songs)), key=lambda i: _place(keys[i], settings.split_seed))
        side = HELD_OUT if TRAIN in by_hash else TRAIN
        others = [i for i in (order if side == HELD_OUT else order[::-1]) if by_hash[i] != side]
        for i in others[:TRIES]:
            changed = by_hash.copy()
            changed[[key == keys[i] for key in keys]] = side  # its copies go with it
            tried = _without_leaks(songs, changed, settings)
            if TRAIN in tried[0] and HELD_OUT in tried[0]:
                return i, *tried
    return -1, sides, similarity, nearest


def _without_leaks(
    songs: Sequence[Song], sides: np.ndarray, settings: CorpusSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sides with EXCLUDED ones, similarity and nearest songs."""
    similarity, nearest = compare_held_out(songs, sides, ALIKE[settings.alike])
    return np.where(similarity > settings.max_similarity, EXCLUDED, sides).astype(np.uint8), similarity, nearest


def song_content(bars: np.ndarray) -> np.ndarray:
    """What a song is in any key: its steps from first onset to last release, pitches relative to the first.

    bars is uint8 (n, T) of canonical tokens; the result is int16 (steps,), empty for silence. Pitches lie in
    -127..127, so they are never confused with NOTE OFF (128) and NO EVENT (129). A last note that nothing
    ends lasts to the end of its bar.
    """
    tokens = bars.reshape(-1)
    onsets = np.flatnonzero(tokens < NOTE_OFF)
    if not len(onsets):
        return np.zeros(0, "<i2")
    releases = np.flatnonzero(tokens[onsets[-1] :] == NOTE_OFF)
    end = onsets[-1] + releases[0] if len(releases) else len(tokens)
    content = tokens[onsets[0] : end].astype("<i2")
    content[onsets - onsets[0]] -= content[0]
    return content


def content_hash(bars: np.ndarray) -> bytes:
    """16 bytes that transposition, and silence before and after the song, do not change."""
    return blake2b(song_content(bars).tobytes(), digest_size=16).digest()


def drop_repeats(songs: Sequence[Song], keys: Sequence[Hashable], reason: str) -> tuple[list[Song], list[Skipped]]:
    """One song for each of the keys (S,), sorted by name, and the others as skipped.

    The one that stays is chosen by content: the fewest bars, then the smallest hash of its bars (so no key or
    register is preferred). Songs with equal bars are the same music, and the smallest name stays.
    """
    groups: dict[Hashable, list[Song]] = {}
    for key, song in zip(keys, songs, strict=True):
        groups.setdefault(key, []).append(song)
    kept, dropped = [], []
    for group in groups.values():
        first, *others = sorted(group, key=_rank) if len(group) > 1 else group
        kept.append(first)
        dropped += [Skipped(song.name, reason, f"the same as {first.name}") for song in others]
    return sorted(kept, key=_by_name), sorted(dropped)


def drop_long(songs: Sequence[Song], max_bars: int) -> tuple[list[Song], list[Skipped]]:
    """The songs of at most max_bars bars, and the others as skipped."""
    kept = [song for song in songs if len(song.bars) <= max_bars]
    long = [song for song in songs if len(song.bars) > max_bars]
    return kept, [Skipped(song.name, TOO_LONG, f"{len(song.bars)} bars, over max_bars={max_bars}") for song in long]


def split_side(key: bytes, held_out: float, seed: int) -> int:
    """TRAIN or HELD_OUT, from a hash of the key and the seed: whatever else is in the corpus, it stays."""
    return HELD_OUT if _place(key, seed) < held_out * 2**64 else TRAIN


def _place(key: bytes, seed: int) -> int:
    """A hash from 0 to 2^64; the share of small ones is held out."""
    digest = blake2b(key, digest_size=8, salt=seed.to_bytes(16, "little", signed=True)).digest()
    return int.from_bytes(digest, "little")


def compare_held_out(songs: Sequence[Song], sides: np.ndarray, alike: Alike) -> tuple[np.ndarray, np.ndarray]:
    """For each song: similarity to its nearest training song, and that one's index (0 and -1 in training)."""
    similarity, nearest = np.zeros(len(songs)), np.full(len(songs), -1)
    held_out, train = np.flatnonzero(sides != TRAIN), np.flatnonzero(sides == TRAIN)
    if len(held_out) and len(train):
        similarity[held_out], which = alike(*([songs[i].bars for i in side.tolist()] for side in (held_out, train)))
        nearest[held_out] = np.where(which < 0, -1, train[which])
    return similarity, nearest


def _by_name(song: Song) -> tuple:
    return song.name, song.bars.tobytes()


def _rank(song: Song) -> tuple:
    return len(song.bars), blake2b(song.bars.tobytes()).digest(), song.name


def _file_key(song: Song) -> bytes:
    """The same for the same song of the same file: a book of tunes has one checksum for all of them."""
    return song.checksum + song.bars.tobytes()


def _name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
