"""Builds a corpus and prints its report: python -m mcvae_jax.corpus --source=FOLDER --out=CORPUS

It writes CORPUS and nothing else, but for --source=builtin, which keeps the tunes that it has read in
~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place). What cannot be read is skipped and named in
CORPUS/skipped.jsonl.
"""

import argparse
import sys

from mcvae_jax.command import Parser, add_settings, add_whole, run_command, say, settings_of
from mcvae_jax.corpus.build import MOST_WORKERS, build_corpus
from mcvae_jax.corpus.settings import CHOICES, CorpusSettings


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line: every field of CorpusSettings is one."""
    parser = Parser("python -m mcvae_jax.corpus", description=__doc__)
    add_settings(parser, CorpusSettings, CHOICES)
    parser.add_argument("--out", required=True, metavar="CORPUS", help="folder of the corpus; one there is replaced")
    add_whole(parser, "workers", 1, MOST_WORKERS, None, "processes that read; one for each core where not said")
    parser.add_argument("--pictures", action=argparse.BooleanOptionalAction, default=True, help="draw report.png")
    return parser.parse_args(argv)


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
