#!/usr/bin/env bash
# The policy of examples/08_own_policy in the program's commands: it is listed, answers LongBench's questions within its
# budget beside a strategy of the library, and keeps a chat that was saved and goes on.
#   own_policy.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect grep -q 'thinning:4:12:16:step=2' <<<"$("$program" plan --strategy thinning:4:12:16:step=2 --total_len 100 2>&1)"

"$program" longbench --demo_mode --model "$model" --strategies sink_recent:4:60,thinning:4:60:64:step=3 --max_length 400 --max_new_tokens 8 \
  --output "$folder/results.json"
python3 - "$folder/results.json" <<'END'
import json, sys
library, own = json.load(open(sys.argv[1]))["runs"]
assert own["run"]["name"] == "thinning:4:60:64:step=3", own["run"]["name"]
assert own["run"]["strategy"]["policy"] == "thinning/1"
assert own["run"]["strategy"]["values"]["first_step"] == 3
assert own["run"]["status"] == "complete"
examples = [example for dataset in own["datasets"] for example in dataset["examples"]]
assert examples
for example in examples:
    assert 68 < example["kept_tokens"] <= 4 + 60 + 64 < example["prompt_tokens"], example["kept_tokens"]
    middle = [r for r in example["kept_ranges"] if 4 < r[0] and r[1] < example["prompt_tokens"] - 60]
    steps = {b[0] - a[0] for a, b in zip(middle, middle[1:])}
    assert len(steps) == 1 and steps.pop() % 3 == 0, middle
END

words() { for i in $(seq 60); do printf 'word %s, ' "$i"; done; }
printf 'Here are some words: %s.\n/stats\n' "$(words)" |
  "$program" chat --model "$model" --strategy thinning:4:60:64:step=2 --max_new_tokens 8 --chunk 64 --save "$folder/chat" >"$folder/first"
cat "$folder/first"
# the sink grew to what the model's template puts before the first message
expect grep -Eq '^strategy +thinning:([0-9]+):60:64:step=2$' "$folder/first"
sink=$(sed -nE 's/^strategy +thinning:([0-9]+):.*/\1/p' "$folder/first")
held=$(sed -nE 's/^tokens held +([0-9]+) .*/\1/p' "$folder/first")
seen=$(sed -nE 's/^tokens seen +([0-9]+)$/\1/p' "$folder/first")
expect [ "$held" -le $((sink + 60 + 64 + 64)) ]
expect [ "$seen" -gt $((2 * 128)) ]
printf 'And the last one?\n/stats\n' | "$program" chat --model "$model" --load "$folder/chat" --max_new_tokens 8 >"$folder/second"
expect grep -Eq "^strategy +thinning:$sink:60:64:step=2$" "$folder/second"
expect grep -Eq '^turns +2$' "$folder/second"

code=0
"$program" plan --strategy thinning:step=0 --total_len 100 2>"$folder/refusal" || code=$?
cat "$folder/refusal"
expect [ "$code" -eq 2 ]
expect grep -q first_step "$folder/refusal"
