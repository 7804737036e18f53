"""Corpus + VAE -> latent sequences: what the MDRNN is trained on, and a file for research of one's own.

python -m mcvae_jax.latents --workdir=VAE --out=FILE.npz

writes the approximate posterior q(z | bar) = N(mu, exp(log_var)) of every bar of the corpus. Arrays, to be read with
numpy.load, for songs i = 0, 1, ...:

  mu, log_var      float32 (bars, Z): all songs one after the other
  offsets          int64 (songs + 1,): song i is mu[offsets[i]:offsets[i + 1]]
  sides            uint8 (songs,): 0 training, 1 held out, 2 excluded from the scores
  names            text (songs,): the file of each song
  vae, corpus      text (): the identities of both

The command writes this file and nothing else; it reads the latents that the training of an MDRNN has kept in the VAE's
workdir, where they are those asked for.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcvae_jax.command import Parser, run_command
from mcvae_jax.command import say as say_at_once
from mcvae_jax.corpus.store import Corpus, load_arrays
from mcvae_jax.errors import UserError
from mcvae_jax.hashing import checksum
from mcvae_jax.models.bar_codec import BarCodec
from mcvae_jax.models.workdirs import open_codec
from mcvae_jax.music.bars import distinct_bars
from mcvae_jax.music.tokens import HIGHEST, NOTE_OFF
from mcvae_jax.places import on_this_machine
from mcvae_jax.storage.buckets import sending
from mcvae_jax.storage.chunks import Chunks
from mcvae_jax.storage.files import replacing, replacing_file
from mcvae_jax.storage.jsonfile import DamagedFile, read_json, write_json
from mcvae_jax.trained import known_origin, open_corpus

Say = Callable[[str], None]

ARRAYS = ("mu", "log_var", "rows")


class Latents(NamedTuple):
    """The posteriors of all bars of a corpus at some transpositions, each distinct bar once. Z latent size."""

    mu: np.ndarray  # float32 (N, Z)
    log_var: np.ndarray  # float32 (N, Z)
    rows: np.ndarray  # int32 (shifts, bars of the corpus): -1 where the shift takes a bar out of the pitches 0 to 127
    lowest_shift: int  # semitones, of rows[0]

    def song(self, corpus: Corpus, i: int, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """mu and log_var, each (n, Z), of the bars of song i, `shift` semitones higher; ValueError for no such."""
        place = shift - self.lowest_shift
        if not 0 <= place < len(self.rows):
            raise ValueError(f"there are no latents at shift {shift}")
        rows = self.rows[place, corpus.offsets[i] : corpus.offsets[i + 1]]
        if np.any(rows < 0):
            raise ValueError(f"shift {shift} takes song {i} out of the pitches 0 to {HIGHEST}")
        return self.mu[rows], self.log_var[rows]


@dataclasses.dataclass(frozen=True)
class _Header:
    """latents.json, which says what the arrays beside it are of."""

    vae: str
    corpus: str
    shifts: list[int]
    checksums: dict[str, str]


def corpus_latents(
    codec: BarCodec,
    corpus: Corpus,
    lowest_shift: int = 0,
    highest_shift: int = 0,
    say: Say = lambda line: None,
    folder: Path | str | None = None,
    keep: bool = True,
) -> Latents:
    """The latents of a corpus at all shifts from lowest to highest, encoded once and then kept on disk.

    Args:
      lowest_shift, highest_shift: semitones.
      say: takes lines about the progress.
      folder: where they are kept; None is latents/ in the VAE's workdir. What is kept there for another state of
        this VAE is replaced. Where nothing can be written, nothing is kept. A call that is cut off leaves its chunks
        there, and the next one goes on.
      keep: False reads what is kept, and writes nothing.
    """
    origin = known_origin(codec.origin)
    place = (
        on_this_machine(folder or origin.folder / "latents") / f"{corpus.identity[:12]}_{lowest_shift}_{highest_shift}"
    )
    facts = {"vae": origin.identity, "corpus": corpus.identity, "shifts": [lowest_shift, highest_shift]}
    try:
        kept = _read(place, facts)
    except DamagedFile as error:
        kept = None
        say(f"{error}; the bars are encoded anew")
    if kept:
        return kept
    bars, rows = transposed_bars(corpus.distinct, lowest_shift, highest_shift)
    chunks = Chunks(place.with_name(f".{place.name}.unfinished"), facts) if keep else None
    mu, log_var = codec.encode(bars, say, chunks)
    latents = Latents(mu, log_var, rows[:, corpus.bar_ids], lowest_shift)
    if keep:
        try:
            _write(place, facts, latents)
            if chunks:
                chunks.remove()
        except UserError as error:
            say(f"the latents are not kept: {error}")
    return latents


def transposed_bars(distinct: np.ndarray, lowest_shift: int, highest_shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Bars (D, T) at all shifts -> the distinct bars among them, uint8 (N, T), and int32 (shifts, D) rows of these.

    A row is -1 where a pitch would leave 0 to 127.
    """
    shifts = np.arange(lowest_shift, highest_shift + 1)[:, None, None]
    bars = distinct.astype(np.int16) + np.where(distinct < NOTE_OFF, shifts, 0)  # (shifts, D, T)
    exists = np.all((distinct >= NOTE_OFF) | ((bars >= 0) & (bars <= HIGHEST)), axis=-1)
    found, ids = distinct_bars(bars[exists].astype(np.uint8))
    rows = np.full(exists.shape, -1, np.int32)
    rows[exists] = ids
    return found, rows


