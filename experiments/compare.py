"""Which model composes best over bars? All models on one corpus, one split and one set of measures.

Every model is trained twice over, by the loop that trains all: for the same time of a processor, at the size of its
laptop preset (--budget), and at the same number of parameters, for the updates of its preset. Held-out songs are scored
in bits, songs are composed, and all is put beside real songs, controls, and the n-gram with the copy switch. Each run
is a process on one core, --jobs of them at a time; what is done is not done again, what was cut off goes on.

  python -m experiments.compare --out=DIR --budget=10              built-in tunes, ten minutes of updates for each model
  python -m experiments.compare --out=DIR --budget=10 --corpus=DIR2    a corpus of your own (python -m mcvae_jax.corpus)
  python -m experiments.compare --out=DIR --budget=10 --as_it_is      what has ended of it so far
  python -m experiments.compare --out=DIR --budget=10 --add=THEIRS.json    with the bits of a model from elsewhere

In DIR: index.html, to be looked at first; comparison.json; tables as CSV; results/ with the bits of each model in the
form in which others hand in theirs; songs/ to listen to; runs/ with the workdirs, each of which `mcvae compose` takes.
See docs/comparison.md.
"""

import argparse
import shlex
from pathlib import Path
from typing import Any

from experiments.rivals import collect
from experiments.rivals.benchmark import Split, as_submission, named_split, read_submission
from experiments.rivals.page import write_page
from experiments.rivals.plan import COUNTED, TABLES, TIME, Plan
from experiments.rivals.players import write_players
from experiments.rivals.table import PART, RIVALS
from experiments.rivals.tables import write_tables
from experiments.rivals.work import every_real_song, load_switch, save_switch
from experiments.trainings.jobs import Run, read_scores, train_all
from experiments.trainings.runs import check_folder, keep
from mcvae_jax import versions
from mcvae_jax.command import Parser, add_whole, run_command, say
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.store import TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import judged
from mcvae_jax.evaluation.switch import corpus_switch
from mcvae_jax.models.copying import Switch
from mcvae_jax.options import load_config
from mcvae_jax.places import shown
from mcvae_jax.storage.jsonfile import write_json
from mcvae_jax.tasks.corpus import default_folder

