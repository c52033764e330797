#!/usr/bin/env bash
# Measures eviction in place of plain K/V tensors and writes docs/benchmarks.md's section on it.
#   scripts/bench_cache.sh               against memmove, and plan building against a Python loop
#   scripts/bench_cache.sh --with-torch  also against PyTorch's index_select: installs PyTorch from PyPI (several GB)
#                                        into the ignored folder build/torch-venv
# Takes about 5 GiB of memory and some minutes; nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh

# shellcheck disable=SC2086
install_packages $KVEVICT_PACKAGES libbenchmark-dev
python=python3
if [ "${1:-}" = --with-torch ]; then
  python=build/torch-venv/bin/python
  if ! "$python" -c 'import torch' 2>/dev/null; then
    say "installing PyTorch into build/torch-venv"
    mkdir -p build
    python3 -m venv build/torch-venv
    build/torch-venv/bin/pip install -q torch numpy
  fi
elif [ $# -gt 0 ]; then
  fail "bench_cache.sh takes --with-torch or nothing, not \"$1\""
fi
say "building: bench"
cmake --preset bench >/dev/null
cmake --build --preset bench --target cache_evict -j "$(nproc)" >/dev/null
say "measuring: bench/cache_evict"
build/bench/bin/cache_evict --benchmark_out=build/bench/cache_evict.json --benchmark_out_format=json
say "measuring: bench/side_by_side/plain_tensors.py"
"$python" bench/side_by_side/plain_tensors.py >build/bench/plain_tensors.json
scripts/make_benchmark_docs.py --cache-evict build/bench/cache_evict.json --plain-tensors build/bench/plain_tensors.json
