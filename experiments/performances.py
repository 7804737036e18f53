"""How well performances are told from music on a grid: python -m experiments.performances --source=FOLDER

Each file of the folder is read as it is, and as players might have recorded it without a click or to one: its melody at
a tempo of its own (60 to 180 a minute), with a tempo that wanders, and onsets that are off by some milliseconds. Shown
are the shares whose pulse (music/pulse.py) lies below thresholds, and what the quantisation moves.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mcvae_jax.command import Parser, run_command, say
from mcvae_jax.corpus.sources import File, list_files
from mcvae_jax.errors import UserError
from mcvae_jax.music.melody import choose_melody
from mcvae_jax.music.pulse import pulse_of
from mcvae_jax.music.readers import read_scores
from mcvae_jax.music.score import Score, Skip, Track

THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
_PER_QUARTER = 384  # ticks, at _STATED quarters a minute: what a piano writes
_STATED = 120.0
_RETURNS = 0.9  # how much of a tempo's deviation is left after a quarter


class Way(NamedTuple):
    """How a performance departs from what is written."""

    wander: float  # standard deviation of the change of the tempo's logarithm from quarter to quarter
    jitter: float  # of the onsets, in seconds
    knows_tempo: bool  # the file states the mean tempo, as where players hear a click


WAYS = (
    Way(0.0, 0.01, True),
    Way(0.0, 0.02, True),
    Way(0.0, 0.03, True),
    Way(0.0, 0.01, False),
    Way(0.02, 0.01, False),
    Way(0.02, 0.01, True),
    Way(0.05, 0.02, False),
    Way(0.05, 0.02, True),
    Way(0.1, 0.03, False),
)


def performed(score: Score, melody: Track, way: Way, rng: np.random.Generator) -> Score:
    """The melody as a recording of it: ticks are seconds at the tempo that the file states."""
    start, end = melody.start / score.ticks_per_quarter, melody.end / score.ticks_per_quarter
    tempo = rng.uniform(60.0, 180.0)
    deviation = [0.0]
    for change in rng.normal(0.0, way.wander, int(end.max()) + 2):
        deviation.append(_RETURNS * deviation[-1] + change)
    seconds = np.append(0.0, np.cumsum(60.0 / tempo * np.exp(deviation)))
    stated = tempo if way.knows_tempo else _STATED
    to_ticks = _PER_QUARTER * stated / 60.0
    played = np.interp(start, np.arange(len(seconds)), seconds) + rng.normal(0.0, way.jitter, len(start))
    released = np.interp(end, np.arange(len(seconds)), seconds)
    begins = np.maximum(np.rint(played * to_ticks), 0).astype(np.int64)
    ends = np.maximum(np.rint(released * to_ticks).astype(np.int64), begins + 1)
    order = np.argsort(begins, kind="stable")
    track = melody._replace(start=begins[order], end=ends[order], pitch=melody.pitch[order])
    signatures, tempos = np.empty((0, 3), np.int64), np.array([[0.0, stated]])
    return score._replace(tracks=(track,), ticks_per_quarter=_PER_QUARTER, time_signatures=signatures, tempos=tempos)


def share_far(start: np.ndarray, per_quarter: int) -> float:
    """The share of onsets a quarter of a sixteenth or more from the nearest sixteenth after tick 0."""
    steps = start * (4 / per_quarter)
    return float(np.mean(np.abs(steps - np.rint(steps)) >= 0.25))


def melodies(source: str) -> Iterator[tuple[Score, Track]]:
    """The scores of a folder, with the melody of each; what cannot be read is passed over."""
    for file in list_files(source)[0]:
        if isinstance(file, File):
            try:
                for score in read_scores(file.read(), file.suffix):
                    if not isinstance(score, Skip):
                        yield score, choose_melody(score, "auto")
            except Skip:
                continue


def row(name: str, pulses: list[float], far: list[float]) -> str:
    """A line of the table: shares below the thresholds, then the smallest, median and largest pulse, onsets moved."""
    below = "".join(f"{np.mean(np.array(pulses) < threshold):>9.2%}" for threshold in THRESHOLDS)
    low, middle, high = np.quantile(pulses, [0.0, 0.5, 1.0])
    return f"{name:<44}{below}{low:>8.2f}{middle:>6.2f}{high:>6.2f}{np.mean(far):>8.0%}"


def main(argv: list[str]) -> None:
    """Prints the table."""
    parser = Parser("python -m experiments.performances", description=__doc__)
    parser.add_argument("--source", required=True, help="a folder of MIDI files on a grid")
    flags: argparse.Namespace = parser.parse_args(argv)
    found = list(melodies(flags.source))
    if not found:
        raise UserError(f"{flags.source!r} holds no music")
    rng = np.random.default_rng(0)
    heads = "".join(f"{f'< {threshold}':>9}" for threshold in THRESHOLDS)
    say(f"{f'{len(found):,} melodies':<44}{heads}{'lowest':>8}{'mid':>6}{'top':>6}{'moved':>8}")
    far = [share_far(melody.start, score.ticks_per_quarter) for score, melody in found]
    say(row("as they are", [pulse_of(score, melody) for score, melody in found], far))
    for way in WAYS:
        scores = [performed(score, melody, way, rng) for score, melody in found]
        pulses = [pulse_of(score, score.tracks[0]) for score in scores]
        far = [share_far(score.tracks[0].start, score.ticks_per_quarter) for score in scores]
        known = "to a click" if way.knows_tempo else "at a tempo of its own"
        say(row(f"{known}, wander {way.wander}, {1000 * way.jitter:.0f} ms", pulses, far))


if __name__ == "__main__":
    run_command(main)
