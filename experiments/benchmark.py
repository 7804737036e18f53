"""How fast the project is, beside good programs of others that do the same work, in alternating rounds of one run.

  python -m experiments.benchmark --out=DIR                                    training, encoding, MDRNN and composing
  python -m experiments.benchmark --out=DIR --what=train --units=256,512 --batch=64,256 --dtype=float32,bfloat16
  python -m experiments.benchmark --out=DIR --what=read --source=FOLDER        MIDI files, beside mido and pretty_midi
  python -m experiments.benchmark --out=DIR --what=start                       commands, from start to end
  python -m experiments.benchmark --out=DIR --what=evaluate --workdir=DIR2     the evaluation of a trained model

PyTorch and the readers of others are no dependencies: what is not installed is said in its row. Everything runs on the
GPU where JAX and PyTorch find one, else on all cores of this process. It writes to --out: record.json, with the
machine, versions and the rate of every round; table.md; growth.png where a size takes several values. See
docs/speed.md.
"""

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.speed.contender import PEAK, SIDES, WITH_PEAK
from experiments.speed.files import music_files
from experiments.speed.record import CALLS, draw_growth, row, table, whole
from experiments.speed.rounds import Measured, compete, run_commands
from experiments.speed.work import Sizes
from mcvae_jax.command import Parser, add_whole, check_range, run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.storage.jsonfile import write_json
from mcvae_jax.text import brief

WHATS = (*SIDES, *CALLS)
USUAL = "train,mdrnn,encode,compose"
COLD, WARM = "compose, 8 songs, with an empty cache", "compose, 8 songs, programs in the cache"
MOST = 1_000_000  # of any size
DTYPES = ("float32", "bfloat16")
TUNE = "X:1\nT:Seed\nM:4/4\nL:1/8\nK:G\n" + "GABc dedB|dedB dedB|c2ec B2dB|A2AB AGEF|\n" * 2


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; UserError where they cannot be followed."""
    parser = Parser("python -m experiments.benchmark", description=__doc__)
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help="where record, table and picture are written")
    add("--what", default=USUAL, help=f"kinds of work, of {', '.join(WHATS)} (default: {USUAL})")
    add("--units", default="256", help="of every LSTM layer, one or several (default: 256)")
    add("--batch", default="64", help="bars, or songs of the MDRNN, one or several (default: 64)")
    add("--latent", default="32", help="dimensions of z, one or several (default: 32)")
    add("--songs", default="1000", help="to compose, one or several (default: 1000)")
    add("--dtype", default="float32", help=f"of products, of {', '.join(DTYPES)} (default: float32)")
    add_whole(parser, "bars", 1, 1000, 25, "of a song")
    add_whole(parser, "rounds", 1, 1000, 5, "in each of which all sides work")
    add_whole(parser, "seconds", 1, 600, 5, "that a side works in a round")
    add("--source", default="", metavar="DIR", help="of MIDI files, for --what=read")
    add("--workdir", default="", metavar="DIR", help="of a trained model, for --what=evaluate")
    options = parser.parse_args(argv)
    options.what = _listed("what", options.what, WHATS)
    options.dtype = _listed("dtype", options.dtype, DTYPES)
    for name in ("units", "batch", "latent", "songs"):
        setattr(options, name, _numbers(name, getattr(options, name)))
    for what, name in (("read", "source"), ("evaluate", "workdir")):
        if what in options.what and not getattr(options, name):
            raise UserError(f"--what={what} asks for --{name}")
    if options.source:
        music_files(options.source)
    return options


def contests(options: argparse.Namespace) -> Iterator[Sizes]:
    """What is measured, each with its sizes."""
    for what in options.what:
        varied = {
            "train": (options.units, options.batch, options.latent, options.dtype, [0]),
            "mdrnn": (options.units, options.batch, options.latent, options.dtype, [0]),
            "encode": (options.units, [0], options.latent, options.dtype, [0]),
            "compose": (options.units, [0], options.latent, options.dtype, options.songs),
        }.get(what, ([0], [0], [0], DTYPES[:1], [0]))
        for units, batch, latent, dtype, songs in itertools.product(*varied):
            yield Sizes(
                what=what,
                units=units,
                batch=batch,
                latent=latent,
                dtype=dtype,
                songs=songs,
                bars=options.bars,
                source=options.source,
                workdir=options.workdir,
            )


def commands(sizes: Sizes, folder: Path) -> dict[str, list[str]]:
    """The sides of work that is a command, which write into a folder."""
    python = [sys.executable, "-m"]
    if sizes.what == "evaluate":
        return {"evaluate": [*python, "mcvae_jax.evaluate", f"--workdir={sizes.workdir}", f"--out={folder / 'report'}"]}
    tune = folder / "seed.abc"
    tune.write_text(TUNE)
    compose = [
        *python,
        "mcvae_jax.sample",
        "--mode=continue",
        f"--seed_file={tune}",
        f"--out={folder / 'songs'}",
        "--replace",
    ]
    return {
        "train --help": [*python, "mcvae_jax.main", "--help"],
        "compose --help": [*python, "mcvae_jax.sample", "--help"],
        WARM: compose,
    }


def measure(sizes: Sizes, options: argparse.Namespace) -> dict[str, Measured]:
    """All sides of one contest."""
    if sizes.what in CALLS:
        with tempfile.TemporaryDirectory() as name:
            called = commands(sizes, Path(name))
            environment = os.environ | {"MCVAE_CACHE": str(Path(name) / "cache")}
            first = {COLD: called[WARM]} if WARM in called else {}
            return run_commands(first, 1, environment) | run_commands(called, options.rounds, environment)
    sides = [*SIDES[sizes.what], *([PEAK] if sizes.what in WITH_PEAK else [])]
    return compete(sizes.what, sides, sizes, options.rounds, options.seconds)


def main(argv: list[str]) -> None:
    """Measures one contest after the other, and writes down each as soon as it has ended."""
    options = parse(argv)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    todo = list(contests(options))
    for number, sizes in enumerate(todo, 1):
        say(f"{number} of {len(todo)}: {sizes.what}, {sizes.units} units, batch {sizes.batch}, {sizes.dtype}")
        rows.append(row(sizes, measure(sizes, options)))
        found = whole(vars(options), rows)
        write_json(out / "record.json", found)
        (out / "table.md").write_text("\n".join(table(found)) + "\n", "utf-8")
        drawn = draw_growth(out / "growth.png", rows)
    say("\n".join(table(found)))
    say(f"{out / 'record.json'} and table.md" + (" and growth.png" if drawn else ""))


def _listed(name: str, text: str, known: tuple[str, ...]) -> list[str]:
    """Names of a list with commas; UserError for one that is not known."""
    names = [each.strip() for each in text.split(",") if each.strip()]
    for each in names:
        if each not in known:
            raise UserError(f"--{name}={each}: there are {', '.join(known)}")
    if not names:
        raise UserError(f"--{name} is empty; there are {', '.join(known)}")
    return names


def _numbers(name: str, text: str) -> list[int]:
    """Whole numbers of a list with commas; UserError for what is none, or out of range."""
    found = [each.strip() for each in text.split(",")]
    if not all(each.isascii() and each.isdigit() and len(each) < 20 for each in found):
        raise UserError(f"--{name}={brief(text)}: give whole numbers, separated by commas")
    return [check_range(f"--{name}", int(each), 1, MOST) for each in found]


if __name__ == "__main__":
    run_command(main)
