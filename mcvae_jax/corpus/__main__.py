"""Builds a corpus and prints its report: python -m mcvae_jax.corpus --source=FOLDER --out=CORPUS

A source is a folder, an archive or a file, or a collection by its name, as maestro or pop909; --list shows all. A
collection is downloaded once, into ~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place), where the
tunes of --source=builtin are kept as well. Else it writes CORPUS and nothing more. What cannot be read is skipped and
named in CORPUS/skipped.jsonl.
"""

import argparse
import sys
import textwrap
from typing import Any

from mcvae_jax.command import Parser, add_settings, add_whole, run_command, say, settings_of
from mcvae_jax.corpus.build import MOST_WORKERS, build_corpus
from mcvae_jax.corpus.datasets import DATA_SETS, DataSet
from mcvae_jax.corpus.settings import CHOICES, CorpusSettings
from mcvae_jax.corpus.transfer import megabytes


class _List(argparse.Action):
    """--list prints the table and ends, whatever else is missing, as --help does."""

    def __init__(self, option_strings: list[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        say(table())
        parser.exit()


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line: every field of CorpusSettings is one."""
    parser = Parser("python -m mcvae_jax.corpus", description=__doc__)
    add_settings(parser, CorpusSettings, CHOICES)
    parser.add_argument("--out", required=True, metavar="CORPUS", help="folder of the corpus; one there is replaced")
    add_whole(parser, "workers", 1, MOST_WORKERS, None, "processes that read; one for each core where not said")
    parser.add_argument("--pictures", action=argparse.BooleanOptionalAction, default=True, help="draw report.png")
    parser.add_argument("--list", action=_List, help="show the collections that can be named, and end")
    return parser.parse_args(argv)


def table() -> str:
    """The collections: what they hold, where they come from and lie, and on which terms."""
    return "\n\n".join(_entry(row) for row in DATA_SETS.values())


def _entry(row: DataSet) -> str:
    lines = [row.description, f"licence: {row.licence}"]
    if row.citation:
        lines.append(f"cite: {row.citation}")
    if row.remote:
        size = megabytes(row.remote.size) if row.remote.size else "its size is not published"
        record = row.record()
        there = f"fetched {record['fetched']}" if record else "not fetched yet"
        lines += [f"address: {row.remote.address} ({size})", f"place: {row.place} ({there})"]
        lines.append(f"SHA-256: {row.remote.sha256 or 'not published'}")
    if row.note:
        lines.append(f"note: {row.note}")
    wrapped = [
        textwrap.fill(line, 118, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False,
                      break_long_words=False)
        for line in lines
    ]  # fmt: skip
    return "\n".join([row.name, *wrapped])


def main(argv: list[str]) -> None:
    """Builds the corpus and prints its report."""
    flags = parse(argv)
    settings = settings_of(flags, CorpusSettings)
    corpus = build_corpus(settings, flags.out, flags.workers, lambda line: say(line, sys.stderr), flags.pictures)
    say((corpus.folder / "report.txt").read_text("utf-8").rstrip("\n"))


def as_command() -> None:
    """What the command line runs."""
    run_command(main, go_on="The same command again makes it.")


if __name__ == "__main__":
    as_command()
