"""Score -> the track that is its melody."""

import re

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.music.score import Reason, Score, Skip, Track, merge

HOW = "melody={!r} is unknown; say 'auto', 'skyline', 'name:REGEX', 'index:N' or 'channel:N' (N from 0 to 15)"
_MELODY_NAMES = re.compile(r"melod|vocal|\bvox\b|\bvoice|\blead\b|\bsing|\bsoprano\b", re.IGNORECASE)


def choose_melody(score: Score, how: str) -> Track:
    """The melody of `score`; drums never count.

    Args:
      how: 'auto' takes the track with a telling name, else the one that looks most like a tune; 'skyline' the
        highest sounding note of all tracks; 'name:REGEX' the first track whose name the expression finds,
        ignoring case; 'index:N' track N of those that hold notes; 'channel:N' all notes of MIDI channel N.
        Both count from 0.
    Raises Skip where the score has no such track, UserError where `how` is none of these.
    """
    kind, argument = parse_how(how)
    pitched = [track for track in score.tracks if not track.is_drum]
    if not pitched:
        raise Skip(Reason.DRUMS_ONLY if score.tracks else Reason.NO_NOTES)
    if kind == "auto":
        return _most_melodic(pitched)
    if kind == "skyline":
        return _skyline(merge(pitched))
    if kind == "index":
        chosen = [t for t in score.tracks[int(argument) : int(argument) + 1] if not t.is_drum]
    elif kind == "channel":
        chosen = [track for track in pitched if track.channel == int(argument)]
    else:
        chosen = [track for track in pitched if re.search(argument, track.name, re.IGNORECASE)][:1]
    if not chosen:
        names = ", ".join(repr(track.name) for track in score.tracks[:8])
        raise Skip(Reason.NO_MELODY, f"{how} among {names}")
    return merge(chosen)


def parse_how(how: str) -> tuple[str, str]:
    """The kind of choice and its argument; raises UserError with what is wrong."""
    kind, colon, argument = how.partition(":")
    if how in ("auto", "skyline"):
        return how, ""
    if not colon or kind not in ("name", "index", "channel"):
        raise UserError(HOW.format(how))
    if kind == "name":
        try:
            re.compile(argument)
        except re.error as error:
            raise UserError(f"melody={how!r} is not a regular expression: {error}") from None
    elif not (argument.isascii() and argument.isdigit()) or (kind == "channel" and int(argument) > 15):
        raise UserError(HOW.format(how))
    return kind, argument


def _most_melodic(tracks: list[Track]) -> Track:
    """The most tune-like of the tracks with a telling name; of all tracks where none has one."""
    named = [track for track in tracks if _MELODY_NAMES.search(track.name)]
    candidates = named or tracks
    if len(candidates) == 1:
        return candidates[0]
    length = max(int(track.end.max()) for track in tracks)
    return max(candidates, key=lambda track: _tunefulness(track, length))


def _tunefulness(track: Track, length: int) -> float:
    """How much a track looks like a tune, by what needs no names; `length` is the score's, in ticks.

    A tune moves by steps with some repeated notes (2 for a tune of nothing else), sounds one note at a time,
    goes on through much of the piece, and lies above the bass. The weights are our own, checked on POP909
    without its names.
    """
    notes = len(track.pitch)
    moves = np.abs(np.diff(track.pitch))
    repeats = np.count_nonzero(moves == 0) / notes
    steps = np.count_nonzero(moves <= 2) / notes - repeats
    gaps = track.start[1:] - track.end[:-1]
    overlaps = np.count_nonzero(gaps < (track.start - track.end)[:-1] // 4) / notes
    stacked = np.count_nonzero(track.start[1:] == track.start[:-1]) / notes
    windows = 64
    coverage = len(np.unique(track.start * windows // (length + 1))) / windows
    register = min(max((float(track.pitch.mean()) - 52) / 12, 0.0), 1.0)
    return 2 * (steps + min(repeats, 0.25)) - 2 * overlaps - stacked + coverage + register


def _skyline(track: Track) -> Track:
    """The notes of `track` that start under no sounding higher note (the highest of each chord, after
    Uitdenbogerd and Zobel 1998), each ending where the next starts."""
    kept: list[int] = []
    start, end, pitch = track.start.tolist(), track.end.tolist(), track.pitch.tolist()
    for i in np.lexsort((-track.pitch, track.start)).tolist():
        if not kept or end[kept[-1]] <= start[i] or pitch[kept[-1]] < pitch[i]:
            kept.append(i)
    start, end, pitch = track.start[kept], track.end[kept], track.pitch[kept]
    end[:-1] = np.minimum(end[:-1], start[1:])
    return track._replace(start=start, end=end, pitch=pitch)
