"""Bars of the music, or a cut every 16 steps whatever the metre (thesis 6.1.1): which makes the better model?

    python -m experiments.bars --out=runs/bars [--source=FOLDER] [--jobs=2]

Two things differ between the policies: where a bar starts, and which songs can be read at all (`metre` skips what does
not fill 16 steps, as 3/4 and 6/8). So there are three arms: `metre`; `fixed16` on the same songs, where only the bar
lines differ; and `fixed16` on all that it can read, as the thesis had it.

How the same music is compared. A file has the same side of the split under both policies, as it goes by its name
(split=name); of the same tune in several files one is kept (dedupe=tune), and held-out songs that resemble a training
song are not scored (max_similarity), so that going by names lets no copy through. Scored are the songs that are held
out and of 16 to 339 bars under both policies. A pickup can make a bar more under one policy, and the bars hold other
steps: so what is compared is the bits of the whole song, divided under both by the bars of `fixed16`. They are those of
the same notes, but for performances set down across the bar lines, whose grid `metre` moves. common_songs.csv has them
song by song; `bound_bits` in the tables is each arm on all of its own songs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.results import new_figure, save_figure, write_csv
from experiments.trainings import runs
from experiments.trainings.common_songs import held_out_in_all, song_bits, songs_by_name
from experiments.trainings.panels import OfArm, bare, by_arm, draw_points, draw_repeats
from experiments.trainings.runs import Result
from mcvae_jax.batches.songs import LONGEST, SHORTEST
from mcvae_jax.command import run_command, say
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import Corpus, write_corpus

METRE, SAME, ALL = "metre", "fixed16, same songs", "fixed16, all songs"
SPLIT = ["vae.corpus.split=name", "vae.corpus.dedupe=tune"]
COMMON = "common_bits"  # bits per bar of fixed16


def main(argv: list[str]) -> int:
    """Trains and scores what is left, then writes tables and figure."""
    flags = runs.parse(runs.make_parser("bars", __doc__), argv)
    metre, fixed = (read(flags, policy) for policy in ("metre", "fixed16"))
    same = restricted(fixed, {record["name"] for record in metre.records()}, flags.out / "corpora" / "fixed16-same")
    arms = {METRE: changes(metre), SAME: changes(same), ALL: changes(fixed)}
    names = held_out_in_all([metre, same], SHORTEST, LONGEST)
    lengths = [len(song) for song in songs_by_name(fixed, names)]
    say(f"{len(names)} songs of {sum(lengths):,} bars are held out under both policies")

    def also(run: Result) -> dict[str, float]:
        return {COMMON: float(song_bits(run, names, say).sum() / sum(lengths))}

    results = runs.run_arms(arms, flags, METRE, also=also)
    of_arm = by_arm(results.runs)
    if of_arm:
        write_songs(of_arm, names, [len(song) for song in songs_by_name(metre, names)], lengths, flags.out)
        draw(of_arm, names, np.array(lengths), flags.out)
        say(f"Figure: {flags.out / 'bars.png'} and .pdf; song by song: common_songs.csv")
    return results.status


def changes(corpus: Corpus) -> list[str]:
    """What makes an arm train on a corpus."""
    return [*SPLIT, f"vae.corpus.bars={corpus.settings.bars}", f"vae.corpus_folder={corpus.folder}"]


def read(flags: argparse.Namespace, policy: str) -> Corpus:
    """The corpus of a policy."""
    config, _ = runs.make_config(flags, [*SPLIT, f"vae.corpus.bars={policy}"])
    return ensure_corpus(CorpusSettings(**config.vae.corpus), config.vae.corpus_folder, progress=say)


def restricted(corpus: Corpus, names: set[str], folder: Path) -> Corpus:
    """The songs of a corpus that have one of the names, as they stand, as a corpus of its own in `folder`."""
    records = corpus.records()
    chosen = [i for i, record in enumerate(records) if record["name"] in names]
    if (folder / "corpus.json").is_file():
        kept = Corpus.open(folder)
        if kept.fingerprint == corpus.fingerprint and [r["name"] for r in kept.records()] == [
            records[i]["name"] for i in chosen
        ]:
            return kept
    songs = [corpus.song(i) for i in chosen]
    of_chosen = [records[i] for i in chosen]
    return write_corpus(folder, corpus.settings, corpus.fingerprint, songs, corpus.sides[chosen], of_chosen, [])


def write_songs(
    of_arm: OfArm, names: Sequence[str], metre_bars: Sequence[int], fixed_bars: Sequence[int], out: Path
) -> None:
    """common_songs.csv: the bits of each song under each run, a row a song."""
    columns: dict[str, Any] = {
        f"bits: {run.folder.name}": song_bits(run, names, say) for found in of_arm.values() for run in found
    }
    rows = [
        {"name": name, "bars metre": metre_bars[i], "bars fixed16": fixed_bars[i]}
        | {column: bits[i] for column, bits in columns.items()}
        for i, name in enumerate(names)
    ]
    write_csv(out / "common_songs.csv", rows)


def draw(of_arm: OfArm, names: Sequence[str], lengths: np.ndarray, out: Path) -> None:
    """bars.png and .pdf: the bound on the same songs, song against song, and repetition."""
    figure = new_figure(12, 4.2)
    points, songs, repeats = figure.subplots(1, 3)
    draw_points(points, of_arm, COMMON, "whole-song bound of the same songs,\nbits per 16 steps")
    per_bar = {
        arm: np.mean([song_bits(run, names, say) for run in found], axis=0) / lengths for arm, found in of_arm.items()
    }
    if METRE in per_bar and SAME in per_bar:
        songs.plot(per_bar[METRE], per_bar[SAME], "o", color="tab:blue", markersize=3, alpha=0.6)
        songs.axline((per_bar[METRE].mean(),) * 2, slope=1, color="0.5", linewidth=0.8)
        better = np.mean(per_bar[METRE] < per_bar[SAME])
        songs.set_title(f"a point is a song, mean over seeds; metre is better in {better:.0%}")
    songs.set(xlabel=f"{METRE}, bits per 16 steps", ylabel=f"{SAME}, bits per 16 steps")
    draw_repeats(repeats, of_arm)
    bare(points, songs, repeats)
    save_figure(figure, out / "bars")


if __name__ == "__main__":
    run_command(main)
