#!/usr/bin/env bash
# The needles of docs/evidence.md on a model of another family, with sliding windows: Gemma 3 270M, which is fetched where it is
# missing. 15 of its 18 layers have a window of 512 tokens, and no recent window may be shorter: the prompts are longer, so that one
# fourth of them has room for more. Its cache does not go back, so each question has a prefill of its own where strategies share none.
# Strategies that arrange rows anew (attention, other tokens in each layer) are refused for such models: $KVEVICT_EVIDENCE_ROWS has
# the others, unless it is set. keydiff compares the keys of the three layers without a window.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
DEPS=${KVEVICT_DEPS:-$ROOT/.deps}
KVEVICT_LOG=$DEPS/setup.log
. "$ROOT/scripts/lib/packages.sh"
. "$ROOT/scripts/lib/llama.sh"
. "$ROOT/scripts/lib/gemma.sh"
fetch_gemma
export KVEVICT_EVIDENCE_ROWS=${KVEVICT_EVIDENCE_ROWS:-full,sink_recent,sink_recent_uniform,keydiff,keydiff:smooth=1,keydiff:rotated=1}
exec python3 "$ROOT/scripts/evidence.py" --model "$GEMMA" --recent 512 --lengths 4096 --texts 10 "$@"
