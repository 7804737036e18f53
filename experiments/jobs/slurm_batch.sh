#!/usr/bin/env bash
# The job itself, on its first node: srun starts a process for each GPU, and the loop starts them again. slurm.sh sends
# it and says what it costs; with --dry-run it prints the commands.
#
#   slurm_batch.sh [--dry-run] [ARGUMENT of mcvae train ...]
#
# Where Slurm asks it to stop, which it does before the time is over, all save and the job is queued again, unless
# MCVAE_TRIES tries in a row have saved nothing.

set -euo pipefail
# Slurm runs a copy of this file, so that its folder comes with the environment.
# shellcheck source=experiments/jobs/retry.sh
source "${MCVAE_JOBS:?slurm.sh sets it}/retry.sh"

dry_run=no
[ "${1:-}" != --dry-run ] || { dry_run=yes && shift; }
# A process that dies ends the others by itself, in one line; srun must not kill those that save.
command=(srun --kill-on-bad-exit=0 mcvae train --distributed=auto "$@")
if [ "$dry_run" = yes ]; then
  printf '+'
  printf ' %q' "${command[@]}"
  printf '\n# and where the time is over: scontrol requeue %s\n' "${SLURM_JOB_ID:-JOB}"
  exit
fi
status=0
retry "${command[@]}" || status=$?
if [ "$status" -eq 143 ] && [ "$(tries_without_progress)" -lt "$MCVAE_TRIES" ]; then
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
