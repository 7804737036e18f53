"""`python -m mcvae_jax.corpus --source=FOLDER --out=CORPUS`: builds a corpus and prints its report."""

import argparse
import dataclasses
import sys

from mcvae_jax.command import Parser, comments_of, run_command
from mcvae_jax.corpus.build import build_corpus
from mcvae_jax.corpus.settings import CHOICES, CorpusSettings
from mcvae_jax.corpus.sources import printable


def parse(argv: list[str]) -> argparse.Namespace:
    """Every field of CorpusSettings is a flag, and the comment beside it the flag's help."""
    parser = Parser("python -m mcvae_jax.corpus", description=__doc__)
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
    parser.add_argument("--workers", type=int, help="processes that read (default: one for each core)")
    parser.add_argument("--pictures", action=argparse.BooleanOptionalAction, default=True, help="draw report.png")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Builds the corpus and prints its report."""
    flags = parse(argv)
    settings = CorpusSettings(**{f.name: getattr(flags, f.name) for f in dataclasses.fields(CorpusSettings)})
    corpus = build_corpus(settings, flags.out, flags.workers, lambda line: show(line, sys.stderr), flags.pictures)
    show((corpus.folder / "report.txt").read_text("utf-8"), sys.stdout)


def show(text: str, stream) -> None:
    """Prints text in which names of any bytes may stand, on any terminal."""
    encoding = stream.encoding or "ascii"
    text = "\n".join(printable(line) for line in text.splitlines())
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


if __name__ == "__main__":
    run_command(main, go_on="The same command again makes it.")
