"""The thesis' own evaluation (6.4.2 to 6.6), as published and corrected.

Interpolates between songs of set A and set B by Algorithms 1 to 4 and between the melodies themselves, scores it all
with a 5-gram model, and writes Figs 5.4, 6.6 to 6.11 and 7.1 to 7.4, one figure of them all (overview), tables (CSV)
and index.html, to be looked at first, to --out, and nothing else.

A and B are held-out songs by default, 100 each or half of those that there are: what a model makes of songs that it
was trained on flatters it. The thesis' models had seen theirs; --songs_from=all is that, and there the corrected 5-gram
has seen them, too. Melodies are drawn with the sampler's defaults (temperature 0, tau_sigma 0.5, tau_recall 0);
--as_trained sets all temperatures to 1.

example:
  python -m experiments.thesis --workdir=runs/mcvae-default --out=thesis
"""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.published.claims import UNCLEANED, WORKDIR, claims, controls, overview, summarise, verdict
from experiments.published.figures import draw_all, figures
from experiments.published.musicvae import CAPTION as PATHS_CAPTION
from experiments.published.musicvae import draw_paths, finding, follow_paths
from experiments.published.page import write_page
from experiments.published.sets import Pairs, Scored, Scorer, choose_pairs, composed, without_model
from experiments.results import write_csv
from mcvae_jax import versions
from mcvae_jax.batches.songs import scored_songs
from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.pictures import draw as draw_corpus
from mcvae_jax.corpus.pictures import read_report
from mcvae_jax.corpus.store import TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import open_model
from mcvae_jax.models.latent_composer import LatentComposer
from mcvae_jax.models.settings import AS_TRAINED, DEFAULTS, MOST_SEED, Settings
from mcvae_jax.models.song_model import LATENTS, MEMORY, main_origin
from mcvae_jax.places import on_this_machine
from mcvae_jax.storage.files import names_in, replacing
from mcvae_jax.storage.jsonfile import DamagedFile
from mcvae_jax.storage.workdir import Record, Workdir
from mcvae_jax.trained import Origin, open_corpus

PAIRS = "songs_of_a_and_b"  # in summary.json alone
SPLIT = ("bars", "metre", "melody", "min_pitch", "max_pitch", "held_out", "split", "split_seed")  # of CorpusSettings
TABLES = ("scores.csv", "summary.csv", "claims.csv", "musicvae.csv")
STEMS = [f"{f.stem}{mode}" for f in figures(twins=True) for mode in ("", "_corrected")] + ["overview", "fig_5_4"]
FILES = {*TABLES, "summary.json", "index.html", "fig_7.png", *(f"{s}.{kind}" for s in STEMS for kind in ("png", "pdf"))}


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser(
        "python -m experiments.thesis",
        description=__doc__,
    )
    add = parser.add_argument
    add("--workdir", required=True, metavar="DIR", help="of an MCVAE; a VAE alone makes Algorithms 1 and 2")
    add("--out", required=True, metavar="DIR", help="folder of the results; earlier ones there are replaced")
    add("--uncleaned", default="", metavar="DIR", help="of an MCVAE trained on the uncleaned corpus, for Fig 6.11")
    add_whole(parser, "songs", 2, 10_000, 100, "of A and of B, at most")
    add("--songs_from", choices=("held_out", "all"), default="held_out", help="see above (default: held_out)")
    add_whole(parser, "seed", 0, MOST_SEED, 0, "of the choice of songs and all draws")
    add("--as_printed", action="store_true", help="Algorithms 3 and 4 without the first bar (64 tokens)")
    add("--as_trained", action="store_true", help="draw with all temperatures at 1")
    add("--corpus", default="", metavar="DIR", help="where the corpus is now (default: where training found it)")
    add("--checkpoint", default="best", metavar="WHICH", help="of --workdir: best, newest or a step (default: best)")
    return parser.parse_args(argv)


def settings_of(flags: argparse.Namespace) -> Settings:
    """How melodies are drawn."""
    return dataclasses.replace(AS_TRAINED if flags.as_trained else DEFAULTS, seed=flags.seed)


