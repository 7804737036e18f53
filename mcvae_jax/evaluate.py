"""Scores a trained model: held-out songs in bits, composed songs beside held-out ones and controls, and what is copied.

It writes report.json (every number) and report.html (to be read) to --out, and nothing else, for the workdir of a VAE,
of an MDRNN, or of configs/mcvae.py.

example:
  python -m mcvae_jax.evaluate --workdir=runs/mcvae-default --out=report
"""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import compare
from mcvae_jax.evaluation.conclusions import conclusions
from mcvae_jax.evaluation.controls import control_sets, halves, untrained, untrained_mdrnn
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.measures import MEASURES, Measure
from mcvae_jax.evaluation.ngrams import NGrams
from mcvae_jax.evaluation.report import write_page
from mcvae_jax.evaluation.scores import NGRAMS, score_models
from mcvae_jax.evaluation.sets import FOLDS
from mcvae_jax.evaluation.songs import encode_songs, scored_songs
from mcvae_jax.files import names_in, replacing
from mcvae_jax.sampling import modes
from mcvae_jax.sampling.settings import AS_TRAINED, MOST_SEED, Settings
from mcvae_jax.trained import Composer, open_composer, open_corpus, provenance

Songs = list[np.ndarray]
Sets = dict[str, Songs]

FORMAT, VERSION = "mcvae_jax report", 1
FILES = {"report.json", "report.html"}
FIXED_NGRAM = "Kneser-Ney 5-gram"  # under which the bits of sets are compared
BITS = "bits per bar"
HELD_OUT_SET = "held-out songs"


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser(
        "python -m mcvae_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workdir", required=True, metavar="DIR", help="of a trained VAE, MDRNN, or both")
    add("--out", required=True, metavar="DIR", help="folder of the report; an earlier report there is replaced")
    add("--corpus", default="", metavar="DIR", help="where the corpus is now (default: where training found it)")
    add("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    add_whole(parser, "songs", FOLDS, 10_000, 100, "songs of each composed set")
    add_whole(parser, "bars", PASSAGE, 1000, 32, "bars of each song of the sets")
    add_whole(parser, "draws", 1, 1000, 4, "of whole songs, for the bounds")
    add_whole(parser, "seed", 0, MOST_SEED, 0, "of everything that is drawn")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Scores, writes the report, and says what follows from it."""
    flags = parse(argv)
    out = Path(flags.out).resolve()
    check_folder(out)
    composer = open_composer(flags.workdir, flags.checkpoint)
    corpus = open_corpus(composer.vae, flags.corpus)
    about = facts(composer, corpus, flags) | {"command": shlex.join(["python", "-m", "mcvae_jax.evaluate", *argv])}
    report = {"format": FORMAT, "version": VERSION, "about": about} | evaluate(composer, corpus, flags, say)
    with replacing(out) as place:
        (place / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        write_page(place / "report.html", report)
    for line in conclusions(report):
        say(line)
    say(f"Open {flags.out}/report.html to see it; report.json beside it holds every number.")


def evaluate(composer: Composer, corpus: Corpus, flags: argparse.Namespace, say: Callable[[str], None]) -> dict:
    """The report, as JSON: 'models' (`score_models`), 'sets' (`compare_sets`), 'flags' (`lost_to`), 'copies'
    (`compare_copies`), 'kinds' of sets: the names of 'models' and 'controls', and the 'held_out' one of 'copies'."""
    training_ids, held_out_ids = (scored_songs(corpus, side) for side in (TRAIN, HELD_OUT))
    training, held_out = ([corpus.song(i) for i in ids] for ids in (training_ids, held_out_ids))
    excerpts = [song[: flags.bars] for song in held_out if len(song) >= flags.bars]
    long_enough = [i for i in training_ids if corpus.lengths[i] >= flags.bars]
    if len(excerpts) < 2 * FOLDS or not long_enough:
        raise UserError(
            f"the corpus {corpus.folder} has {len(excerpts)} held-out and {len(long_enough)} training songs of"
            f" {flags.bars} bars or more, and {2 * FOLDS} and 1 are needed; give fewer --bars, or train on more songs"
        )
    models = score_models(composer, training, held_out, flags.draws, flags.seed, say)
    rng = np.random.default_rng(flags.seed)
    reference, other = halves(excerpts, rng)
    controls = control_sets(other, [corpus.song(i)[: flags.bars] for i in long_enough], flags.songs, rng)
    composed, fresh = composed_sets(composer, flags)
    controls |= fresh

    def encode(songs):
        mu = encode_songs(composer.vae.vae, composer.vae.params, songs).mu
        return mu.reshape(len(songs), flags.bars, -1).astype(np.float64)

    sets = compare.compare_sets(reference, composed | controls, measures(training), encode, flags.seed, say)
    say("what is copied from the training songs")
    records = corpus.records()
    all_training = corpus.songs(TRAIN)
    copies = compare.compare_copies(
        {HELD_OUT_SET: excerpts} | composed | controls,
        [corpus.song(i) for i in all_training],
        [records[i]["name"] for i in all_training],
        flags.seed,
    )
    return {
        "kinds": {"models": list(composed), "controls": list(controls), "held_out": HELD_OUT_SET},
        "models": models,
        "sets": sets,
        "flags": compare.lost_to(sets["sets"], list(composed), list(controls)),
        "copies": copies,
    }


def composed_sets(composer: Composer, flags: argparse.Namespace) -> tuple[Sets, Sets]:
    """The sets of the models, the one to be judged first, and those of untrained ones."""
    plain = {"songs": flags.songs, "bars": flags.bars}
    as_trained = dataclasses.replace(AS_TRAINED, seed=flags.seed)
    fresh = untrained(composer, flags.seed)
    if composer.mdrnn:
        alone = untrained_mdrnn(composer, flags.seed)
        made = {
            "MCVAE (as trained)": modes.compose(composer, settings=as_trained, **plain),
            "MCVAE (sampler's defaults)": modes.compose(composer, settings=Settings(seed=flags.seed), **plain),
        }
        untrained_made = {
            "untrained MDRNN": modes.compose(alone, settings=as_trained, **plain),
            "untrained composer": modes.compose(fresh, settings=as_trained, **plain),
        }
    else:
        made, untrained_made = {}, {"untrained composer": modes.vae_bars(fresh, settings=as_trained, **plain)}
    made |= {
        "VAE (bar by bar)": modes.vae_bars(composer, settings=as_trained, **plain),
        "VAE (free run)": modes.vae_free(composer, settings=as_trained, **plain),
    }
    return tuple(
        {name: [song.bars for song in songs] for name, songs in each.items()} for each in (made, untrained_made)
    )


def measures(training: Songs) -> dict[str, Measure]:
    """The measures of a song, its bits per bar under a fixed n-gram first."""
    smoothing, order = NGRAMS[FIXED_NGRAM]
    ngrams = NGrams.fit(training, order, smoothing)
    return {BITS: lambda song: ngrams.bits(song) / len(song), **MEASURES}


def facts(composer: Composer, corpus: Corpus, flags: argparse.Namespace) -> dict[str, Any]:
    """What the report's numbers hold for."""
    found = {
        "workdir": flags.workdir,
        "seed": flags.seed,
        "songs": flags.songs,
        "bars": flags.bars,
        "draws": flags.draws,
        "ngram": FIXED_NGRAM,
        "corpus": {"folder": str(corpus.folder), "identity": corpus.identity},
        "held-out songs": {
            "scored": len(scored_songs(corpus, HELD_OUT)),
            "too short or too long": len(corpus.songs(HELD_OUT)) - len(scored_songs(corpus, HELD_OUT)),
            "too similar to a training song": len(corpus.songs(EXCLUDED)),
        },
    }
    for name, trained in (("vae", composer.vae), ("mdrnn", composer.mdrnn)):
        if trained:
            found[name] = provenance(trained)
    return found


def check_folder(folder: Path) -> None:
    """UserError unless a report can be written to `folder`: absent, empty, or with an earlier report and no more."""
    if names_in(folder, "choose another --out") - FILES:
        raise UserError(f"{folder} holds more than a report; choose another --out")


if __name__ == "__main__":
    run_command(main, go_on="The same command again makes it.")
