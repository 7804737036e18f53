"""What a musician should know of how his file was read, in plain words, and what is kept of it."""

import numpy as np

from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.music.bars import Stats, onsets_on_grid
from mcvae_jax.music.grid import Grid, grid_of
from mcvae_jax.music.kept import Kept, NotKept, keep_midi, keep_score
from mcvae_jax.music.score import Score, Track
from mcvae_jax.text import brief, printable

MOVED = 1 / 6  # of a step: less is how people play, and a fault of 20 ms at 120 quarters a minute
FEW = 0.02  # of the onsets: fewer are not spoken of
TRIPLETS = 24  # steps of a bar of 4/4 on which triplets lie


def notes_on(score: Score, track: Track, stats: Stats, total: int, wanted: int, settings: CorpusSettings) -> list[str]:
    """Lines on a melody of so many bars in all, of which so many were asked for."""
    notes = []
    if total < wanted:
        notes.append(f"it has {total} bar{'s' if total > 1 else ''}, fewer than the {wanted} asked for: all are taken")
    others = sum(not each.is_drum for each in score.tracks) - 1
    if others:
        name = f"track {brief(track.name)!r}" if track.name else "one track"
        notes.append(f"its melody is taken from {name} of {others + 1}; --melody chooses another")
    if stats.covered:
        chords = f"of each chord the top note is the melody ({stats.covered} left out)"
        notes.append(f"it sounds several notes at once: {chords}")
    if irregular := stats.padded + stats.cut:
        notes.append(f"{irregular} of its bars do not fit its metre: they are filled with silence, or cut")
    notes += moved_onsets(onsets_on_grid(score, track, settings), grid_of(settings.steps_per_bar))
    return notes + [f"not taken just as written: {printable(remark)}" for remark in score.remarks]


def moved_onsets(onsets: np.ndarray, grid: Grid) -> list[str]:
    """A line where onsets, in quarters from a bar line, float64 (N,), lie between the steps of a grid; else none."""
    share = _off(onsets, grid.quarter)
    if share <= FEW:
        return []
    steps = "sixteenths" if grid.quarter == 4 else f"steps of a {grid.quarter}th of a quarter"
    line = f"{share:.0%} of onsets moved: they lie between {steps}, and what is composed is in {steps} alone"
    triplets = _off(onsets, TRIPLETS // 4)
    if grid.quarter % 3 and triplets <= share / 3:
        phase = np.mod(onsets, 1)
        second, third = (np.count_nonzero(np.abs(phase - part / 3) < 1 / 24) for part in (1, 2))
        kind = "swing" if 4 * second < third else "triplets"
        line += f". This is {kind}; a model of --config.corpus.steps_per_bar={TRIPLETS} hears and plays it"
    return [line]


def _off(onsets: np.ndarray, quarter: int) -> float:
    """The share of the onsets that lie further than MOVED of a sixteenth from steps of which so many are a quarter."""
    steps = onsets * quarter
    return float(np.mean(np.abs(steps - np.rint(steps)) > MOVED * quarter / 4))


def keep(data: bytes, piece: int, is_notation: bool, score: Score, track: Track, starts: np.ndarray) -> Kept | str:
    """The file as it is kept beside its bars, or the reason in words why it cannot be."""
    try:
        return keep_score(score, track, starts) if is_notation else keep_midi(data, piece, track, starts)
    except NotKept as reason:
        return str(reason)


def kept_line(score: Score, kept: Kept | str, is_notation: bool) -> str:
    """What of the file stands in the songs, and what does not."""
    if isinstance(kept, str):
        return f"its other tracks, velocities and changes of tempo are left out, since {kept}"
    tracks = len(score.tracks)
    found = [f"{tracks} tracks" if tracks > 1 else "its notes"]
    found.append(f"{len(score.tempos)} tempos" if len(score.tempos) > 1 else "its tempo")
    if not is_notation:
        found.append("instruments and velocities")
    if score.chords:
        found.append("chord symbols")
    lost = "; its dynamics, slurs and words are left out" if is_notation else ""
    return f"kept as in the file: {', '.join(found)}{lost}"


def lost_line(score: Score, is_notation: bool) -> str:
    """What is left out where nothing but the melody is taken, in its first tempo; '' where there is no more."""
    others = len(score.tracks) - 1
    lost = [f"the other {others} tracks" if others > 1 else "the other track"] if others else []
    lost += ["changes of tempo"] if len(score.tempos) > 1 else []
    lost += [] if is_notation else ["velocities"]
    lost += ["chord symbols"] if score.chords else []
    return f"left out: {', '.join(lost)}" if lost else ""


def chords_over(score: Score, starts: np.ndarray, grid: Grid) -> tuple[tuple[int, str], ...]:
    """Chord symbols by steps of the bars that begin at ticks; what stands before and after them is left out."""
    found = []
    for tick, text in score.chords:
        bar = int(np.searchsorted(starts, tick, "right")) - 1
        if 0 <= bar < len(starts) - 1:
            step = round((tick - int(starts[bar])) * grid.quarter / score.ticks_per_quarter)
            found.append((bar * grid.bar + min(step, grid.bar - 1), printable(text)))
    return tuple(found)
