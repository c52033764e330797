#!/usr/bin/env bash
# Draws every picture of README and docs anew, from plans and from real runs of the default model (about 2 minutes).
#   scripts/make_pictures.sh [KVEVICT]    the program to use (build/release/bin/kvevict)
# Needs gnuplot; the picture of the report also a headless chromium, and is left as it is without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh
kvevict=${1:-build/release/bin/kvevict}
out=docs/pictures
work=build/pictures
demo=(results/demo/*.json)
strategies=full,sink_recent:64:256,sink_recent_uniform:64:256:512,streaming_llm:4:316
[ -x "$kvevict" ] || fail "there is no $kvevict: run scripts/setup.sh first"
[ -e "${demo[0]}" ] || fail "there is no results/demo: RESULTS=results/demo scripts/run_examples.sh makes it"
mkdir -p "$out" "$work/data"

say "plans"
"$kvevict" visualize --save "$out/cache.png"
"$kvevict" visualize --strategy sink_recent_uniform:256:512:stride=2 --save "$out/stride.png"
"$kvevict" visualize --strategy ladder:4:60:192:span=4 --total_len 700 --save "$out/ladder.png"
"$kvevict" visualize --mode mask --strategy sink_recent_uniform:64:256:512 --total_len 4096 --chunk 256 --save "$out/mask.png"
"$kvevict" visualize --strategy sink_recent_uniform:64:256:512 --total_len 5120 --frames 10 --animate "$out/stream.gif"

say "speed against prompt length: each strategy by itself, over a quarter to the whole of the demo's documents"
python3 - data/demo/multifieldqa_en.jsonl >"$work/data/multifieldqa_en.jsonl" <<'PYTHON'
import json, sys
lines = [line for line in open(sys.argv[1], encoding="utf-8") if line.strip()][:4]
for part, line in enumerate(lines, 1):
    example = json.loads(line)
    example["context"] = example["context"][: len(example["context"]) * part // len(lines)]
    print(json.dumps(example, ensure_ascii=False))
PYTHON
"$kvevict" longbench --data_dir "$work/data" --dataset multifieldqa_en --strategies "$strategies" --share_prefill off \
  --max_new_tokens 32 --output "$work/speed.json" --restart >/dev/null
"$kvevict" compare "$work/speed.json" --plot "$out/speed.png" >/dev/null

say "scores, memory and a cache: results/demo"
"$kvevict" compare "${demo[@]}" --plot "$out/compare.png" >/dev/null
read -r run dataset example < <(python3 -c 'import json, sys
runs = json.load(open(sys.argv[1]))["runs"]
run = next(run for run in runs if run["run"]["strategy"]["name"] == "sink_recent_uniform")
print(run["run"]["name"], run["datasets"][0]["name"], run["datasets"][0]["examples"][0]["id"])' "${demo[0]}")
"$kvevict" visualize --from "${demo[0]}" --run "$run" --dataset "$dataset" --example "$example" --n_layers 30 --save "$out/example.png"

say "needle map"
"$kvevict" needle --lengths 512,1024 --strategies "$strategies" --output "$work/needle.json" >/dev/null
"$kvevict" visualize --from "$work/needle.json" --save "$out/needle.png"

say "report"
"$kvevict" report "${demo[@]}" "$work/needle.json" -o "$work/report.html"
if command -v chromium >/dev/null 2>&1; then
  timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
    --window-size=1000,1500 --virtual-time-budget=3000 --user-data-dir="$PWD/$work/chromium" \
    --screenshot="$PWD/$out/report.png" "file://$PWD/$work/report.html" >/dev/null 2>&1 ||
    fail "chromium could not open $work/report.html"
else
  say "report.png is left as it is: no chromium here"
fi
ls -l "$out"
