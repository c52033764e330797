#!/usr/bin/env bash
# The experiment of the StreamingLLM paper (Xiao et al. 2023, figure 3 and table 1) on two texts fixed beforehand: streaming
# perplexity with everything kept up to the trained context, with the window alone, with 4 sinks, and with this project's
# strategies; packed positions and absolute ones. Results: results/long/perplexity-<text>-<positions>-<tokens>.json.
#
#   usage: streaming_llm.sh [N_TOKENS]   (20000 of each text: about an hour and a half of two processors)
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
N_TOKENS=${1:-20000}
TEXTS=${KVEVICT_DEPS:-$ROOT/.deps}/texts
PROGRAM=${KVEVICT_PROGRAM:-$ROOT/build/release/bin/kvevict}
"$ROOT/scripts/fetch_texts.sh"
for text in developers-reference jargon; do
  for positions in packed absolute; do
    strategies=sink_recent:0:1024,sink_recent:4:1020,sink_recent:256:768,sink_recent_uniform:256:512:256
    [ "$positions" = packed ] && strategies=full,$strategies
    output=$ROOT/results/long/perplexity-$text-$positions-$N_TOKENS.json
    if [ -f "$output" ]; then
      echo "$output is there already"
      continue
    fi
    echo "== $text, $positions positions"
    "$PROGRAM" perplexity "$TEXTS/$text.txt" --strategies "$strategies" --positions "$positions" --window 1024 \
      --total_tokens "$N_TOKENS" --output "$output.part"
    mv "$output.part" "$output"
  done
done
