#!/usr/bin/env bash
# Measures kvevict beside llama.cpp, transformers, kvpress and OpenVINO GenAI and writes docs/benchmarks.md's section on it.
#   scripts/bench_peers.sh                  everything: an hour and more on two processors, 8 GiB of memory
#   scripts/bench_peers.sh --lengths 2048   only what bench/side_by_side/run.py's options say
#   scripts/bench_peers.sh --prepare        only what the cells need: the peers, the weights, the tokens
# The first run installs the peers from PyPI (several GB) into the ignored folder .deps/peers-venv. Nothing else should
# run meanwhile. A run that was stopped goes on; build/peers/side_by_side.json holds what is measured: remove it to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh

deps=${KVEVICT_DEPS:-$PWD/.deps}

# shellcheck disable=SC2086
install_packages $KVEVICT_PACKAGES libbenchmark-dev
scripts/setup.sh
scripts/fetch_texts.sh
models=("$deps"/models/*Q8_0.gguf "$deps"/models/*.gguf)
for model in "${KVEVICT_MODEL:-}" "${models[@]}"; do
  [ -f "$model" ] && break
done
say "building: side_by_side_cell"
cmake --preset release -B build/peers -DKVEVICT_BUILD_TESTS=OFF -DKVEVICT_BUILD_BENCH=ON -DKVEVICT_DEPS_DIR="$deps" >/dev/null
cmake --build build/peers --target side_by_side_cell -j "$(nproc)" >/dev/null
say "measuring: bench/side_by_side/run.py"
python3 bench/side_by_side/run.py --cell build/peers/bin/side_by_side_cell --model "$model" \
  --text "$deps/texts/debian-reference.txt" --venv "$deps/peers-venv" \
  --output build/peers/side_by_side.json "$@"
[[ " $* " != *" --prepare "* ]] || exit 0
scripts/make_benchmark_docs.py --peers build/peers/side_by_side.json
