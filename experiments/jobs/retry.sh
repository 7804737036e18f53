#!/usr/bin/env bash
# Runs a command until it is done, and again where nothing is wrong with it. All jobs share this loop.
#
#   retry.sh [--dry-run] COMMAND [ARGUMENT ...]
#
# exit status of the command           this loop
#   0                                  ends with 0
#   75                                 again: another process is gone, or did not come
#   128 + signal, of mcvae or of srun  again: killed, or another process of the run was asked to stop
#   any other                          ends with it: 2 is a mistake of the user, 1 an error of the program
#
# SIGTERM to this loop is passed on once; the command saves, and the loop ends with 143. Ctrl-C reaches the command by
# itself, and the loop then ends with 130. After MCVAE_TRIES (5) tries in a row without progress it ends with 75.
# Progress is a line in the file MCVAE_PROGRESS that no try before it has left there: mcvae writes it whenever it has
# saved. Between two tries it waits for MCVAE_PAUSE (10) seconds. MCVAE_TRIED is a file with a line for each try, so that
# they are counted over several starts of this loop.
#
# It runs nothing that costs by itself; where the machine does, the script that started it says so.

# What the last try has left: a line. A job that sees it elsewhere has a function of this name after its own `source`.
progress_mark() { tail -n 1 "$MCVAE_PROGRESS" 2>/dev/null || true; }

# What Ctrl-C does to the process $child: a command hears it from the terminal. Where a function is tried, which does not,
# a job has its own.
interrupt_child() { :; }

# The tries since the last one that left a new line.
tries_without_progress() { awk '!seen[$0]++ { last = NR } END { print NR - last }' "$MCVAE_TRIED"; }

retry_files() {
  : "${MCVAE_TRIES:=5}" "${MCVAE_PAUSE:=10}" "${MCVAE_TRIED:=$(mktemp)}" "${MCVAE_PROGRESS:=$(mktemp)}"
  export MCVAE_PROGRESS
  [ -s "$MCVAE_TRIED" ] || echo "nothing yet" >"$MCVAE_TRIED"
}

# Starts the command as $child; a signal that came before there was one is handed on.
start_child() {
  "$@" &
  child=$!
  [ "$asked" -eq 0 ] || kill -TERM "$child" 2>/dev/null || true
}

# Waits for the process $child, also while signals arrive; its exit status.
wait_for_child() {
  local status=0
  wait "$child" || status=$?
  while kill -0 "$child" 2>/dev/null; do
    status=0
    wait "$child" || status=$?
  done
  return "$status"
}

# Runs the command, which may be a function, until it is done; see above.
retry() {
  local status mark asked=0 child=0
  retry_files
  trap 'asked=143; [ "$child" -eq 0 ] || kill -TERM "$child" 2>/dev/null || true' TERM
  trap 'asked=130; interrupt_child' INT
  while true; do
    start_child "$@"
    status=0
    wait_for_child || status=$?
    mark=$(progress_mark)
    echo "${mark:-nothing yet}" >>"$MCVAE_TRIED"
    [ "$status" -eq 75 ] || [ "$status" -ge 128 ] || return "$status"
    [ "$asked" -eq 0 ] || return "$asked"
    if [ "$(tries_without_progress)" -ge "$MCVAE_TRIES" ]; then
      echo "retry: exit status $status; $MCVAE_TRIES tries without progress, so this is the end" >&2
      return 75
    fi
    echo "retry: exit status $status; again in $MCVAE_PAUSE s (tries without progress: $(tries_without_progress))" >&2
    start_child sleep "$MCVAE_PAUSE"
    wait "$child" || true # any signal ends it
    [ "$asked" -eq 0 ] || return "$asked"
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  if [ "${1:-}" = --dry-run ]; then
    shift
    printf 'would run:'
    printf ' %q' "$@"
    printf '\n'
  elif [ $# -eq 0 ] || [ "$1" = --help ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  else
    retry "$@"
  fi
fi
