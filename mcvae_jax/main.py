"""Trains and writes its results into a workdir; the same command again goes on from where it stopped.

python -m mcvae_jax.main --config=configs/mcvae.py[:PRESET] [options]    all of it, from music to new songs
python -m mcvae_jax.main --config=configs/vae.py[:PRESET] [options]      the bar VAE alone
python -m mcvae_jax.main --config=configs/mdrnn.py[:PRESET] [options]    the MDRNN on a trained VAE

  --config.FIELD=VALUE   changes a field of the config, as in --config.optimizer.learning_rate=3e-4
  --workdir=DIR          where the run lives (default: runs/CONFIG-PRESET)
  --init_from=WORKDIR    starts from the best parameters of another run
  --distributed=auto     joins the processes of a TPU pod or cluster; by hand HOST:PORT,PROCESSES,ID

It writes into the workdir; the corpus into config.corpus_folder, by default a folder in corpora/, with a hidden lock
beside it; and, for an MDRNN, the latents of the corpus into the VAE's workdir. The built-in tunes are kept as they were
read in ~/.cache/mcvae_jax (MCVAE_CACHE or XDG_CACHE_HOME name another place). While a folder is being written it lies
beside its place as .NAME.xxxxxxxx.part; what a killed process leaves of it, the next one clears.

python -m mcvae_jax.inspect WORKDIR says what a workdir holds.
"""

import shlex
from pathlib import Path

from mcvae_jax import pipeline
from mcvae_jax.command import run_command, say
from mcvae_jax.errors import UserError
from mcvae_jax.options import parse
from mcvae_jax.training import loop, parallel, tasks


def main(argv: list[str]) -> int:
    """Runs the command; the exit status, 128 + the signal where one stopped it."""
    if {"--help", "-h"} & set(argv):
        say(__doc__.strip())
        return 0
    options = parse(argv)
    if options.distributed:
        parallel.start_distributed(options.distributed)
    command = shlex.join(["python", "-m", "mcvae_jax.main", *argv])
    if options.config.task == pipeline.TASK:
        if options.init_from:
            raise UserError("--init_from is for one model; give it with --config=configs/vae.py or configs/mdrnn.py.")
        return pipeline.run(options.config, Path(options.workdir), say, command)
    loop.check_start(options.config, options.workdir, options.init_from)
    task = tasks.make_task(options.config, say)
    outcome = loop.train(task, options.config, options.workdir, say, options.init_from, command)
    return 128 + outcome.signal if outcome.signal else 0


if __name__ == "__main__":
    run_command(main)