SEED = 0  # of the choice of songs and of all resampling
RESULTS, COMPARISON = "results", "comparison.json"


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of the command line; UserError where they cannot be followed."""
    parser = Parser("python -m experiments.compare", description=__doc__)
    known = [name for name in RIVALS if name != PART]
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="of the runs, the tables and the page")
    add("--budget", type=float, default=0.0, metavar="MINUTES", help="of updates of each model, at equal time")
    add("--tables", default="both", choices=("time", "parameters", "both"), help="which are made (default: both)")
    add("--corpus", default="", metavar="DIR", help="a corpus that stands")
    add("--source", default="builtin", metavar="MUSIC", help="else music, of which one is made (default: builtin)")
    add("--models", default=",".join(known), metavar="NAME,NAME", help=f"some of {', '.join(known)} (default: all)")
    add_whole(parser, "seeds", 1, 100, 3, "trainings of each model in each table")
    add_whole(parser, "steps", 0, 10**7, 0, "updates of each model at equal parameters; 0: as its config says")
    add_whole(parser, "jobs", 1, 1024, 1, "runs at a time, each on a core of its own")
    add_whole(parser, "songs", 4, 10_000, 32, "songs from nothing of each run")
    add("--as_it_is", action="store_true", help="compare the runs that have ended, and train none")
    add("--add", action="append", default=[], type=Path, metavar="FILE", help="bits of a model from elsewhere")
    flags = parser.parse_args(argv)
    flags.names = flags.models.split(",")
    if unknown := set(flags.names) - set(known):
        raise UserError(f"--models={flags.models}: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
    flags.tables = list(TABLES) if flags.tables == "both" else [TABLES[("time", "parameters").index(flags.tables)]]
    if TIME in flags.tables and not (0 < flags.budget < 1e6 or flags.as_it_is):
        raise UserError(
            "give --budget=MINUTES, above 0, of which each model has as many for its updates at equal time; or"
            " --tables=parameters"
        )
    check_folder(flags.out)
    return flags


def main(argv: list[str]) -> int:
    """Trains and scores what is left, then compares all; 1 where a run failed."""
    flags = parse(argv)
    keep(flags.out)
    (flags.out / "runs").mkdir(exist_ok=True)  # by which a folder is known as ours
    corpus = open_corpus(flags)
    real = every_real_song(corpus)
    split = Split.of(corpus)
    added = [read_submission(path, split) for path in flags.add]
    plan = Plan(flags.out, corpus, flags.tables, flags.names, flags.seeds, flags.budget, flags.steps, flags.songs)
    switch = switch_of(corpus, flags.out)
    runs, failed = (list_runs(plan), {}) if flags.as_it_is else train(plan, flags.jobs)
    done = collect.read_runs(runs)
    if not [run for run in done if run.rival != PART]:
        raise UserError(f"no run in {flags.out} came to its end: {'; '.join(failed.values()) or 'none was asked for'}")
    about = {
        "command": shlex.join(["python", "-m", "experiments.compare", *argv]),
        "corpus": {"folder": shown(corpus.folder), "identity": corpus.identity, "source": corpus.settings.source},
        "split": {"digest": split.digest, "name": named_split(split)},
        "computed on": versions.here(),
        "minutes of updates at equal time": flags.budget or None,
        "missing": failed | {name: "it has not come to its end" for name in unfinished(runs) - set(failed)},
    }
    found = compare(plan, done, switch, real, added)
    write(flags.out, {"about": about, "tables": found}, plan, done, real, split)
    return 1 if failed else 0


def open_corpus(flags: argparse.Namespace) -> Corpus:
    """That which stands, or one that is made."""
    if flags.corpus:
        return ensure_corpus(Corpus.open(flags.corpus).settings, flags.corpus, progress=say)
    settings = CorpusSettings(**(load_config("joint").corpus.to_dict() | {"source": flags.source}))
    return ensure_corpus(settings, flags.out / "corpora" / default_folder(settings).name, progress=say)


def switch_of(corpus: Corpus, out: Path) -> Switch:
    """The copy switch of the corpus, fitted where an earlier call has not done so."""
    kept = load_switch(out, corpus.identity)
    if kept is None:
        say("fitting the copy switch of the corpus")
        kept = corpus_switch([corpus.song(i) for i in corpus.songs(TRAIN)], SEED)
        save_switch(kept, out, corpus.identity)
    return kept


def train(plan: Plan, jobs: int) -> tuple[list[tuple[str, Run]], dict[str, str]]:
    """All runs, each with its table, and why some failed, by name."""
    failed: dict[str, str] = {}
    if TIME in plan.tables:
        failed |= train_all(plan.probes(plan.without_needs), jobs, say, apart=True)
        failed |= train_all(plan.needed_to_probe(), jobs, say, apart=True)
        failed |= train_all(plan.probes(plan.with_needs), jobs, say, apart=True)
    runs = list_runs(plan)
    return runs, failed | train_all([run for _, run in runs], jobs, say, apart=True)


def list_runs(plan: Plan) -> list[tuple[str, Run]]:
    """All runs, each with its table: what is counted, then the first seed of all models first."""
    return plan.counted() + plan.trainings([*plan.without_needs, *plan.with_needs])


def unfinished(runs: list[tuple[str, Run]]) -> set[str]:
    """Names of the runs that have not come to their end."""
    return {run.name for _, run in runs if not read_scores(run)}


def compare(
    plan: Plan, done: list[collect.Done], switch: Switch, real: judged.RealSongs, added: list[Any]
) -> dict[str, dict[str, Any]]:
    """By table 'bits', 'sets' and 'costs', as JSON."""
    baseline = collect.baseline_bits(plan, switch, real)
    theirs = collect.added_bits(added, real)
    found = {}
    for table in plan.tables:
        of_table = [run for run in done if run.table in (table, COUNTED)]
        composing = [run for run in of_table if run.rival != PART]
        if not composing:
            continue
        say(f"models at {table}")
        rows = baseline | collect.held_out_bits(composing, real) | theirs
        found[table] = {
            "bits": collect.score_table(rows, real, SEED),
            "sets": collect.judge_table(composing, plan, SEED, say),
            "costs": collect.costs(of_table),
        }
    return found


def write(
    out: Path,
    comparison: dict[str, Any],
    plan: Plan,
    done: list[collect.Done],
    real: judged.RealSongs,
    split: Split,
) -> None:
    """The page, the tables and what is handed in elsewhere."""
    write_json(out / COMPARISON, comparison)
    write_tables(out, comparison["tables"])
    for table, found in comparison["tables"].items():
        folder = out / RESULTS / table.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for name, row in found["bits"].items():
            about = {"table": table, "command": comparison["about"]["command"]}
            bits = as_submission(name, row["likelihood"], row["bits_of_songs"], real.held_out, split, about)
            write_json(folder / f"{name.replace(' ', '-').replace('/', '-')}.json", bits)
    players = {}
    for table in comparison["tables"]:
        folder = out / "songs" / table.replace(" ", "-")
        folder.parent.mkdir(exist_ok=True)
        if write_players(folder, [run for run in done if run.table in (table, COUNTED)], plan.corpus, real, say):
            players[table] = f"songs/{folder.name}/index.html"
    write_page(out / "index.html", comparison, players)
    say(f"Open {out}/index.html to see and hear it; {COMPARISON} beside it holds every number.")


if __name__ == "__main__":
    run_command(main)
