#!/usr/bin/env bash
# The experiment of the StreamingLLM paper (Xiao et al. 2023, figure 3 and table 1) on two texts fixed beforehand: streaming
# perplexity with everything kept up to the trained context, with the window alone, with 4 sinks, and with this project's
# strategies; packed positions and absolute ones. Results: results/long/perplexity-<text>-<positions>-<tokens>.json, and a table of
# them. As many parts at once as there are processors, on one thread each; what is there is not run again.
#
#   usage: streaming_llm.sh [N_TOKENS]   (10240 of each text, 2048 beyond the trained context: half an hour on two processors)
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
N_TOKENS=${1:-10240}
TEXTS=${KVEVICT_DEPS:-$ROOT/.deps}/texts
PROGRAM=${KVEVICT_PROGRAM:-$ROOT/build/release/bin/kvevict}
export ROOT N_TOKENS TEXTS PROGRAM

part() {
  local text=$1 positions=$2
  local strategies=sink_recent:0:1024,sink_recent:4:1020,sink_recent:256:768,sink_recent_uniform:256:512:256
  [ "$positions" = absolute ] || strategies=full,$strategies
  local output=$ROOT/results/long/perplexity-$text-$positions-$N_TOKENS.json
  if [ -f "$output" ]; then
    echo "$output is there already"
    return
  fi
  echo "== $text, $positions positions"
  "$PROGRAM" perplexity "$TEXTS/$text.txt" --strategies "$strategies" --positions "$positions" --window 1024 \
    --total_tokens "$N_TOKENS" --threads 1 --output "$output.part" >/dev/null
  mv "$output.part" "$output"
}
export -f part

"$ROOT/scripts/fetch_texts.sh"
mkdir -p "$ROOT/results/long"
printf '%s\n' "developers-reference packed" "jargon packed" "developers-reference absolute" "jargon absolute" |
  xargs -P "$(nproc)" -L 1 bash -euo pipefail -c 'part "$@"' part
"$ROOT/scripts/long/streaming_table.py" "$N_TOKENS"
