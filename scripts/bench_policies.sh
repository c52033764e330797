#!/usr/bin/env bash
# Measures what each strategy costs beside llama.cpp alone, and what a plan costs without a model; writes docs/benchmarks.md's section
# on it. About 10 minutes on two processors; nothing else should run meanwhile.
#   scripts/bench_policies.sh [ROUNDS]    5 rounds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh
rounds=${1:-5}

# shellcheck disable=SC2086
install_packages $KVEVICT_PACKAGES libbenchmark-dev
scripts/setup.sh
scripts/fetch_texts.sh
say "building: bench"
cmake --preset bench >/dev/null
cmake --build --preset bench --target policies -j "$(nproc)" >/dev/null
say "measuring: bench/policies"
build/bench/bin/policies --benchmark_out=build/bench/policies.json --benchmark_out_format=json
say "measuring: kvevict overhead"
build/release/bin/kvevict overhead "${KVEVICT_DEPS:-.deps}/texts/debian-reference.txt" --prompt_tokens 2048 --max_new_tokens 64 \
  --rounds "$rounds" --output build/bench/overhead.json
scripts/make_benchmark_docs.py --overhead build/bench/overhead.json --policies build/bench/policies.json
