#!/usr/bin/env bash
# Installs the build and builds a project outside of the tree against the installed copy, by its CMake package and
# by its pkg-config file, and runs both.
#   check.sh BUILD_FOLDER WORK_FOLDER MODEL LLAMA_CMAKE_FOLDER
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1 work=$2 model=${KVEVICT_MODEL:-$3} llama_prefix=$(cd "$4/../../.." && pwd)
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"

cmake -G Ninja -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/configure.log"
cmake --build "$work/cmake" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/cmake/outside" "$model" "$work/saved"

PKG_CONFIG_PATH="$(dirname "$(find "$work/prefix" -name kvevict.pc)"):$llama_prefix/lib/pkgconfig"
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
c++ -std=c++20 "$here/main.cc" -o "$work/by_pkg_config" $(pkg-config --cflags --libs kvevict) -Wl,-rpath,"$llama_prefix/lib"
"$work/by_pkg_config" "$model" "$work/saved"

LD_LIBRARY_PATH='' "$work/prefix/bin/kvevict" --version
"$work/prefix/bin/kvevict" plan --total_len 4096 --json >/dev/null
