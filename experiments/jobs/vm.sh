# shellcheck shell=bash disable=SC2154  # tpu.sh sets image, status_at, tries and command before it
# What each VM of a TPU does when it starts, also when it starts again: the run goes on in a container, and how it ended
# is told in the bucket. tpu.sh says what it costs, how to end it, and, with --dry-run, what stands here.

set -uo pipefail
gcloud auth configure-docker "${image%%/*}" --quiet
docker pull "$image"
docker rm --force mcvae >/dev/null 2>&1
# The TPU is a device of the host, and its processes find each other in the host's network. The machine's end stops the
# container by SIGTERM, and gives it a minute to save.
docker run --name=mcvae --privileged --net=host --stop-timeout=60 --env=MCVAE_TRIES="$tries" "$image" \
  retry.sh "${command[@]}"
status=$?
case $status in
  130 | 137 | 143) ;;  # the machine ends: nothing is wrong with the run, which goes on on the next one
  *) echo "$status" | gcloud storage cp - "$status_at" ;;
esac