def _read(place: Path, facts: dict[str, Any]) -> Latents | None:
    """What is kept in a folder for these facts, None where nothing is; DamagedFile where it is not what was written."""
    header = read_json(place / "latents.json", _Header)
    if header is None or {name: getattr(header, name) for name in facts} != facts:
        return None
    arrays = load_arrays(place, ARRAYS, header.checksums)
    return Latents(**arrays, lowest_shift=facts["shifts"][0])


def _write(place: Path, facts: dict[str, Any], latents: Latents) -> None:
    arrays = {name: getattr(latents, name) for name in ARRAYS}
    with replacing(place) as new:
        for name, array in arrays.items():
            np.save(new / f"{name}.npy", array, allow_pickle=False)
        checksums = {name: checksum(array) for name, array in arrays.items()}
        write_json(new / "latents.json", facts | {"checksums": checksums})


def write_npz(path: Path | str, codec: BarCodec, corpus: Corpus, latents: Latents) -> None:
    """Writes the file that the head of this module describes; UserError where it cannot."""
    rows = latents.rows[-latents.lowest_shift]
    arrays = {
        "mu": latents.mu[rows],
        "log_var": latents.log_var[rows],
        "offsets": np.asarray(corpus.offsets),
        "sides": np.asarray(corpus.sides),
        "names": np.array([record["name"] for record in corpus.records()]),
        "vae": np.array(known_origin(codec.origin).identity),
        "corpus": np.array(corpus.identity),
    }
    with replacing_file(Path(path)) as file:
        np.savez(file, **arrays)


def main(argv: list[str]) -> None:
    """Writes the latents of a VAE's corpus, or of another one, as an .npz file."""
    parser = Parser("python -m mcvae_jax.latents", description=__doc__)
    parser.add_argument("--workdir", required=True, help="of a trained VAE")
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="what it holds stands above")
    parser.add_argument("--corpus", default="", help="a corpus (default: the one on which the VAE was trained)")
    parser.add_argument("--checkpoint", default="best", help="best, newest or a step (default: best)")
    flags = parser.parse_args(argv)
    with sending(flags.out) as out:
        codec = open_codec(flags.workdir, flags.checkpoint)
        corpus = Corpus.open(flags.corpus) if flags.corpus else open_corpus(known_origin(codec.origin))
        latents = corpus_latents(codec, corpus, say=say_at_once, keep=False)
        write_npz(out, codec, corpus, latents)
    say_at_once(f"{len(corpus):,} songs, {len(corpus.tokens):,} bars, latent size {codec.latent}: {flags.out}")


def as_command() -> None:
    """What the command line runs."""
    run_command(main)


if __name__ == "__main__":
    as_command()
