#!/usr/bin/env bash
# Sets everything up, then answers the same two questions with the whole KV cache and with two evicted ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
printf '\n'
# each strategy with a prefill and a context of its own, so that the speeds are its own too
build/release/bin/kvevict longbench --demo_mode --strategies full,sink_recent,sink_recent_uniform --share_prefill off --restart \
  --output results/demo.json
cat <<'END'

F1: how well the answers match (0 to 100). kept: prompt tokens left in the cache when the answer began.
These are the demo set's scores, of 2 questions: not LongBench scores.
Next: build/release/bin/kvevict longbench --help, and README.md
END
