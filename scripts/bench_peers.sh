#!/usr/bin/env bash
# Measures kvevict beside llama.cpp, transformers, kvpress and OpenVINO GenAI and writes docs/benchmarks.md's section on it.
#   scripts/bench_peers.sh                  everything: an hour and more on two processors, 8 GiB of memory
#   scripts/bench_peers.sh --lengths 2048   only what bench/side_by_side/run.py's options say
# The first run installs the peers from PyPI (several GB) into the ignored folder .deps/peers-venv. Nothing else should
# run meanwhile. A run that was stopped goes on; build/peers/side_by_side.json holds what is measured: remove it to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh

# shellcheck disable=SC2086
install_packages $KVEVICT_PACKAGES libbenchmark-dev
model=${KVEVICT_MODEL:-$(ls .deps/models/SmolLM2-135M-Instruct.Q8_0.gguf 2>/dev/null || ls .deps/models/*.gguf | head -n 1)}
text=.deps/texts/debian-reference.txt
[ -f "$text" ] || scripts/fetch_texts.sh
say "building: side_by_side_cell"
cmake --preset release -B build/peers -DKVEVICT_BUILD_TESTS=OFF -DKVEVICT_BUILD_BENCH=ON >/dev/null
cmake --build build/peers --target side_by_side_cell -j "$(nproc)" >/dev/null
say "measuring: bench/side_by_side/run.py"
python3 bench/side_by_side/run.py --cell build/peers/bin/side_by_side_cell --model "$model" --text "$text" \
  --output build/peers/side_by_side.json "$@"
scripts/make_benchmark_docs.py --peers build/peers/side_by_side.json
