"""What experiments that compare trainings share: arms by seeds, trained, scored, and put side by side in tables.

An arm is a name and changes to configs/mcvae.py; a run is an arm with a training seed. Its workdir is
OUT/runs/ARM-seedN, as `python -m mcvae_jax.main --config=configs/mcvae.py` makes it (but for the songs), and its
figures are in scores.json there. What is done is not done again, what was cut off goes on, and a run that fails costs
only itself. OUT/corpora holds the corpora and OUT/compiled the compiled programs, which runs share. One process at a
time works on OUT.

    table.csv         a row for each run               summary.csv       mean, standard deviation and n of each arm
    differences.csv   each arm less the baseline, seed by seed, for the same figures
"""

import argparse
import contextlib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.trainings.jobs import PROJECT, Run, read_scores, train_all
from experiments.trainings.scores import excerpts
from experiments.trainings.tables import write_tables
from mcvae_jax import stages
from mcvae_jax.command import Parser, add_whole, say
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.datasets import DATA_SETS
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.corpus.sources import list_files
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import kind_of
from mcvae_jax.options import parse as parse_config
from mcvae_jax.storage.files import names_in
from mcvae_jax.storage.workdir import Workdir
from mcvae_jax.tasks import mcvae
from mcvae_jax.tasks.corpus import default_folder

Say = Callable[[str], None]
Arms = Mapping[str, Sequence[str]]  # name -> changes, as 'vae.loss.beta=0.2'

CONFIG = PROJECT / "configs" / "mcvae.py"
BOTH = ("vae", "mdrnn")
SMALL = """
    vae.model.units=128 vae.model.latent=32 vae.train.batch_size=64 vae.train.steps=1600 vae.loss.beta_steps=1200
    vae.train.eval_every=400 vae.train.save_every=400 vae.optimizer.decay_steps=1600 vae.held_out.importance_samples=8
    mdrnn.model.units=128 mdrnn.train.steps=400 mdrnn.train.eval_every=100 mdrnn.train.save_every=100
    mdrnn.optimizer.decay_steps=400 mdrnn.data.lowest_shift=-2 mdrnn.data.highest_shift=3
""".split()  # half the keys, as encoding all twelve took as long as training
SCALES = {"small": SMALL, "full": []}


class Result(NamedTuple):
    """A run and what `scores.score_run` says of it: {} where it is missing."""

    arm: str
    seed: int
    folder: Path
    scores: dict[str, Any]


class Results(NamedTuple):
    """All runs of an experiment."""

    runs: list[Result]
    status: int  # the exit status: 1 where a run is missing


def make_parser(name: str, doc: str) -> Parser:
    """The parser of an experiment with the options that all have; experiments add their own."""
    parser = Parser(
        f"python -m experiments.{name}",
        description=doc,
        epilog="--config.FIELD=VALUE changes a field of configs/mcvae.py in every run, as in"
        " --config.vae.train.steps=3000.\n"
        "All that is written goes to --out (runs/, corpora/, compiled/, tables and figures); the built-in tunes are\n"
        "kept in ~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place).",
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="of the runs, the tables and the figures")
    add("--source", default="builtin", metavar="MUSIC", help="builtin, or a folder of music (default: builtin)")
    add_whole(parser, "seeds", 1, 100, 3, "trainings of each arm")
    add("--scale", choices=SCALES, default="small", help="small: for a few cores (default); full: the default preset")
    add_whole(parser, "jobs", 1, 1024, 1, "runs at a time, each on a core of its own; 1: on all cores")
    add_whole(parser, "songs", 2, 10_000, 64, "free compositions scored of each run")
    return parser


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """The options, with `fields`, what --config.FIELD=VALUE asks for; from then on OUT is this process's (`keep`).

    Raises UserError where they cannot be followed; nothing is written then.
    """
    fields = [argument for argument in argv if re.match(r"--config\.[^=]+=", argument)]
    flags = parser.parse_args([argument for argument in argv if argument not in fields])
    flags.fields = [field.removeprefix("--config.") for field in fields]
    check_folder(flags.out)
    check_source(make_config(flags)[0], flags.out)
    keep(flags.out)
    return flags


def check_folder(out: Path) -> None:
    """UserError unless an experiment can write to `out`: absent, empty, or with an earlier one, if only its corpora."""
    names_in(out / "runs", "choose another --out")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if names - {"lock"} and not names & {"runs", "corpora"}:
        raise UserError(f"{out} holds other files and no runs/ of an earlier experiment; choose another --out")


