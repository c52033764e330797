#!/usr/bin/env bash
# Measures kvevict serve beside llama-server, which it builds from the same package, and writes docs/benchmarks.md's section on it.
#   scripts/bench_serving.sh                            everything: hours on two processors
#   scripts/bench_serving.sh --clients 8 --rounds 1     only what bench/serving/run.py's options say
# Nothing else should run meanwhile. A run that was stopped goes on; build/serving/serving.json holds what is measured: remove it
# to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD DEPS=${KVEVICT_DEPS:-$PWD/.deps} KVEVICT_LOG=$PWD/build/serving/log
. scripts/lib/packages.sh
. scripts/lib/llama.sh

mkdir -p build/serving
scripts/setup.sh
scripts/fetch_texts.sh
. scripts/lib/llama_server.sh
peer=$(llama_server_program)
model=${KVEVICT_MODEL:-$DEPS/models/$MODEL_FILE}
say "measuring: bench/serving/endless.py"
python3 bench/serving/endless.py --program build/release/bin/kvevict --peer "$peer" --model "$model" --output build/serving/endless.json
say "measuring: bench/serving/lasting.py"
python3 bench/serving/lasting.py --program build/release/bin/kvevict --model "$model" --folder build/serving --output build/serving/lasting.json
say "measuring: bench/serving/run.py"
python3 bench/serving/run.py --program build/release/bin/kvevict --peer "$peer" --model "$model" \
  --text "$DEPS/texts/debian-reference.txt" --output build/serving/serving.json "$@"
scripts/make_benchmark_docs.py --serving build/serving/serving.json --endless build/serving/endless.json
