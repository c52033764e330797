#!/usr/bin/env bash
# Compiles the CUDA part for sm_80, sm_90 and, where the toolkit knows it, sm_100. Runs nothing: needs no GPU.
# Exits with 77 (skipped) and says so where there is no CUDA toolkit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

nvcc=$(command -v nvcc || true)
[ -n "$nvcc" ] || { [ -x /usr/local/cuda/bin/nvcc ] && nvcc=/usr/local/cuda/bin/nvcc; } || true
if [ -z "$nvcc" ]; then
  echo "skipped: there is no CUDA toolkit (nvcc) here, so the CUDA part was not compiled"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
known=$("$nvcc" --list-gpu-code)
targets=()
for number in 80 90 100; do
  if grep -qx "sm_$number" <<<"$known"; then
    targets+=(-gencode "arch=compute_$number,code=sm_$number")
  else
    echo "this toolkit does not know sm_$number"
  fi
done
"$nvcc" -std=c++20 -O3 -Werror all-warnings -Iinclude -Isrc "${targets[@]}" -c src/tensors/device_move.cu -o "$work/device_move.o"
echo "compiled src/tensors/device_move.cu: ${targets[*]}"
