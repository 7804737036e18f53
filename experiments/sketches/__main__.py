"""Draws with a trained model of drawings: new ones at several temperatures, reconstructions, and ways between drawings.

    mcvae train --config=experiments/sketches/config.py --workdir=runs/sketches
    python -m experiments.sketches --workdir=runs/sketches --out=sketches

Writes index.html, and in drawings.npz the new drawings of each temperature, in stroke-3 (see docs/experiments.md).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.sketches.files import read_drawings, write_drawings
from experiments.sketches.model import Sketcher, open_sketcher
from experiments.sketches.page import Section, write
from experiments.sketches.strokes import Drawing, Drawings, up_to
from experiments.sketches.task import find_drawings
from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.models.sequences import slerp
from mcvae_jax.storage.files import replacing_file

TAUS = (0.1, 0.3, 0.5, 0.7, 1.0)
OF_PATHS = 0.1  # the temperature between two drawings
PLACES = np.linspace(0, 1, 8)  # on the way


def main(argv: list[str]) -> int:
    """Writes the page."""
    flags = parse(argv)
    sketcher = open_sketcher(flags.workdir)
    given = held_out(sketcher, flags.drawings, 2 * flags.rows)
    new = from_nothing(sketcher, flags.rows, flags.seed)
    sections = [
        Section("From nothing", "Each row is one z from N(0, I), each column a temperature.", _heads(), new),
        Section(
            "Reconstructions",
            "On the left a drawing that was not in training; beside it, from its z, drawings at each temperature.",
            ["given", *_heads()],
            reconstructions(sketcher, given[: flags.rows], flags.seed),
            given=(0,),
        ),
        Section(
            "From one to another",
            f"The outer ones are given. Between them z goes along the sphere, at temperature {OF_PATHS}.",
            ["given", *(f"{place:.2f}" for place in PLACES), "given"],
            paths(sketcher, given, flags.seed),
            given=(0, len(PLACES) + 1),
        ),
    ]
    words = "Drawings of pen strokes by SketchRNN, made of the parts that compose melodies."
    facts = sketcher.origin.facts() | {"drawings": sketcher.origin.data["drawings"], "seed": flags.seed}
    with replacing_file(flags.out / "index.html") as file:
        file.write(write("Sketches", words, sections, facts).encode("utf-8"))
    drawn = [drawing for row in new for drawing in row if len(drawing)]
    write_drawings(flags.out / "drawings.npz", Drawings(drawn, [], []))
    say(f"Open {flags.out / 'index.html'}")
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The flags."""
    parser = Parser("python -m experiments.sketches", description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="of the trained model")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the page is written")
    parser.add_argument(
        "--drawings", type=Path, metavar="FILE.npz", help="whose test drawings are given (default: those of the config)"
    )
    add_whole(parser, "rows", 1, 100, 6, "rows of each table")
    add_whole(parser, "seed", 0, 2**31 - 1, 0, "of what is drawn")
    return parser.parse_args(argv)


def held_out(sketcher: Sketcher, file: Path | None, count: int) -> Sequence[Drawing]:
    """So many test drawings, of a file or those of the config, again from the first one where there are fewer."""
    found = read_drawings(file) if file else find_drawings(sketcher.config)
    known = up_to(found, sketcher.steps - 1).drawings.test
    if not known:
        raise UserError(f"there is no test drawing of at most {sketcher.steps - 1} points, which the model knows")
    return [known[number % len(known)] for number in range(count)]


def from_nothing(sketcher: Sketcher, count: int, seed: int) -> list[list[Drawing]]:
    """A row of temperatures for each of so many z from the prior."""
    return _at_temperatures(sketcher, sketcher.latents(range(count), seed), seed)


def reconstructions(sketcher: Sketcher, drawings: Sequence[Drawing], seed: int) -> list[list[Drawing]]:
    """Each drawing and what is drawn from its z at each temperature."""
    made = _at_temperatures(sketcher, sketcher.encode(drawings), seed)
    return [[drawing, *row] for drawing, row in zip(drawings, made, strict=True)]


def paths(sketcher: Sketcher, drawings: Sequence[Drawing], seed: int) -> list[list[Drawing]]:
    """Of each two drawings that follow each other a row: the one, what lies between them, the other."""
    z, pairs = sketcher.encode(drawings), range(0, len(drawings) - 1, 2)
    between = np.array([slerp(z[n], z[n + 1], float(place)) for n in pairs for place in PLACES])
    numbers = [n // 2 for n in pairs for _ in PLACES]
    made = sketcher.draw(between, numbers, [OF_PATHS] * len(between), seed)
    rows = [made[first : first + len(PLACES)] for first in range(0, len(made), len(PLACES))]
    return [[drawings[n], *row, drawings[n + 1]] for n, row in zip(pairs, rows, strict=True)]


def _at_temperatures(sketcher: Sketcher, z: np.ndarray, seed: int) -> list[list[Drawing]]:
    """A row of temperatures for each z (B, Z); in a row all randomness is the same."""
    rows = np.repeat(np.arange(len(z)), len(TAUS))
    made = sketcher.draw(z[rows], rows.tolist(), np.tile(TAUS, len(z)).tolist(), seed)
    return [made[first : first + len(TAUS)] for first in range(0, len(made), len(TAUS))]


def _heads() -> list[str]:
    return [str(tau) for tau in TAUS]


if __name__ == "__main__":
    run_command(main)
