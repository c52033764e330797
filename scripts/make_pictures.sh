#!/usr/bin/env bash
# Draws every picture of README and docs anew, from plans and from real runs of the default model.
#   scripts/make_pictures.sh [KVEVICT]    the program to use (build/release/bin/kvevict)
# Needs gnuplot; the picture of the report also a headless chromium, and is left as it is without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh
kvevict=${1:-build/release/bin/kvevict}
out=docs/pictures
[ -x "$kvevict" ] || fail "there is no $kvevict: run scripts/setup.sh first"
mkdir -p "$out" build/pictures
runs=(results/demo/*.json)
needles=build/pictures/needle.json
strategies=full,sink_recent:64:256,sink_recent_uniform:64:256:512,streaming_llm:4:316

say "plans"
"$kvevict" visualize --save "$out/cache.png"
"$kvevict" visualize --strategy sink_recent_uniform:256:512:stride=2 --save "$out/stride.png"
"$kvevict" visualize --mode mask --strategy sink_recent_uniform:64:256:512 --total_len 4096 --chunk 256 --save "$out/mask.png"
"$kvevict" visualize --strategy sink_recent_uniform:64:256:1024 --total_len 16384 --frames 40 --animate "$out/stream.gif"

say "real runs: results/demo, and the needle map"
if [ ! -e "${runs[0]}" ]; then
  runs=(build/pictures/demo.json)
  "$kvevict" longbench --demo_mode --dataset multifieldqa_en,qasper --strategies "$strategies" --output "${runs[0]}"
fi
[ -e "$needles" ] || "$kvevict" needle --lengths 512,1024 --strategies "$strategies" --output "$needles"
"$kvevict" compare "${runs[@]}" --plot "$out/compare.png" >/dev/null
"$kvevict" visualize --from "$needles" --save "$out/needle.png"
read -r run dataset example < <(python3 -c 'import json, sys
run = json.load(open(sys.argv[1]))["runs"][-1]
print(run["run"]["name"], run["datasets"][0]["name"], run["datasets"][0]["examples"][0]["id"])' "${runs[0]}")
"$kvevict" visualize --from "${runs[0]}" --run "$run" --dataset "$dataset" --example "$example" --n_layers 30 --save "$out/example.png"

say "report"
"$kvevict" report "${runs[@]}" "$needles" -o build/pictures/report.html
if command -v chromium >/dev/null 2>&1; then
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1500 --virtual-time-budget=3000 \
    --screenshot="$out/report.png" "file://$PWD/build/pictures/report.html" 2>/dev/null
else
  say "report.png is left as it is: no chromium here"
fi
ls -l "$out"
