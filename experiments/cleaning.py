"""Does cleaning a corpus help: long songs dropped (thesis 6.6.2, 7.1), songs weighed alike (7)?

    python -m experiments.cleaning --out=runs/cleaning [--source=FOLDER] [--jobs=2]

Arms: `no limit` keeps songs of any length, and copies; `339` and `226` are the thesis' limits, without copies; `339, by
song` draws every song as often, whatever its length, in training the VAE. (The MDRNN hears every song once an epoch in
all arms.) An arm whose corpus is that of an earlier arm to the byte is left out and named.

In the thesis one song held 88,863 of 794,260 bars, almost all of them silence. Corpora that were picked by hand have no
such song, so --outlier_share (default 0.11) adds one of that share of all bars to the training side of `no limit`: a
note in every 64th bar, else silence. The limits would drop it, so the other arms need not be given it. With 0 there is
none.

All arms are scored on the same songs: held out under every arm and of 16 to 226 bars. As no song of 10,000 bars goes
through the MDRNN whole, it learns from windows of 64 bars in all arms (--config.mdrnn.data.window).
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.results import new_figure, save_figure
from experiments.trainings import runs
from experiments.trainings.common_songs import held_out_in_all, song_bits, songs_by_name
from experiments.trainings.panels import OfArm, bare, by_arm, draw_boxes, draw_points, draw_repeats
from experiments.trainings.runs import Result
from mcvae_jax.batches.songs import SHORTEST
from mcvae_jax.command import run_command, say
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.clean import content_hash
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import SIDE_NAMES, TRAIN, Corpus, write_corpus
from mcvae_jax.errors import UserError
from mcvae_jax.music.tokens import NO_EVENT, NOTE_OFF

BASELINE = "339"
LIMITS = (339, 226)
RAW = "no limit"
BY_SONG = "339, by song"
COMMON = "common_bits"
WINDOW = 64  # bars of a song that the MDRNN hears at a time
NOTE_EVERY = 64  # bars of the outlier
OUTLIER = "outlier"  # its name in the corpus
RAW_CORPUS = ["vae.corpus.max_bars=0", "vae.corpus.dedupe=none"]


def main(argv: list[str]) -> int:
    """Trains and scores what is left, then writes tables and figure."""
    parser = runs.make_parser("cleaning", __doc__)
    parser.add_argument("--outlier_share", type=float, default=0.11, metavar="S", help="see above (default: 0.11)")
    flags = runs.parse(parser, argv)
    if not 0 <= flags.outlier_share < 1:
        raise UserError(f"--outlier_share is {flags.outlier_share}; it must be 0 (none) or more, and below 1")
    corpora = read_corpora(flags)
    arms = choose_arms(corpora)
    names = held_out_in_all(list(corpora.values()), SHORTEST, min(LIMITS))
    bars = sum(len(song) for song in songs_by_name(corpora[BASELINE], names))
    say(f"{len(names)} songs of {bars:,} bars are held out under every arm")

    def also(run: Result) -> dict[str, float]:
        return {COMMON: float(song_bits(run, names, say).sum() / bars)}

    results = runs.run_arms(arms, flags, BASELINE, also=also)
    of_arm = by_arm(results.runs)
    if of_arm:
        draw(of_arm, flags.out)
        say(f"Figure: {flags.out / 'cleaning.png'} and .pdf")
    return results.status


def read_corpora(flags: argparse.Namespace) -> dict[str, Corpus]:
    """The corpora of the arms by their limits."""

    def read(fields: list[str]) -> Corpus:
        config, _ = runs.make_config(flags, fields)
        return ensure_corpus(CorpusSettings(**config.vae.corpus), config.vae.corpus_folder, progress=say)

    raw = read(RAW_CORPUS)
    if flags.outlier_share:
        raw = with_outlier(raw, flags.outlier_share, flags.out / "corpora" / f"outlier-{flags.outlier_share:g}")
    return {RAW: raw} | {str(limit): read([f"vae.corpus.max_bars={limit}"]) for limit in LIMITS}


def choose_arms(corpora: Mapping[str, Corpus]) -> dict[str, list[str]]:
    """The changes of each arm, one for each corpus that differs from the others."""
    window = f"mdrnn.data.window={WINDOW}"
    raw = [*RAW_CORPUS, "mdrnn.data.max_bars=0", f"vae.corpus_folder={corpora[RAW].folder}"]
    arms = {RAW: [*raw, window]}
    for limit in LIMITS:
        twin = next((name for name in arms if corpora[name].identity == corpora[str(limit)].identity), None)
        if twin and str(limit) != BASELINE:
            say(f"the limit of {limit} bars leaves the corpus of '{twin}' as it is: not trained again")
        else:
            arms[str(limit)] = [f"vae.corpus.max_bars={limit}", window]
    if corpora[RAW].identity == corpora[BASELINE].identity:
        say(f"'{RAW}' is the corpus of '{BASELINE}': not trained again")
        del arms[RAW]
    return arms | {BY_SONG: [*arms[BASELINE], "vae.data.sampler=song"]}


def with_outlier(corpus: Corpus, share: float, folder: Path) -> Corpus:
    """The corpus with one training song more, of that share of all its bars, almost all silence; kept in `folder`."""
    bars = round(len(corpus.tokens) * share / (1 - share))
    if (folder / "corpus.json").is_file():
        kept = Corpus.open(folder)
        if kept.fingerprint == corpus.fingerprint and len(kept.tokens) == len(corpus.tokens) + bars:
            return kept
    song = outlier(bars)
    record: dict[str, Any] = {"name": OUTLIER, "title": "", "bars": bars, "side": SIDE_NAMES[TRAIN]}
    record |= {"content": content_hash(song).hex(), "checksum": ""}
    songs = [*(corpus.song(i) for i in range(len(corpus))), song]
    sides = np.append(corpus.sides, np.uint8(TRAIN))
    say(f"an outlier of {bars:,} bars beside {len(corpus.tokens):,}")
    return write_corpus(folder, corpus.settings, corpus.fingerprint, songs, sides, [*corpus.records(), record], [])


def outlier(bars: int) -> np.ndarray:
    """A song of so many bars, uint8 (bars, 16): a sixteenth of middle C in every NOTE_EVERY-th, else silence."""
    song = np.full((max(1, bars), 16), NO_EVENT, np.uint8)
    song[::NOTE_EVERY, :2] = 60, NOTE_OFF
    return song


def draw(of_arm: OfArm, out: Path) -> None:
    """cleaning.png and .pdf: the bound on the same songs, rests and repetition of free compositions."""
    figure = new_figure(10, 8)
    (points, rests), (density, repeats) = figure.subplots(2, 2)
    draw_points(points, of_arm, COMMON, "whole-song bound of the same songs,\nbits per bar")
    draw_boxes(rests, of_arm, "rest share", "share of silent steps")
    draw_boxes(density, of_arm, "note density", "notes per bar")
    draw_repeats(repeats, of_arm)
    bare(points, rests, density, repeats)
    save_figure(figure, out / "cleaning")


if __name__ == "__main__":
    run_command(main)