def main(argv: list[str]) -> None:
    """Composes, scores, writes, and says what follows."""
    flags = parse(argv)
    out = on_this_machine(flags.out).resolve()
    if names_in(out, "choose another --out") - FILES:
        raise UserError(f"{out} holds more than results of this command; choose another --out")
    models = {WORKDIR: open_latents(flags.workdir, flags.checkpoint)}
    if flags.uncleaned:
        models[UNCLEANED] = open_latents(flags.uncleaned, "best")
        check_twin(models[WORKDIR], models[UNCLEANED])
    corpus = open_corpus(main_origin(models[WORKDIR]), flags.corpus)
    pairs = choose_pairs(corpus, flags.songs_from, flags.songs, flags.seed)
    command = shlex.join(["python", "-m", "experiments.thesis", *argv])
    about = facts(models, corpus, pairs, flags) | {"command": command, "computed on": versions.here()}
    scorer = Scorer([corpus.song(i) for i in scored_songs(corpus, TRAIN)], pairs)
    sets = score_all(models, pairs, scorer, flags, say)
    say("paths of Fig 5.4")
    paths = follow_paths(models[WORKDIR], pairs, scorer, settings_of(flags))
    rows = overview(sets, flags.seed)
    report, why = corpus_report(corpus)
    short = verdict(sets, rows)
    sentences = [controls(sets, rows), finding(paths), *missing(models, pairs, flags), *why]
    with replacing(out) as place:
        write(place, sets, rows, paths, short, sentences, about, report, flags)
    for line in (*short, *sentences):
        say(line)
    say(f"Open {flags.out}/index.html to see it; the tables beside it hold every number.")


def check_twin(cleaned: LatentComposer, uncleaned: LatentComposer) -> None:
    """UserError unless Fig 6.11 can compare the two."""
    if not all(MEMORY in model.abilities for model in (cleaned, uncleaned)):
        raise UserError("--uncleaned compares two MCVAEs; give workdirs with a prior each, or leave it out")
    if cleaned.prior.origin.identity == uncleaned.prior.origin.identity:
        raise UserError("--uncleaned and --workdir are the same model; give the one trained on the uncleaned corpus")


def score_all(
    models: dict[str, LatentComposer],
    pairs: Pairs,
    scorer: Scorer,
    flags: argparse.Namespace,
    say: Callable[[str], None],
) -> list[Scored]:
    """The scores of all sets: without a model, then of each model."""
    say(f"A and B: {len(pairs.a)} songs each ({flags.songs_from})")
    sets = [scorer("", melodies) for melodies in without_model(pairs, flags.seed)]
    for name, model in models.items():
        say(f"Algorithms 1 to {4 if MEMORY in model.abilities else 2} by --{name}")
        made = composed(model, pairs, settings_of(flags), not flags.as_printed, say)
        sets += [scorer(name, melodies) for melodies in made]
    return sets


