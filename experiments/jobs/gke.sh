#!/usr/bin/env bash
# Trains on TPUs of a GKE cluster that is there, by XPK, or by a JobSet where the cluster was not made by XPK.
#
#   gke.sh --by=xpk --name=NAME --image=IMAGE --workdir=gs://BUCKET/RUN \
#       --cluster=CLUSTER --zone=ZONE --type=v5litepod-16 [options] [-- TRAIN ...]
#   gke.sh --by=jobset --name=NAME --image=IMAGE --workdir=gs://BUCKET/RUN \
#       --accelerator=tpu-v5-lite-podslice --topology=4x4 --hosts=4 [options] [-- TRAIN ...]
#
#   --image=IMAGE        of ./Dockerfile, in a registry that the cluster reads
#   --workdir=gs://...   where the run lives; the pods' service account must be allowed to write there
#   --project=PROJECT    for XPK (default: that of gcloud)
#   --topology, --hosts  chips of the slice, and nodes that hold them, as the node pool has them; 2x4 and 1 is one host
#   --restarts=100       how often a run whose pods are taken away is started again
#   --price=PRICE        of a chip and hour, to see what it costs
#   --dry-run            prints every command, and the JobSet, and runs none
#   --end                deletes the job; the run stays in the bucket
#   TRAIN ...            arguments of `mcvae train` (default: --config=mcvae:accelerator, its corpus beside the run)
#
# kubectl must know the cluster: gcloud container clusters get-credentials CLUSTER --location=ZONE. Pods end with the exit
# status of retry.sh: a mistake (2), an error (1) and 5 tries without progress (75) end the job, whatever is left of
# --restarts. A cluster whose node pool does not shrink costs after the job as well.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/jobs/common.sh
source "$here/common.sh"

by="" name="" image="" workdir="" cluster="" zone="" project="" type="" accelerator="" topology="" hosts="" restarts=100
end=no
options="by name image workdir cluster zone project type accelerator topology hosts restarts"
flags="end"
read_options "$0" "$@"
need by name
price_at=https://cloud.google.com/tpu/pricing
until="as nodes of the cluster, idle or not, until the node pool shrinks or is deleted"
workdir=${workdir%/}
[ ${#train[@]} -gt 0 ] || train=(--config=mcvae:accelerator --config.vae.corpus_folder="$workdir.corpus")

by_xpk() {
  need cluster zone
  local where=(--cluster="$cluster" --zone="$zone" ${project:+--project="$project"}) command chips
  if [ "$end" = yes ]; then
    run xpk workload delete --workload="$name" "${where[@]}"
    return
  fi
  need image workdir type
  need_bucket
  chips=$(chips_of "$type")
  say_cost "$chips" chip "$until" "$price_at" "$0 --by=xpk --end --name=$name --cluster=$cluster --zone=$zone"
  printf -v command ' %q' mcvae train --distributed=auto --workdir="$workdir" "${train[@]}"
  run xpk workload create --workload="$name" "${where[@]}" --tpu-type="$type" --num-slices=1 --docker-image="$image" \
    --max-restarts="$restarts" --termination-grace-period-seconds=60 --command="retry.sh$command"
}

# A list of JSON, which YAML reads.
json_list() {
  local word list="" slash=$'\\' quote='"'
  for word in "$@"; do
    word=${word//"$slash"/"$slash$slash"}
    word=${word//"$quote"/"$slash$quote"}
    list+="${list:+, }$quote$word$quote"
  done
  echo "[$list]"
}

# jobset.yaml with the settings of this job; $chips is of the whole slice.
jobset() {
  local text
  text=$(cat "$here/jobset.yaml")
  text=${text//@NAME@/"$name"} text=${text//@RESTARTS@/"$restarts"} text=${text//@HOSTS@/"$hosts"}
  text=${text//@ACCELERATOR@/"$accelerator"} text=${text//@TOPOLOGY@/"$topology"} text=${text//@IMAGE@/"$image"}
  text=${text//@CHIPS@/$((chips / hosts))}
  echo "${text//@COMMAND@/"$(json_list retry.sh mcvae train --distributed=auto --workdir="$workdir" "${train[@]}")"}"
}

by_jobset() {
  if [ "$end" = yes ]; then
    run kubectl delete jobset "$name"
    return
  fi
  need image workdir accelerator topology hosts
  need_bucket
  [[ $topology =~ ^[0-9]+(x[0-9]+)+$ ]] || mistake "--topology=$topology: give it as 4x4"
  local chips=$((${topology//x/*}))
  [[ $hosts =~ ^[1-9][0-9]*$ ]] && [ $((chips % hosts)) -eq 0 ] || mistake "--hosts=$hosts cannot share $chips chips"
  say_cost "$chips" chip "$until" "$price_at" "$0 --by=jobset --end --name=$name"
  jobset >"$file"
  [ "$dry_run" = no ] || sed 's/^/    /' "$file"
  run kubectl apply --filename="$file"
}

file=$(mktemp)
trap 'rm -f "$file"' EXIT
case "$by" in
  xpk) by_xpk ;;
  jobset) by_jobset ;;
  *) mistake "--by=$by: there are xpk and jobset" ;;
esac
