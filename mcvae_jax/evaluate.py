"""Scores trained models: held-out songs in bits, composed songs beside held-out ones and controls, and what is copied.

It writes report.json (every number) and report.html (to be read) to --out, and nothing else. A model is the workdir
of any config, also that of configs/mcvae.py. Several models stand in one report where they were trained on the same
corpus.

examples:
  python -m mcvae_jax.evaluate --workdir=runs/mcvae-default --out=report
  python -m mcvae_jax.evaluate --models=runs/mcvae-default,runs/mine --out=report
"""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcvae_jax import versions
from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.store import EXCLUDED, HELD_OUT, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation.classifiers import FOLDS
from mcvae_jax.evaluation.conclusions import conclusions
from mcvae_jax.evaluation.copies import PASSAGE
from mcvae_jax.evaluation.evaluation import evaluate, named
from mcvae_jax.evaluation.judged import FIXED_NGRAM, Plan
from mcvae_jax.evaluation.report import write_page
from mcvae_jax.kinds import open_model
from mcvae_jax.memory import keep_memory
from mcvae_jax.models.settings import MOST_DRAWS, MOST_SEED
from mcvae_jax.models.song_model import LATENTS, SongModel, main_origin
from mcvae_jax.nn import native
from mcvae_jax.places import shown
from mcvae_jax.storage.buckets import mounted
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.storage.files import names_in, replacing
from mcvae_jax.trained import open_corpus

FORMAT, VERSION = "mcvae_jax report", 3
FILES = {"report.json", "report.html"}


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser(
        "python -m mcvae_jax.evaluate",
        description=__doc__,
    )
    add = parser.add_argument
    add("--models", default="", metavar="DIR,DIR,...", help="workdirs of trained models, the most important one first")
    add("--workdir", default="", metavar="DIR", help="the same for one model")
    add("--out", required=True, metavar="DIR", help="folder of the report; an earlier report there is replaced")
    add("--corpus", default="", metavar="DIR", help="where the corpus is now (default: where training found it)")
    add(
        "--encoder", default="", metavar="DIR", help="the model whose latents sets are compared in (default: the first)"
    )
    add("--checkpoint", default="best", metavar="WHICH", help="best, newest or a step (default: best)")
    add_whole(parser, "songs", FOLDS, 10_000, Plan.songs, "songs of each composed set")
    add_whole(parser, "bars", PASSAGE, 1000, Plan.bars, "bars of each song of the sets")
    add_whole(parser, "draws", 1, 1000, Plan.draws, "of whole songs, for the bounds")
    text = "draws of each song by the sampler's defaults, of which the likeliest stays; 0: as many as the model's own"
    add_whole(parser, "best_of", 0, MOST_DRAWS, Plan.best_of, text)
    add_whole(parser, "seed", 0, MOST_SEED, Plan.seed, "of everything that is drawn")
    flags = parser.parse_args(argv)
    if bool(flags.models) == bool(flags.workdir):
        raise UserError("give the workdirs of models as --models=DIR,DIR,..., or one as --workdir=DIR")
    return flags


def main(argv: list[str]) -> None:
    """Scores, writes the report, and says what follows from it."""
    flags = parse(argv)
    with mounted(flags.out) as out:
        write_report(flags, out.resolve(), argv)
    say(f"Open {flags.out}/report.html to see it; report.json beside it holds every number.")


def write_report(flags: argparse.Namespace, out: Path, argv: list[str]) -> None:
    """Scores the models of the flags, writes the report into a folder, and says what follows from it."""
    check_folder(out)
    models = [open_model(folder, flags.checkpoint) for folder in (flags.models or flags.workdir).split(",")]
    corpus = common_corpus(models, flags.corpus)
    encoder = open_model(flags.encoder) if flags.encoder else next((m for m in models if LATENTS in m.abilities), None)
    if encoder and encoder.steps != corpus.steps_per_bar:
        raise UserError(
            f"--encoder={flags.encoder} knows bars of {encoder.steps} steps, and the models were trained on bars of"
            f" {corpus.steps_per_bar}; give another --encoder"
        )
    native.prepare(say)
    plan = Plan(flags.songs, flags.bars, flags.draws, flags.best_of, flags.seed)
    about = facts(models, encoder, corpus, plan) | {
        "command": shlex.join(["python", "-m", "mcvae_jax.evaluate", *argv])
    }
    report = {"format": FORMAT, "version": VERSION, "about": about}
    report |= evaluate(named(models), corpus, plan, encoder, say)
    with replacing(out) as place:
        (place / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        write_page(place / "report.html", report)
    for line in conclusions(report):
        say(line)


def common_corpus(models: Sequence[SongModel], folder: str) -> Corpus:
    """The corpus on which all models were trained; UserError where they were trained on several."""
    first = main_origin(models[0])
    corpus = open_corpus(first, folder)
    for model in models[1:]:
        origin = main_origin(model)
        if origin.data.get("identity") != corpus.identity:
            raise UserError(
                f"{origin.folder} was trained on another corpus ({str(origin.data.get('identity'))[:12]}) than"
                f" {first.folder} ({corpus.identity[:12]}), so that it may know the held-out songs of that; compare"
                " models of one corpus (--config.corpus_folder=FOLDER trains on one that stands)"
            )
    return corpus


def facts(models: Sequence[SongModel], encoder: SongModel | None, corpus: Corpus, plan: Plan) -> dict[str, Any]:
    """What the report's numbers hold for."""
    found: dict[str, Any] = dataclasses.asdict(plan) | {
        "ngram": FIXED_NGRAM,
        "corpus": {"folder": shown(corpus.folder), "identity": corpus.identity},
        "held-out songs": {
            "scored": len(scored_songs(corpus, HELD_OUT)),
            "too short or too long": len(corpus.songs(HELD_OUT)) - len(scored_songs(corpus, HELD_OUT)),
            "too similar to a training song": len(corpus.songs(EXCLUDED)),
        },
    }
    if encoder:
        found["latents of"] = shown(main_origin(encoder).folder)
    found["computed on"] = versions.here()
    for name, model in named(models).items():
        for part, origin in model.origins.items():
            found[f"{name}: {part}" if len(models) > 1 else part] = origin.facts()
    return found


def check_folder(folder: Path) -> None:
    """UserError unless a report can be written to `folder`: absent, empty, or with an earlier report and no more."""
    if names_in(folder, "choose another --out") - FILES:
        raise UserError(f"{folder} holds more than a report; choose another --out")


def as_command() -> None:
    """What the command line runs."""
    keep_memory()
    keep_compiled()
    run_command(main, go_on="The same command again makes it.")


if __name__ == "__main__":
    as_command()
