"""Does a target for the KL make better music than a weight on it (thesis 8.3.1, equation 4.14)?

    python -m experiments.capacity --out=runs/capacity [--source=FOLDER] [--jobs=2]

Arms: gamma * |KL - C| with two values of C, plain beta 0.2 and beta 1, and free bits per bar (MusicVAE). All train for
the same steps and are taken as they stand at the last one. Where a pressure rises (C, beta), it does so over the first
three quarters. C is 25, about what a beta between 0.2 and 0.5 spends (docs/results.md), and 15, between those and beta
1. The free bits are those 15 nats at beta 1: they cost nothing up to there and force nothing, so what is above beta 1
shows what they do.

The thesis says of the target: 'better musical structure', and 'no need for the scale preprocessing'. So beside
reconstruction, rate and whole-song bound the figure shows the pitch range of free compositions, with the share of them
that lies where 90 % of real songs do, and how often bars come back, by lag. Tables: see experiments/trainings/runs.py,
and ranges.csv.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.results import new_figure, save_figure, write_csv
from experiments.trainings import runs
from experiments.trainings.panels import (
    WAY,
    OfArm,
    bare,
    by_arm,
    draw_boxes,
    draw_plane,
    draw_points,
    draw_repeats,
)
from experiments.trainings.runs import Result
from experiments.trainings.scores import REAL
from mcvae_jax.command import run_command, say

BASELINE = "beta 0.2"
RISE = 0.75  # share of the steps
GAMMA = 5.0  # brings the KL within a quarter of a nat of C (experiments/kl_targets.py)
TARGETS = (15.0, 25.0)  # nats per bar
RANGE = "pitch range"
SHARE = "share within 5 to 95 % of real songs"


def arms(flags: argparse.Namespace) -> dict[str, list[str]]:
    """The changes of each arm."""
    steps = runs.make_config(flags)[0].vae.train.steps
    rise = max(1, round(RISE * steps))
    both = [f"vae.train.eval_every={steps}"]  # so that the best of all checkpoints is the last
    beta = [*both, "vae.loss.kind=beta", "vae.loss.beta_schedule=linear", f"vae.loss.beta_steps={rise}"]
    free = ["vae.loss.beta=1.0", "vae.loss.free_bits=per_bar", f"vae.loss.free_nats={TARGETS[0]}"]
    found = {BASELINE: [*beta, "vae.loss.beta=0.2"], "beta 1": [*beta, "vae.loss.beta=1.0"]}
    found[f"free bits {TARGETS[0]:g}"] = [*beta, *free]
    for target in TARGETS:
        c = [f"vae.loss.gamma={GAMMA}", f"vae.loss.capacity={target}", f"vae.loss.capacity_steps={rise}"]
        found[f"capacity {target:g}"] = [*both, "vae.loss.kind=capacity", *c]
    return found


def main(argv: list[str]) -> int:
    """Trains and scores what is left, then writes tables and figure."""
    flags = runs.parse(runs.make_parser("capacity", __doc__), argv)
    results = runs.run_arms(arms(flags), flags, BASELINE)
    of_arm = by_arm(results.runs)
    if of_arm:
        write_ranges([run for found in of_arm.values() for run in found], flags.out)
        draw(of_arm, flags.out)
        say(f"Figure: {flags.out / 'capacity.png'} and .pdf")
    return results.status


def share_in_range(scores: dict[str, Any], way: str) -> float:
    """Share of the compositions whose pitch range lies within the 5th to the 95th percentile of real ones."""
    real, composed = (np.array(scores["sets"][name]["values"][RANGE]) for name in (REAL, way))
    low, high = np.quantile(real, [0.05, 0.95])
    return float(np.mean((composed >= low) & (composed <= high)))


def write_ranges(done: Sequence[Result], out: Path) -> None:
    """ranges.csv: for every run and way of composing the share in range, and the same of the real songs themselves."""
    rows = [
        {"arm": run.arm, "seed": run.seed, "set": way, SHARE: share_in_range(run.scores, way)}
        for run in done
        for way in run.scores["sets"]
    ]
    write_csv(out / "ranges.csv", rows)


def draw(of_arm: OfArm, out: Path) -> None:
    """capacity.png and .pdf: four panels."""
    figure = new_figure(10, 8.4)
    (plane, bound), (ranges, repeats) = figure.subplots(2, 2)
    draw_plane(plane, of_arm)
    draw_points(bound, of_arm, "bound_bits", "whole-song bound, bits per bar")
    top = draw_boxes(ranges, of_arm, RANGE, "pitch range, semitones")
    for place, found in enumerate(of_arm.values()):
        share = np.mean([share_in_range(run.scores, WAY) for run in found])
        ranges.annotate(f"{share:.0%}", (place, top), (0, 5), textcoords="offset points", ha="center", fontsize=8)
    ranges.set_ylim(top=top * 1.12)
    ranges.set_title("free compositions; grey: 90 % of real songs, above: share in the grey")
    draw_repeats(repeats, of_arm)
    bare(plane, bound, ranges, repeats)
    save_figure(figure, out / "capacity")


if __name__ == "__main__":
    run_command(main)
