"""How fast files become a corpus, beside two common MIDI readers.

`python -m experiments.benchmark_corpus --source=FOLDER`. One process on one core (pinned where the system
allows it), the methods in turn, `--rounds` times over, the best round of each; the second rate counts the
seconds of the processor, which other programs on the machine disturb less. mido and pretty_midi do less (they
parse, and make no bars) and get every n-th file only, as they are slow. What it writes lies in a temporary
folder, which it removes.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mido

from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.build import build_corpus
from mcvae_jax.corpus.read import read_file
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import File, list_files
from mcvae_jax.errors import UserError


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; UserError where they cannot be followed."""
    parser = Parser(
        "python -m experiments.benchmark_corpus",
        description=__doc__,
    )
    add = parser.add_argument
    add("--source", required=True, metavar="DIR", help="of MIDI files")
    add_whole(parser, "rounds", 1, 1000, 3, "the best one of each method counts")
    add_whole(parser, "slow_files", 1, 1_000_000, 60, "for mido and pretty_midi in a round")
    return parser.parse_args(argv)


def read_to_bars(files: Sequence[File], settings: CorpusSettings) -> None:
    """Bytes -> melody -> tokens -> bars."""
    for file in files:
        read_file(file, settings)


def parse_with_mido(files: Sequence[File]) -> None:
    for file in files:
        mido.MidiFile(file=io.BytesIO(file.read()))


def parse_with_pretty_midi(files: Sequence[File]) -> None:
    import pretty_midi  # not a dependency of the project; left out where it is not installed

    for file in files:
        pretty_midi.PrettyMIDI(io.BytesIO(file.read()))


def build(settings: CorpusSettings) -> None:
    """The whole of it but the picture: read, drop duplicates, split, save, report."""
    with tempfile.TemporaryDirectory() as folder:
        build_corpus(settings, Path(folder) / "corpus", workers=1, pictures=False)


def best_seconds(methods: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds of each method's best round; those that cannot be imported are left out."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, method in methods.items():
            wall, processor = time.perf_counter(), time.process_time()
            try:
                method()
            except ImportError:
                continue
            spent = time.perf_counter() - wall, time.process_time() - processor
            best[name] = tuple(map(min, best.get(name, spent), spent))
    return best


def main(argv: list[str]) -> None:
    """Times the methods and prints the table."""
    options = parse(argv)
    files = [file for file in list_files(options.source)[0] if isinstance(file, File)]
    if not files:
        raise UserError(f"{options.source!r} holds no music files; give a folder of MIDI files")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    settings = CorpusSettings(options.source)
    few = files[:: max(1, len(files) // options.slow_files)]
    methods = {
        "whole build": (len(files), lambda: build(settings)),
        "bytes to bars": (len(files), lambda: read_to_bars(files, settings)),
        "mido, parse only": (len(few), lambda: parse_with_mido(few)),
        "pretty_midi, parse only": (len(few), lambda: parse_with_pretty_midi(few)),
    }
    best = best_seconds({name: method for name, (_, method) in methods.items()}, options.rounds)
    build_rate = len(files) / best["whole build"][1]
    say(f"{'':24}{'files':>7}{'a second':>10}{'a CPU second':>14}{'the build is':>15}")
    for name, (wall, processor) in best.items():
        count = methods[name][0]
        ratio = f"{build_rate * processor / count:.1f} x as fast"
        say(f"{name:24}{count:7}{count / wall:10.0f}{count / processor:14.0f}{ratio:>15}")


if __name__ == "__main__":
    run_command(main)