def write(
    place: Path,
    sets: list[Scored],
    overall: list[dict[str, Any]],
    paths: list[dict[str, Any]],
    short: list[str],
    sentences: list[str],
    about: dict[str, Any],
    report: dict[str, Any] | None,
    flags: argparse.Namespace,
) -> None:
    """Writes tables, figures and the page; overall: of `overview`, short: the verdict, report: of the corpus."""
    told = claims(sets, flags.seed)
    rows = [
        {"model": s.model, "method": s.method, "bars": s.bars, "alpha": s.alpha, "pair": pair}
        | {name: float(values[pair]) for name, values in s.scores.items()}
        for s in sets
        for pair in range(len(next(iter(s.scores.values()))))
    ]
    for name, table in zip(TABLES, (rows, summarise(sets, flags.seed), told, paths), strict=True):
        write_csv(place / name, table)
    summary = about | {"sentences": [*short, *sentences], "claims": told}
    (place / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    drawn = draw_all(place, sets, bool(flags.uncleaned))
    draw_paths(place, paths)
    others = {"fig_5_4": ("Fig 5.4: MusicVAE's evaluation of interpolation, for these songs", PATHS_CAPTION)}
    if report:
        draw_corpus(report, place / "fig_7.png")
        others["fig_7"] = "Figs 7.1 to 7.4: the corpus", "The picture of the corpus that --workdir was trained on."
    shown = {name: value for name, value in about.items() if name != PAIRS}
    write_page(place, shown, short, sentences, told, overall, drawn, others)


def facts(models: dict[str, LatentComposer], corpus: Corpus, pairs: Pairs, flags: argparse.Namespace) -> dict[str, Any]:
    """What the numbers hold for."""
    found: dict[str, Any] = {
        "seed": flags.seed,
        "pairs": len(pairs.a),
        "songs_from": flags.songs_from,
        "as_printed": flags.as_printed,
        "settings": vars(settings_of(flags)),
        "corpus": {"folder": str(corpus.folder), "identity": corpus.identity},
    }
    for name, model in models.items():
        found[name] = {part: origin.facts() for part, origin in model.origins.items()}
    return found | {PAIRS: pairs.names}


def corpus_report(corpus: Corpus) -> tuple[dict[str, Any] | None, list[str]]:
    """The report of the corpus; None, and a sentence with the reason, where it cannot be shown."""
    try:
        report = read_report(corpus.folder)
        reason = "" if report else f"{corpus.folder} has no report.json"
    except DamagedFile as error:
        report, reason = None, str(error)
    return report, [f"Figs 7.1 to 7.4 are missing: {reason}; build the corpus again."] if reason else []


def missing(models: dict[str, LatentComposer], pairs: Pairs, flags: argparse.Namespace) -> list[str]:
    """What is not there or in doubt, and how to get it."""
    told, model = [], models[WORKDIR]
    if len(pairs.a) < flags.songs:
        more = "; --songs_from=all takes training songs, too" if flags.songs_from == "held_out" else ""
        told.append(f"A and B have {len(pairs.a)} songs each, not {flags.songs}: there are no more{more}.")
    if MEMORY not in model.abilities:
        told.append("Figs 6.8, 6.10 and 6.11 are missing: the workdir has a VAE alone; train an MDRNN on it.")
    elif UNCLEANED not in models:
        told.append(
            "Fig 6.11 is missing, and Figs 6.8 and 6.10 are of the model given: train its twin on the uncleaned corpus"
            " by the next line, and give it as --uncleaned."
        )
        told.append(" && ".join(twin_commands(model)))
    elif flags.songs_from == "held_out" and (unlike := split_unlike(*models.values())):
        told.append(
            f"--uncleaned may have been trained on songs of A and B, since its corpus was made with {unlike}: train it"
            " with the same."
        )
    return told


def split_unlike(cleaned: LatentComposer, uncleaned: LatentComposer) -> str:
    """Where the settings that decide which songs are held out differ; '' for nowhere."""
    here, there = (_record(model.codec.origin).config.get("corpus", {}) for model in (cleaned, uncleaned))
    return ", ".join(f"{k} {there.get(k)!r}, not {here.get(k)!r}" for k in SPLIT if there.get(k) != here.get(k))


def twin_commands(model: LatentComposer) -> list[str]:
    """The command lines that train the same models on a corpus without limits and with all duplicates."""
    vae, prior = _record(model.codec.origin), _record(model.prior.origin)
    folder = model.codec.origin.folder
    corpus = {"corpus.max_bars": 0, "corpus.dedupe": "none", "corpus_folder": ""}
    if folder.name == "vae" and vae.command == prior.command:  # both by one command
        fields = {f"vae.{name}": value for name, value in corpus.items()} | {"mdrnn.data.max_bars": 0}
        return [_again(vae.command, fields, folder.parent)]
    return [
        _again(vae.command, corpus, folder),
        _again(
            prior.command,
            {"data.max_bars": 0, "vae_workdir": f"{folder}-{UNCLEANED}"},
            model.prior.origin.folder,
        ),
    ]


def open_latents(folder: str, checkpoint: str) -> LatentComposer:
    """The model of a workdir; UserError for one without latents, between which nothing lies."""
    model = open_model(folder, checkpoint)
    if LATENTS not in model.abilities:
        raise UserError(f"{folder} holds a {model.name}, which has no latents to interpolate; give a model that has")
    return model


def _record(origin: Origin) -> Record:
    return Workdir(origin.folder).read()


def _again(command: str, fields: dict[str, Any], folder: Path) -> str:
    """A command with other fields, to another workdir; of what is said twice the last counts."""
    changed = [f"--config.{name}={value}" for name, value in fields.items()]
    return f"{command or 'the same training with'} {shlex.join([*changed, f'--workdir={folder}-{UNCLEANED}'])}"


if __name__ == "__main__":
    run_command(main)
