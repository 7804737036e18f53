#!/usr/bin/env bash
# Trains on GPUs of a Slurm cluster: one process for each GPU. The job goes on by itself after a time limit.
#
#   slurm.sh --name=NAME --workdir=DIR [options] [-- TRAIN ...]
#
#   --workdir=DIR        on a disk that all nodes see, or gs:// or s3:// (then config.vae.corpus_folder, too)
#   --nodes=1 --gpus=4   how many nodes, and GPUs of each
#   --time=4:00:00       limit of one start; two minutes before it the run saves and the job is queued again
#   --sbatch="A B"       more options of sbatch, as --sbatch="--partition=gpu --account=mine"
#   --price=PRICE        of a GPU and hour, to see what it costs
#   --dry-run            prints every command and runs none
#   --end                cancels the job; the run stays in its workdir
#   TRAIN ...            arguments of `mcvae train` (default: --config=mcvae:accelerator)
#
# Send it with the environment active in which mcvae is installed. `squeue --me` shows the job, NAME.log what it says.
# The job ends with the exit status of `mcvae train`; MCVAE_TRIES (5) tries in a row that saved nothing are the last.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/jobs/common.sh
source "$here/common.sh"

name="" workdir="" nodes=1 gpus=4 time=4:00:00 sbatch="" end=no
options="name workdir nodes gpus time sbatch"
flags="end"
read_options "$0" "$@"
need name
if [ "$end" = yes ]; then
  run scancel --name="$name" --user="$(id -un)"
  exit
fi
need workdir
[ ${#train[@]} -gt 0 ] || train=(--config=mcvae:accelerator)
say_cost "$((nodes * gpus))" GPU "from its start until the job ends" "your cluster's rates" \
  "$0 --end --name=$name (by itself where the run ends)"
# --ntasks-per-node: JAX gives each task of Slurm the GPU of its number. B: the signal goes to the batch script alone,
# which passes it on.
read -ra more <<<"$sbatch"
variables="ALL,MCVAE_JOBS=$here,MCVAE_TRIED=$PWD/$name.tries,MCVAE_PROGRESS=$PWD/$name.progress"
run rm -f "$name.tries" "$name.progress" # a new job counts its tries anew; one that is queued again goes on counting
run sbatch --job-name="$name" --nodes="$nodes" --ntasks-per-node="$gpus" --gpus-per-node="$gpus" --time="$time" \
  --requeue --signal=B:TERM@120 --open-mode=append --output="$name.log" --export="$variables" "${more[@]}" \
  "$here/slurm_batch.sh" --workdir="$workdir" "${train[@]}"
