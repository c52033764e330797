# What set-up and tests say while they work: numbered steps with the seconds they took, and a line that moves. Sourced, not run.

say() { printf '==> %s\n' "$*"; }
fail() {
  printf 'kvevict: %s\n' "$*" >&2
  exit 1
}

n_steps=0 # of the script that sources this
step_number=0
# step TEXT: begins the next step. step_done: ends it, and says how long it took.
step() {
  step_number=$((step_number + 1)) step_start=$SECONDS
  say "step $step_number of $n_steps: $*"
}
step_done() { printf '    done in %s s\n' "$((SECONDS - step_start))"; }

# show_progress TEXT LOG: until it is killed, says every second (to a terminal) or every nine seconds how far LOG has come:
# the newest "[120/260]" of ninja or "12/94 Test" of ctest in it, and the seconds.
show_progress() {
  local start=$SECONDS parent=$$ said=$SECONDS at line
  while sleep 1 >/dev/null 2>&1 9>&- && kill -0 "$parent" 2>/dev/null; do
    at=$(tail -c 20000 "$2" 2>/dev/null | grep -aoE '^\[[0-9]+/[0-9]+\]|^ *[0-9]+/[0-9]+ Test' | tail -n 1 | tr -dc '0-9/')
    line="    $1${at:+: ${at/\// of }}, $((SECONDS - start)) s"
    if [ -t 1 ]; then
      printf '\r\033[K%.79s' "$line"
    elif [ $((SECONDS - said)) -ge 9 ]; then
      said=$SECONDS
      printf '%.80s\n' "$line"
    fi
  done
}

# with_progress TEXT LOG COMMAND...: runs it with its output in LOG, and says how far it is. Returns what COMMAND returns.
with_progress() {
  local text=$1 log=$2 monitor code=0
  shift 2
  : >"$log"
  show_progress "$text" "$log" & # the one in the background, so that Ctrl-C reaches the command
  monitor=$!
  "$@" >"$log" 2>&1 || code=$?
  kill "$monitor" 2>/dev/null
  wait "$monitor" 2>/dev/null || true
  [ ! -t 1 ] || printf '\r\033[K'
  return "$code"
}
