"""Which reader reads a format best: on the cases of its standard, and on collections against a reference reader.

    python -m experiments.compare_readers --format=abc [--source=FILE_OR_FOLDER ...] [--limit=100]

Readers that are not installed are left out. Each input is read in a process of its own. Of a collection, the pieces
that are compared are drawn by a seed; the notes are compared twice, with every barline as a plain one and as played.
"""

import argparse
import importlib
import importlib.util
import random
from collections import Counter
from pathlib import Path
from types import ModuleType

from experiments.readers import Answer, Peer, ask, same_notes
from mcvae_jax.command import Parser, run_command, say
from mcvae_jax.errors import UserError

FORMATS = ("abc", "humdrum", "midi", "musicxml")


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; UserError where they cannot be followed."""
    parser = Parser(
        "python -m experiments.compare_readers",
        description=__doc__,
    )
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--source", nargs="*", default=[], metavar="PATH", help="a file, or a folder of files")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="pieces of each source (default: 100)")
    parser.add_argument("--reference", default="", metavar="NAME", help="the reader that the others are compared with")
    return parser.parse_args(argv)


def compare_cases(peers: list[Peer], module: ModuleType) -> list[str]:
    """A line for each reader: how many cases it reads right, and how it fails."""
    lines = []
    for peer in peers:
        counts = Counter()
        for data, notes in module.cases().values():
            answer = ask(peer.read, data)
            counts[answer.failure or ("right" if same_notes(answer.notes, notes) else "wrong")] += 1
        lines.append(f"{peer.name:<18}" + ", ".join(f"{count} {how}" for how, count in counts.most_common()))
    return lines


def compare_source(
    peers: list[Peer], module: ModuleType, source: Path, limit: int, reference_name: str = ""
) -> list[str]:
    """A line for each reader: pieces with the notes of the reference, written and played, and the time of one."""
    suffixes = getattr(module, "SUFFIXES", (f".{module.__name__.rsplit('.', 1)[-1]}",))
    files = sorted(file for file in source.rglob("*") if file.suffix in suffixes) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source} holds no files of this format")
    sets = [[p for file in files for p in module.pieces(file.read_bytes(), repeats)] for repeats in (False, True)]
    pairs = list(zip(*sets, strict=True))
    pairs = random.Random(0).sample(pairs, min(limit, len(pairs)))
    reference = next(peer.read for peer in peers if peer.name == (reference_name or module.REFERENCE))
    right = [[ask(reference, data) for data in pair] for pair in pairs]
    lines = [f"{source}: {len(pairs)} pieces"]
    for peer in peers:
        found = [[ask(peer.read, data) for data in pair] for pair in pairs]
        same = [sum(_agree(a[k], b[k]) for a, b in zip(found, right, strict=True)) for k in (0, 1)]
        failures = Counter(pair[1].failure for pair in found if pair[1].failure)
        seconds = sorted(pair[1].seconds for pair in found)
        lines.append(
            f"{peer.name:<18}{same[0]:>6} as written{same[1]:>6} as played"
            f"{1000 * seconds[len(seconds) // 2]:>8.1f} ms  {dict(failures) or ''}"
        )
    return lines


def _agree(a: Answer, b: Answer) -> bool:
    return bool(a.notes and b.notes) and same_notes(a.notes, b.notes)


def main(argv: list[str]) -> None:
    options = parse(argv)
    module = importlib.import_module(f"experiments.readers.{options.format}")
    peers = [peer for peer in module.PEERS if all(map(importlib.util.find_spec, peer.packages))]
    for package in {package for peer in peers for package in peer.packages}:
        importlib.import_module(package)  # here, once, and not in every child
    say("\n".join(compare_cases(peers, module)))
    for source in options.source:
        say("\n".join(compare_source(peers, module, Path(source), options.limit, options.reference)))


if __name__ == "__main__":
    run_command(main)
