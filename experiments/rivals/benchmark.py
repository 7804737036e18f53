"""A benchmark that others can join: splits as lists of hashes of tunes, and a file of bits that any model can hand in.

    python -m experiments.rivals.benchmark --corpus=DIR --name=NAME --out=FILE     writes the split of a corpus

splits/NAME.json lists the training and the scored held-out songs of a collection by their content (in any key, without
the silence around them: corpus/clean.py). A model trained elsewhere on these training songs hands in a JSON file

    {"format": "mcvae_jax benchmark", "version": 1, "split": DIGEST, "model": NAME, "likelihood": "exact" or "bound",
     "about": {...}, "bits": {CONTENT: bits of the whole song, ...}}

with a figure for every held-out song, given its number of bars. docs/comparison.md says how.
"""

import argparse
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.command import Parser, run_command, say
from mcvae_jax.corpus.clean import content_hash
from mcvae_jax.corpus.store import HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.models.song_model import BOUND, EXACT
from mcvae_jax.storage.jsonfile import write_json

SPLIT, SUBMISSION, VERSION = "mcvae_jax split", "mcvae_jax benchmark", 1
SPLITS = Path(__file__).with_name("splits")


class Split(NamedTuple):
    """Songs by their contents, 32 hex digits each, in order of these."""

    train: list[str]
    held_out: dict[str, int]  # and the bars of those that are scored

    @classmethod
    def of(cls, corpus: Corpus) -> "Split":
        """That of a corpus."""
        scored = {content(song): len(song) for song in map(corpus.song, scored_songs(corpus, HELD_OUT))}
        return cls(sorted(content(corpus.song(i)) for i in corpus.songs(TRAIN)), dict(sorted(scored.items())))

    @property
    def digest(self) -> str:
        """32 hex digits of all of it."""
        listed = ["train", *self.train, "held out", *(f"{song} {bars}" for song, bars in self.held_out.items())]
        return blake2b("\n".join(listed).encode(), digest_size=16).hexdigest()


class Submission(msgspec.Struct):
    """What a model hands in."""

    format: str
    version: int
    split: str
    model: str
    likelihood: str
    bits: dict[str, float]
    about: dict[str, Any] = {}


def content(song: np.ndarray) -> str:
    """Of a song, uint8 (n, T)."""
    return content_hash(song).hex()


def named_split(split: Split) -> str:
    """'builtin' for the split of that name in splits/; '' for one that stands nowhere."""
    for path in sorted(SPLITS.glob("*.json")):
        if msgspec.json.decode(path.read_bytes()).get("digest") == split.digest:
            return path.stem
    return ""


def as_submission(
    model: str, likelihood: str, bits: Sequence[float], songs: Sequence[np.ndarray], split: Split, about: dict[str, Any]
) -> dict[str, Any]:
    """What a model hands in, from the bits of the scored held-out songs, as JSON."""
    by_song = {content(song): float(each) for song, each in zip(songs, bits, strict=True)}
    return msgspec.to_builtins(Submission(SUBMISSION, VERSION, split.digest, model, likelihood, by_song, about))


def read_submission(path: Path, split: Split) -> Submission:
    """The file of a model; UserError where it is none, of another split, or not of every song."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Submission)
    except OSError as error:
        raise UserError(f"--add={path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UserError(
            f"--add={path} is no file of a model's bits ({error}); docs/comparison.md has its form"
        ) from error
    if (found.format, found.version) != (SUBMISSION, VERSION) or found.likelihood not in (EXACT, BOUND):
        raise UserError(
            f"--add={path}: format must be {SUBMISSION!r}, version {VERSION}, and likelihood {EXACT!r} or {BOUND!r}"
        )
    if found.split != split.digest:
        raise UserError(
            f"--add={path} is of the split {found.split}, and this corpus has the split {split.digest}; compare on the"
            " corpus that its model was trained on"
        )
    missing = [song for song in split.held_out if song not in found.bits]
    if missing or not all(np.isfinite(found.bits[song]) and found.bits[song] >= 0 for song in split.held_out):
        raise UserError(
            f"--add={path} lacks the bits of {len(missing)} of {len(split.held_out)} held-out songs, or has some that"
            " are negative or no numbers; every song counts"
        )
    return found


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = Parser("python -m experiments.rivals.benchmark", description=__doc__)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="as python -m mcvae_jax.corpus makes it")
    parser.add_argument("--name", required=True, help="of the collection")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="of the split")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Writes a split."""
    flags = parse(argv)
    corpus = Corpus.open(flags.corpus)
    split = Split.of(corpus)
    settings = msgspec.to_builtins(corpus.settings) | {"source": flags.name}
    found = {"format": SPLIT, "version": VERSION, "name": flags.name, "settings": settings, "digest": split.digest}
    write_json(flags.out, found | split._asdict())
    say(f"{flags.out}: {len(split.train)} training songs and {len(split.held_out)} that are scored, {split.digest}")


if __name__ == "__main__":
    run_command(main)
