#!/usr/bin/env bash
# Measures the Python package beside transformers' own cache and kvpress, and writes docs/benchmarks.md's section on it.
#   scripts/bench_python.sh                         everything: an hour on one processor, 6 GiB of memory
#   scripts/bench_python.sh --rounds 1 --lengths    only what bench/python/run.py's options say: here the evictions, once
# scripts/python_tests.sh --torch has made .deps/python before; kvpress is installed into .deps/peers-venv, with the other peers
# (several GB). Nothing else should run meanwhile. A run that was stopped goes on; build/peers/python.json holds what is
# measured: remove it to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh

deps=${KVEVICT_DEPS:-$PWD/.deps}
longest=8000 # of bench/python/run.py
"$deps/python/bin/python" -c 'import kvevict.transformers' ||
  fail "$deps/python has no kvevict with torch and transformers: run scripts/python_tests.sh --torch first"
scripts/bench_peers.sh --prepare --lengths "$longest"
work=build/peers/work
models=("$deps"/models/*Q8_0.gguf "$deps"/models/*.gguf)
for model in "${KVEVICT_MODEL:-}" "${models[@]}"; do
  [ -f "$model" ] && break
done
name=$(basename "$model" .gguf)
say "measuring: bench/python/run.py"
python3 bench/python/run.py --python "$deps/python/bin/python" --peers_python "$deps/peers-venv/bin/python" \
  --model "$work/$name" --ids "$work/$name-debian-reference-$longest.json" --output build/peers/python.json "$@"
scripts/make_benchmark_docs.py --python build/peers/python.json
