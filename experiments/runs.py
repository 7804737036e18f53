"""What experiments that compare trainings share: arms by seeds, trained, scored, and put side by side in tables.

An arm is a name and changes to configs/mcvae.py; a run is an arm with a training seed. Its workdir is
OUT/runs/ARM-seedN, as `python -m mcvae_jax.main --config=configs/mcvae.py` makes it (but for the songs), and its
figures are in scores.json there. What is done is not done again, what was cut off goes on, and a run that fails costs
only itself. OUT/corpora holds the corpora and OUT/compiled the compiled programs, which runs share.

    table.csv         a row for each run               summary.csv       mean, standard deviation and n of each arm
    differences.csv   each arm less the baseline, seed by seed, for the same figures

With --jobs=N the runs are processes of their own, N at a time, each on one core: at these sizes two such runs do twice
what one run does on two cores. This module is then also the command of a run:

    python -m experiments.runs WORKDIR MODELS SONGS --config=configs/mcvae.py --config.FIELD=VALUE ...
"""

import argparse
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.scores import excerpts, score_run
from experiments.tables import write_tables
from mcvae_jax import pipeline
from mcvae_jax.command import Parser, clock, run_command, say
from mcvae_jax.corpus.build import ensure_corpus
from mcvae_jax.corpus.settings import CorpusSettings
from mcvae_jax.errors import UserError
from mcvae_jax.options import parse as parse_config
from mcvae_jax.training import tasks
from mcvae_jax.training.vae_task import default_folder
from mcvae_jax.workdir import read_json

Say = Callable[[str], None]
Arms = Mapping[str, Sequence[str]]  # name -> changes, as 'vae.loss.beta=0.2'

PROJECT = Path(__file__).resolve().parent.parent
CONFIG = PROJECT / "configs" / "mcvae.py"
BOTH = tuple(pipeline.MODELS)
SMALL = """
    vae.model.units=128 vae.model.latent=32 vae.train.batch_size=64 vae.train.steps=1600 vae.loss.beta_steps=1200
    vae.train.eval_every=400 vae.train.save_every=400 vae.optimizer.decay_steps=1600 vae.held_out.importance_samples=8
    mdrnn.model.units=128 mdrnn.train.steps=400 mdrnn.train.eval_every=100 mdrnn.train.save_every=100
    mdrnn.optimizer.decay_steps=400 mdrnn.data.lowest_shift=-2 mdrnn.data.highest_shift=3
""".split()  # half the keys, as encoding all twelve took as long as training
SCALES = {"small": SMALL, "full": []}
SECONDS_TO_END = 60  # that a child is given to save and end


class Run(NamedTuple):
    """One training to be done or done."""

    arm: str
    seed: int
    folder: Path
    arguments: list[str]  # of `python -m experiments.runs`


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
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="--config.FIELD=VALUE changes a field of configs/mcvae.py in every run, as in"
        " --config.vae.train.steps=3000.",
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="of the runs, the tables and the figures")
    add("--source", default="builtin", metavar="MUSIC", help="builtin, tunes, or a folder (default: builtin)")
    add("--seeds", type=int, default=3, metavar="N", help="trainings of each arm (default: 3)")
    add("--scale", choices=SCALES, default="small", help="small: for a few cores (default); full: the default preset")
    add("--jobs", type=int, default=1, metavar="N", help="runs at a time, each on a core of its own; 1: on all cores")
    add("--songs", type=int, default=64, metavar="N", help="free compositions scored of each run (default: 64)")
    return parser


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """The options, with `fields`, what --config.FIELD=VALUE asks for; UserError where they cannot be followed."""
    fields = [argument for argument in argv if re.match(r"--config\.[^=]+=", argument)]
    flags = parser.parse_args([argument for argument in argv if argument not in fields])
    for name, least in (("seeds", 1), ("jobs", 1), ("songs", 2)):
        if getattr(flags, name) < least:
            raise UserError(f"--{name} is {getattr(flags, name)}; it must be {least} or more")
    flags.fields = [field.removeprefix("--config.") for field in fields]
    return flags


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
      KeyboardInterrupt: Ctrl-C or SIGTERM, after the runs that were under way have saved.
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
    runs, seen = [], set()
    for seed in range(flags.seeds):
        for arm, changes in arms.items():
            folder = flags.out / "runs" / f"{slug(arm)}-seed{seed}"
            config, arguments = make_config(flags, [*changes, f"vae.seed={seed}", f"mdrnn.seed={seed}"])
            try:
                pipeline.check_start(config, folder)
            except UserError as error:
                raise UserError(str(error).replace("--workdir", "--out")) from error
            runs.append(Run(arm, seed, folder, [str(folder), ",".join(models), str(flags.songs), *arguments]))
            if arm not in seen:
                seen.add(arm)
                check_data(config, models, say)
    return runs


