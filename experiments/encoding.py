"""Steps or events, all pitches or those of a piano (thesis 8.3.1, 7.2): which says the same music in fewer bits?

    python -m experiments.encoding --out=runs/encoding [--source=FOLDER] [--jobs=2]

Arms: bars as 16 steps; as events, (token, duration); and both with the probability of pitches outside 21 to 108, the
range of a piano, set to 0. All arms train for the same steps on the same songs, in the corpus and transposed within
that range. A bar and its events are in bijection (mcvae_jax/models/events.py), so `bound_bits`, `rate_nats` and
`reconstruction_nats` are those of the same bars in every arm and compare as they stand.

What the range alone can save is small where the decoder has learnt which pitches occur; the tables say how small.
Tables: see experiments/trainings/runs.py. The figure shows the bound and its parts, and free compositions beside real
songs.
"""

from pathlib import Path

from experiments.results import new_figure, save_figure
from experiments.trainings import runs
from experiments.trainings.panels import OfArm, bare, by_arm, draw_boxes, draw_plane, draw_points, draw_repeats
from mcvae_jax.command import run_command, say

LOWEST, HIGHEST = 21, 108  # MIDI pitches of a piano
BASELINE = "steps"


def arms() -> dict[str, list[str]]:
    """The changes of each arm."""
    same_music = bounded("vae.corpus") + bounded("vae.data") + bounded("mdrnn.data")
    events = ["vae.model.encoding=events"]
    return {
        BASELINE: same_music,
        "events": [*same_music, *events],
        f"steps {LOWEST}-{HIGHEST}": [*same_music, *bounded("vae.model")],
        f"events {LOWEST}-{HIGHEST}": [*same_music, *events, *bounded("vae.model")],
    }


def bounded(section: str) -> list[str]:
    """The changes that keep a section of the config to the pitches of a piano."""
    return [f"{section}.min_pitch={LOWEST}", f"{section}.max_pitch={HIGHEST}"]


def main(argv: list[str]) -> int:
    """Trains and scores what is left, then writes tables and figure."""
    flags = runs.parse(runs.make_parser("encoding", __doc__), argv)
    results = runs.run_arms(arms(), flags, BASELINE)
    of_arm = by_arm(results.runs)
    if of_arm:
        draw(of_arm, flags.out)
        say(f"Figure: {flags.out / 'encoding.png'} and .pdf")
    return results.status


def draw(of_arm: OfArm, out: Path) -> None:
    """encoding.png and .pdf: four panels."""
    figure = new_figure(10, 8.4)
    (plane, bound), (notes, repeats) = figure.subplots(2, 2)
    draw_plane(plane, of_arm)
    draw_points(bound, of_arm, "bound_bits", "whole-song bound, bits per bar")
    draw_boxes(notes, of_arm, "note density", "notes per bar")
    draw_repeats(repeats, of_arm)
    bare(plane, bound, notes, repeats)
    save_figure(figure, out / "encoding")


if __name__ == "__main__":
    run_command(main)
