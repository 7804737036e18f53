#!/usr/bin/env bash
# What the scripts that send jobs share: their options, commands that --dry-run prints, and what a machine costs.
# It is sourced, and runs nothing by itself, so that it has no options.
# shellcheck disable=SC2034,SC2154  # the variables are those of the script that sources it

dry_run=no
price=""

# Prints a command, and runs it unless this is a dry run.
run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  [ "$dry_run" = yes ] || "$@"
}

# A mistake of the user.
mistake() {
  echo "Error: $*; --help says more" >&2
  exit 2
}

# Prints the head of a script.
help_of() { sed -n '2,/^$/s/^# \{0,1\}//p' "$1"; }

# Reads the options whose names stand in $options, as --zone=ZONE into $zone, and flags in $flags, as --end into end=yes;
# what follows -- goes into the array $train. Dashes in names are underlines in variables.
read_options() {
  local script=$1 option
  shift
  train=()
  while [ $# -gt 0 ]; do
    option=${1%%=*}
    option=${option#--}
    case "$1" in
      --help) help_of "$script" && exit 0 ;;
      --) shift && train=("$@") && break ;;
      --*=*) [[ " $options price " == *" $option "* ]] || mistake "there is no option --$option"
        printf -v "${option//-/_}" %s "${1#*=}" ;;
      --*) [[ " $flags dry-run " == *" $option "* ]] || mistake "there is no flag $1 (arguments of mcvae train follow --)"
        printf -v "${option//-/_}" yes ;;
      *) mistake "$1 is no option (arguments of mcvae train follow --)" ;;
    esac
    shift
  done
}

# Ends with a mistake where one of the options named is not given.
need() {
  local option variable
  for option in "$@"; do
    variable=${option//-/_}
    [ -n "${!variable:-}" ] || mistake "give --$option"
  done
}

# A run's place must outlive the machine.
need_bucket() { [[ $workdir == gs://*/* ]] || mistake "--workdir=$workdir: give gs://BUCKET/FOLDER"; }

# The chips of a type of TPU: v5litepod-16 and v6e-16 count chips, v2-8 to v5p-8 count cores, two of a chip.
chips_of() {
  local count=${1##*-}
  [[ $count =~ ^[0-9]+$ ]] || mistake "--type=$1: give a type of TPU as v5litepod-16"
  case "$1" in
    v5litepod-* | v6e-*) echo "$count" ;;
    v2-* | v3-* | v4-* | v5p-*) echo $(((count + 1) / 2)) ;;
    *) mistake "--type=$1: there are v2, v3, v4, v5litepod, v5p and v6e, as v5litepod-16" ;;
  esac
}

# What it costs to leave it running: so many units (chip, GPU), until when, where their price is found, and how to end it.
say_cost() {
  local count=$1 unit=$2 until=$3 where=$4 how=$5
  echo "COST: ${count} ${unit}s are paid for $until."
  if [ -n "$price" ]; then
    awk -v n="$count" -v p="$price" -v u="$unit" \
      'BEGIN { printf "COST: at %s a %s and hour (--price) that is %.2f an hour and %.2f a day.\n", p, u, n * p, 24 * n * p }'
  else
    echo "COST: look up the price of a $unit and hour ($where); --price=PRICE shows here what an hour and a day cost."
  fi
  echo "END:  $how"
}