def check_source(config: Any, out: Path) -> None:
    """UserError where there is neither a corpus yet nor music to make one of."""
    stands = (out / "corpora").exists() or (Path(config.vae.corpus_folder) / "corpus.json").exists()
    if not stands and config.vae.corpus.source not in DATA_SETS:
        list_files(config.vae.corpus.source)


@functools.cache
def keep(out: Path) -> contextlib.ExitStack:
    """Keeps other processes out of `out` until this one ends, however it ends; UserError where one is there."""
    kept = contextlib.ExitStack()
    kept.enter_context(Workdir(out).locked())
    return kept


def make_config(flags: argparse.Namespace, changes: Sequence[str] = ()) -> tuple[Any, list[str]]:
    """The config of a run with such changes, and the arguments that make it.

    Raises:
      UserError: a field or value that cannot be; or the user asks for a field that the experiment itself sets.
    """
    set_here = {change.split("=")[0] for change in changes}
    for field in flags.fields:
        if field.split("=")[0] in set_here:
            raise UserError(f"--config.{field}: this experiment sets that field itself; leave it out")
    songs = ["songs.continued=0", "songs.composed=1"]  # none are written, so none need be there to be continued
    fields = [f"vae.corpus.source={flags.source}", *SCALES[flags.scale], *songs, *changes, *flags.fields]
    arguments = [f"--config={CONFIG}", *(f"--config.{field}" for field in fields)]
    config = parse_config(arguments).config
    if not config.vae.corpus_folder:
        folder = flags.out / "corpora" / default_folder(CorpusSettings(**config.vae.corpus)).name
        arguments.append(f"--config.vae.corpus_folder={folder}")
    return parse_config(arguments).config, arguments


def run_arms(
    arms: Arms,
    flags: argparse.Namespace,
    baseline: str = "",
    models: Sequence[str] = BOTH,
    also: Callable[[Result], dict[str, float]] = lambda run: {},
    say: Say = say,
) -> Results:
    """Trains and scores every arm with every seed, writes the tables and says what they hold.

    Args:
      arms: the changes of each.
      flags: of `parse`.
      baseline: the arm with which the others are compared; '' compares none.
      models: both, or ('vae',).
      also: further figures of a finished run for the tables.

    Raises:
      UserError: what can be told before any training.
      Stopped: Ctrl-C or SIGTERM, after the runs that were under way have saved.
    """
    runs = plan(arms, flags, models, say)
    failed = train_all(runs, flags.jobs, say)
    found = [Result(run.arm, run.seed, run.folder, read_scores(run)) for run in runs]
    for result in found:
        if result.scores:
            result.scores["figures"] |= also(result)
    write_tables(found, baseline, flags.out, say)
    for name, reason in failed.items():
        say(f"{name} failed: {reason}")
    if failed:
        say("These runs are missing in the tables. The same command again tries them again.")
    return Results(found, 1 if failed else 0)


def plan(arms: Arms, flags: argparse.Namespace, models: Sequence[str], say: Say) -> list[Run]:
    """All runs, the first seed of every arm first, after a look at every config and at every corpus."""
    runs, configs = [], {}
    for seed in range(flags.seeds):
        for arm, changes in arms.items():
            folder = flags.out / "runs" / f"{slug(arm)}-seed{seed}"
            config, arguments = make_config(flags, [*changes, f"vae.seed={seed}", f"mdrnn.seed={seed}"])
            try:
                stages.check(mcvae.stages(config, folder, say, ""), folder)
            except UserError as error:
                raise UserError(str(error).replace("--workdir", "--out")) from error
            runs.append(Run(arm, seed, folder, [str(folder), ",".join(models), str(flags.songs), *arguments]))
            configs.setdefault(arm, config)
    for config in configs.values():
        check_data(config, models, say)
    return runs


def check_data(config: Any, models: Sequence[str], say: Say) -> None:
    """Builds the corpus where it does not stand yet; UserError where a run on it could not do its work."""
    corpus = ensure_corpus(CorpusSettings(**config.vae.corpus), config.vae.corpus_folder, progress=say)
    kind_of(config.vae.task).make_task(config.vae, lambda line: None)
    if "mdrnn" in models:
        excerpts(corpus)


def slug(name: str) -> str:
    """'beta 0.2' -> 'beta-0.2': a name as part of a path."""
    return re.sub(r"[^\w.]+", "-", name).strip("-")
