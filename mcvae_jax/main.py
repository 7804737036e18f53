"""Trains and writes its results into a workdir; the same command again goes on from where it stopped.

python -m mcvae_jax.main --config=joint[:PRESET] [options]    the joint MCVAE, from music to new songs
python -m mcvae_jax.main --config=mcvae[:PRESET] [options]    the MCVAE in two parts, likewise
python -m mcvae_jax.main --config=vae[:PRESET] [options]      the bar VAE alone
python -m mcvae_jax.main --config=mdrnn[:PRESET] [options]    the MDRNN on a trained VAE

  --config=FILE.py[:PRESET]   a config file: of a checkout, as configs/vae.py, or of your own
  --config.FIELD=VALUE   changes a field of the config, as in --config.optimizer.learning_rate=3e-4
  --workdir=DIR          where the run lives (default: runs/CONFIG-PRESET); gs://BUCKET/DIR or s3://BUCKET/DIR for a
                         bucket, see docs/training.md
  --init_from=WORKDIR    starts from the best parameters of another run; PART=WORKDIR,PART=WORKDIR takes parts of the
                         parameters from several
  --distributed=auto     joins the processes of a TPU pod or cluster; by hand HOST:PORT,PROCESSES,ID
  --distributed_timeout=SECONDS   how long it waits for the others at the start (default: 300)

It writes into the workdir; the corpus into config.corpus_folder, by default a folder in corpora/, with a hidden lock
beside it; and, for an MDRNN, the latents of the corpus into the VAE's workdir. The built-in tunes are kept as they were
read in ~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place). While a folder is being written it lies
beside its place as .NAME.xxxxxxxx.part; what a killed process leaves of it, the next one clears.

python -m mcvae_jax.inspect WORKDIR says what a workdir holds.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from mcvae_jax import stages, versions
from mcvae_jax.command import run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.kinds import PIPELINES, kind_of, load, open_model
from mcvae_jax.memory import keep_memory
from mcvae_jax.nn import native
from mcvae_jax.options import Options, parse
from mcvae_jax.sampling import demo
from mcvae_jax.storage.buckets import mounted
from mcvae_jax.storage.compiled import keep_compiled
from mcvae_jax.training import processes, supervise
from mcvae_jax.training.fields import check_fields
from mcvae_jax.training.precision import settled

NAME = "mcvae_jax.main"


def main(argv: list[str]) -> int:
    """Runs the command; the exit status, 128 + the signal where one stopped it."""
    if {"--help", "-h"} & set(argv):
        say(__doc__.strip())
        return 0
    options = parse(argv)
    keep_memory()
    if not options.distributed:
        keep_compiled()
        return run(options, argv)
    processes.read_place(options.distributed)
    if not supervise.is_child():
        return supervise.run(NAME, argv)
    supervise.work()
    facts = {"config": options.config.to_dict(), "init_from": options.init_from, "versions": versions.versions()}
    seconds = options.distributed_timeout or processes.SECONDS
    with processes.joined(options.distributed, seconds, facts):
        return run(options, argv)


def run(options: Options, argv: list[str], say: Callable[[str], None] = say) -> int:
    """Does what the options ask for, in each of the processes if there are several; `say` takes the first's lines."""
    with mounted(options.workdir, say, is_first=processes.is_first()) as folder:
        return _run_in(folder, options, argv, say)


def _run_in(folder: Path, options: Options, argv: list[str], say: Callable[[str], None]) -> int:
    """The same with the path of the workdir."""
    say_first = say if processes.is_first() else lambda line: None
    command = shlex.join(["python", "-m", NAME, *argv])
    if options.config.task in PIPELINES:
        if options.init_from:
            raise UserError("--init_from is for one model; give it with the config of that model.")
        native.prepare(say_first)
        make_stages = load(PIPELINES[options.config.task].stages)
        return stages.run(make_stages(options.config, folder, say_first, command), folder, say_first)
    kind = kind_of(options.config.task, options.code)
    config, songs = _parted(options.config)
    check_fields(config, kind.trainer.OF_ALL | kind.config_fields())
    config = settled(config, folder, say_first)
    kind.check(config)
    kind.trainer.check_start(config, folder, options.init_from)
    if songs and processes.is_first():
        demo.check_folder(folder / "songs")  # before hours of training
    native.prepare(say_first)
    task = kind.make_task(config, say_first)
    code = options.code if kind.is_own else ""
    outcome = kind.trainer.train(task, config, folder, say_first, options.init_from, command, code)
    if outcome.signal:
        return 128 + outcome.signal
    if songs:
        place, corpus = folder / "songs", config.corpus_folder
        processes.by_first("songs", lambda: demo.make_songs(open_model(folder), songs, place, say_first, corpus))
        demo.say_where(place, say_first)
    return 0


def _parted(config: ConfigDict) -> tuple[ConfigDict, ConfigDict | None]:
    """The config of a model, and what it is to compose when it is trained, which is no part of how it is trained."""
    if "songs" not in config:
        return config, None
    check_fields(config.songs, demo.FIELDS, "config.songs")
    demo.check_settings(config.songs)
    model = config.copy_and_resolve_references()
    with model.unlocked():
        del model.songs
    return model, config.songs


def as_command() -> None:
    """What the command line runs."""
    run_command(main)


if __name__ == "__main__":
    as_command()
