"""Builds a corpus and prints its report: python -m mcvae_jax.corpus --source=FOLDER --out=CORPUS

It writes CORPUS and nothing else, but for --source=builtin, which keeps the tunes that it has read in
~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place). What cannot be read is skipped and named in
CORPUS/skipped.jsonl.
"""

import argparse
import dataclasses
import sys

from mcvae_jax.command import Parser, add_whole, comments_of, run_command, say
from mcvae_jax.corpus.build import MOST_WORKERS, build_corpus
from mcvae_jax.corpus.settings import CHOICES, CorpusSettings


def parse(argv: list[str]) -> argparse.Namespace:
    """Every field of CorpusSettings is a flag, and the comment beside it the flag's help."""
    parser = Parser(
        "python -m mcvae_jax.corpus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    comments = comments_of(CorpusSettings)
    for field in dataclasses.fields(CorpusSettings):
        required = field.default is dataclasses.MISSING
        default = "" if required else f" (default: {field.default!r})"
        parser.add_argument(
            f"--{field.name}",
            type=field.type,
            required=required,
            default=None if required else field.default,
            choices=CHOICES.get(field.name),
            metavar=field.name.upper() if field.name not in CHOICES else None,
            help=comments[field.name] + default,
        )
    parser.add_argument("--out", required=True, metavar="CORPUS", help="folder of the corpus; one there is replaced")
    add_whole(parser, "workers", 1, MOST_WORKERS, None, "processes that read; one for each core where not said")
    parser.add_argument("--pictures", action=argparse.BooleanOptionalAction, default=True, help="draw report.png")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Builds the corpus and prints its report."""
    flags = parse(argv)
    settings = CorpusSettings(**{f.name: getattr(flags, f.name) for f in dataclasses.fields(CorpusSettings)})
    corpus = build_corpus(settings, flags.out, flags.workers, lambda line: say(line, sys.stderr), flags.pictures)
    say((corpus.folder / "report.txt").read_text("utf-8").rstrip("\n"))


if __name__ == "__main__":
    run_command(main, go_on="The same command again makes it.")
