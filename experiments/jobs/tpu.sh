#!/usr/bin/env bash
# Trains on a TPU VM, or on all VMs of a pod slice, by queued resources; anew whenever they are taken away.
#
#   tpu.sh --name=NAME --zone=ZONE --type=TYPE --image=IMAGE --workdir=gs://BUCKET/RUN [options] [-- TRAIN ...]
#
#   --type=TYPE          v5litepod-8 is one host, v5litepod-16 a slice of several; all that is different is the type
#   --image=IMAGE        of ./Dockerfile, in a registry, as REGION-docker.pkg.dev/PROJECT/REPOSITORY/mcvae:1
#   --workdir=gs://...   where the run lives; without it nothing outlives the machine
#   --project=PROJECT    default: that of gcloud
#   --service-account=A  of the VMs: it reads the image and writes into the bucket (default: that of Compute Engine)
#   --runtime=VERSION    software of the VMs (default: by the type, as Google's table has it)
#   --on-demand          dearer machines that are not taken away; the default is --spot
#   --price=PRICE        of a chip and hour, to see what it costs
#   --dry-run            prints every command and runs none
#   --end                deletes the machines and ends; the run stays in the bucket
#   TRAIN ...            arguments of `mcvae train` (default: --config=mcvae:accelerator, its corpus beside the run)
#
# This script watches, and must run on until the end, in tmux or on a small VM. Ctrl-C ends the watching alone: the TPU
# goes on AND COSTS; the same command watches again, and --end deletes it. At the end of the run, and after a mistake,
# it deletes the TPU itself. Exit status: that of `mcvae train`; 75 after MCVAE_TRIES (5) machines in a row that left
# nothing new in the bucket.

# shellcheck disable=SC2329  # `retry` calls some of these functions

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/jobs/common.sh
source "$here/common.sh"
# shellcheck source=experiments/jobs/retry.sh
source "$here/retry.sh"

name="" zone="" type="" image="" workdir="" project="" service_account="" runtime="" on_demand=no end=no
options="name zone type image workdir project service-account runtime"
flags="on-demand end"
read_options "$0" "$@"
need name zone
where=(--zone="$zone" ${project:+--project="$project"})
queue=(gcloud compute tpus queued-resources)

# The state of the queued resource, of its node, '' where there is none; fails where it cannot be asked.
queue_state() { "${queue[@]}" list "${where[@]}" --filter="name~/$name\$" --format="value(state.state)"; }
node_state() { gcloud compute tpus tpu-vm list "${where[@]}" --filter="name~/$name\$" --format="value(state)"; }

delete_machine() { run "${queue[@]}" delete "$name" "${where[@]}" --force --quiet; }

create_machine() {
  local more=()
  [ "$on_demand" = yes ] || more+=(--spot)
  [ -z "$service_account" ] || more+=(--service-account="$service_account")
  run "${queue[@]}" create "$name" --node-id="$name" "${where[@]}" --accelerator-type="$type" \
    --runtime-version="$runtime" --scopes=cloud-platform "${more[@]}" --metadata-from-file=startup-script="$startup"
}

# What each VM does when it starts: vm.sh, with its settings before it.
startup_script() {
  echo '#!/usr/bin/env bash'
  printf 'image=%q status_at=%q tries=%q\n' "$image" "$status_at" "${MCVAE_TRIES:-5}"
  printf 'command=('
  printf '%q ' mcvae train --distributed=auto --workdir="$workdir" "${train[@]}"
  printf ')\n'
  cat "$here/vm.sh"
}

# For `retry`: a machine that leaves nothing new in the bucket has made no progress.
progress_mark() {
  gcloud storage ls "$workdir/**" 2>/dev/null | grep -v "/[.]lock" | cksum || true
}

# For `retry`: Ctrl-C ends the watching.
interrupt_child() { kill -TERM "$child" 2>/dev/null || true; }

# The life of one machine: until it has told an exit status, or 75 where it was taken away.
one_machine() {
  local queued node status last="" waits=""
  trap 'kill $waits; exit 143' TERM INT
  queued=$(queue_state) || return 1
  if [ -z "$queued" ]; then
    run gcloud storage rm "$status_at" 2>/dev/null || true
    create_machine || return 1
  fi
  while true; do
    if status=$(gcloud storage cat "$status_at" 2>/dev/null); then
      delete_machine || return 1
      return "$status"
    fi
    # Where a question fails, the network may be gone: the machine is asked again, and not given up.
    if queued=$(queue_state 2>/dev/null) && node=$(node_state 2>/dev/null); then
      case "$queued/$node" in
        FAILED/* | SUSPEND*/* | */PREEMPTED | */TERMINATED | */FAILED | /*)
          echo "the TPU is gone (${queued:-none}, ${node:-none})"
          [ -z "$queued" ] || delete_machine || return 1
          return 75
          ;;
        *) [ "$queued/$node" = "$last" ] || echo "the TPU is $queued, its VMs ${node:-not there yet}" ;;
      esac
      last=$queued/$node
    fi
    sleep "${MCVAE_POLL:-30}" &
    waits=$!
    wait "$waits"
  done
}

if [ "$end" = yes ]; then
  delete_machine
  exit
fi
need type image workdir
need_bucket
if [ -z "$runtime" ]; then
  case "$type" in
    v6e-*) runtime=v2-alpha-tpuv6e ;;
    v5p-*) runtime=v2-alpha-tpuv5 ;;
    v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
    *) runtime=tpu-ubuntu2204-base ;;
  esac
fi
workdir=${workdir%/} status_at=${workdir%/}.status
[ ${#train[@]} -gt 0 ] || train=(--config=mcvae:accelerator --config.vae.corpus_folder="$workdir.corpus")
chips=$(chips_of "$type")
say_cost "$chips" chip "by the second, idle or not, until the TPU is deleted" https://cloud.google.com/tpu/pricing \
  "$0 --end --name=$name --zone=$zone${project:+ --project=$project} (by itself where the run ends)"

startup=$(mktemp)
trap 'rm -f "$startup"' EXIT
startup_script >"$startup"
if [ "$dry_run" = yes ]; then
  echo "# unless it is there, a machine is asked for; its VMs run this script at each start:"
  sed 's/^/    /' "$startup"
  create_machine
  echo "# then, every ${MCVAE_POLL:-30} s, until $status_at tells how the run ended:"
  run gcloud storage cat "$status_at"
  run "${queue[@]}" list "${where[@]}" --filter="name~/$name\$" --format="value(state.state)"
  run gcloud compute tpus tpu-vm list "${where[@]}" --filter="name~/$name\$" --format="value(state)"
  echo "# at the end, and before a new machine is asked for where this one is taken away:"
  delete_machine
  exit
fi
status=0
retry one_machine || status=$?
[ "$status" -ne 130 ] || echo "The TPU goes on and costs; the same command watches again, --end deletes it." >&2
exit "$status"