def check_data(config: Any, models: Sequence[str], say: Say) -> None:
    """Builds the corpus where it does not stand yet; UserError where a run on it could not do its work."""
    corpus = ensure_corpus(CorpusSettings(**config.vae.corpus), config.vae.corpus_folder, progress=say)
    tasks.make_task(config.vae, lambda line: None)
    if "mdrnn" in models:
        excerpts(corpus)


def slug(name: str) -> str:
    """'beta 0.2' -> 'beta-0.2': a name as part of a path."""
    return re.sub(r"[^\w.]+", "-", name).strip("-")


def read_scores(run: Run) -> dict[str, Any]:
    """What a run left of itself, {} where it has not come to its end or came to it by other arguments."""
    scores = read_json(run.folder / "scores.json")
    return scores if scores.get("arguments") == run.arguments else {}


def train_all(runs: Sequence[Run], jobs: int, say: Say) -> dict[str, str]:
    """Trains and scores what is left, and returns why each of those that failed did, by name."""
    todo = [run for run in runs if not read_scores(run)]
    if len(todo) < len(runs):
        say(f"{len(runs) - len(todo)} of {len(runs)} runs are done already")
    failed: dict[str, str] = {}
    started, ended = time.monotonic(), 0
    with contextlib.closing(_one_by_one(todo, say) if jobs == 1 else _side_by_side(todo, jobs, say)) as ends:
        for run, reason in ends:
            ended += 1
            if reason:
                failed[run.folder.name] = reason
            spent = time.monotonic() - started
            left = f"; about {clock(spent / ended * (len(todo) - ended))} left" if ended < len(todo) else ""
            how, place = f"FAILED: {reason}" if reason else "done", len(runs) - len(todo) + ended
            say(f"[{place}/{len(runs)}] {run.folder.name} {how}, {clock(spent)} since the start{left}")
    return failed


def _one_by_one(runs: Sequence[Run], say: Say) -> Iterator[tuple[Run, str]]:
    """Each run in this process, and why it failed ('' where it did not)."""
    for run in runs:
        say(f"--- {run.folder.name}")
        try:
            status = train_and_score(run.arguments, say)
        except Exception as error:  # whatever happens to one run, the others are to be done
            yield run, _in_one_line(error)
            continue
        if status:
            raise KeyboardInterrupt
        yield run, ""


def _side_by_side(runs: Sequence[Run], jobs: int, say: Say) -> Iterator[tuple[Run, str]]:
    """The same in processes pinned to a core each, `jobs` at a time, which write into RUN.log."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None] * jobs
    if jobs > len(cores):
        raise UserError(f"--jobs={jobs}: there are {len(cores)} cores; ask for at most as many jobs")
    free, waiting, active = cores[:jobs], list(runs), {}
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while waiting or active:
            while free and waiting:
                core, run = free.pop(0), waiting.pop(0)
                say(f"--- {run.folder.name} starts; its lines go to {_log(run)}")
                active[core] = run, _start(run, core)
            for core, (run, process) in list(active.items()):
                if process.poll() is not None:
                    del active[core]
                    free.append(core)
                    yield run, _last_line(run) if process.returncode else ""
            time.sleep(0.1)
    finally:
        signal.signal(signal.SIGTERM, old)
        for _, process in active.values():
            process.send_signal(signal.SIGINT)
        for _, process in active.values():
            process.wait(SECONDS_TO_END)


def _start(run: Run, core: int | None) -> subprocess.Popen:
    """A process in a session of its own, so that Ctrl-C reaches it once only, through `_side_by_side`."""
    _log(run).parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    with _log(run).open("w") as log, _pinned(core):
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.runs", *run.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )


@contextlib.contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """This thread, and what it starts, on one core; None changes nothing."""
    if core is None:
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _log(run: Run) -> Path:
    return run.folder.with_name(run.folder.name + ".log")


def _last_line(run: Run) -> str:
    lines = _log(run).read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"it ended at once, see {_log(run)}")


def _in_one_line(error: Exception) -> str:
    first = str(error).strip().split("\n")[0]
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"


def train_and_score(argv: Sequence[str], say: Say) -> int:
    """One run: WORKDIR MODELS SONGS and the arguments of its config; the exit status."""
    folder, models, songs = Path(argv[0]), argv[1].split(","), int(argv[2])
    config = parse_config(list(argv[3:])).config
    if not jax.config.jax_compilation_cache_dir:  # compiling takes about a minute of a run that finds nothing there
        jax.config.update("jax_compilation_cache_dir", str(folder.absolute().parent.parent / "compiled"))
    command = shlex.join(["python", "-m", "experiments.runs", *argv])
    status = pipeline.train_models(config, folder, say, command, models)
    if not status:
        score_run(folder, songs, list(argv), say)
    return status


def main(argv: list[str]) -> int:
    """The command of one run; see the head of this module."""
    if len(argv) < 4 or not argv[2].isdecimal():
        raise UserError("give WORKDIR MODELS SONGS --config=...; experiments call this, see experiments/capacity.py")
    return train_and_score(argv, say)


if __name__ == "__main__":
    run_command(main)
