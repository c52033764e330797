#!/usr/bin/env bash
# Installs the build and builds a project outside of the tree against the installed copy, by its CMake package and
# by its pkg-config files, in C++ and in C, and runs the programs. Static or shared libraries: what the build has.
#   check.sh BUILD_FOLDER WORK_FOLDER [MODEL LLAMA_CMAKE_FOLDER]     without a model: the part without llama.cpp
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1 work=$2 model=${KVEVICT_MODEL:-${3-}} has_llama=${4:+yes}
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
packages=$(dirname "$(find "$work/prefix" -name kvevict.pc)")
libraries=$(dirname "$packages")
says_its_plan() { "$@" | grep -q 'of 256 tokens 64 stay'; }

# by_cmake FOLDER FLAGS…: the project in this folder
by_cmake() {
  { cmake -G Ninja -S "$here" -B "$work/$1" -DCMAKE_PREFIX_PATH="$work/prefix" "${@:2}" &&
    cmake --build "$work/$1"; } >"$work/$1.log" 2>&1 || { cat "$work/$1.log"; exit 1; }
  says_its_plan "$work/$1/outside_c"
}
# the part without llama.cpp looks for nothing else: not even where a shared library needs it
by_cmake core -DONLY_CORE=ON -DCMAKE_DISABLE_FIND_PACKAGE_llama=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
export PKG_CONFIG_PATH=$packages
# shellcheck disable=SC2046
cc -std=c11 "$here/../../examples/09_plain_c.c" -o "$work/c_by_pkg_config" \
  $(pkg-config --cflags --libs kvevict-core) -Wl,-rpath,"$libraries"
says_its_plan "$work/c_by_pkg_config"
if [ -e "$libraries/libkvevict.so" ]; then
  python3 "$here/check_exports.py" "$work/prefix/include/kvevict" "$libraries"/libkvevict*.so
  if ldd "$libraries/libkvevict.so" | grep -E 'llama|ggml|libicu|libcrypto'; then exit 1; fi
fi
[ "$has_llama" ] || exit 0

by_cmake cmake
"$work/cmake/outside" "$model" "$work/saved"
llama_libraries=$(cd "$4/../.." && pwd)
export PKG_CONFIG_PATH=$packages:$llama_libraries/pkgconfig
# shellcheck disable=SC2046
c++ -std=c++20 "$here/main.cc" -o "$work/by_pkg_config" $(pkg-config --cflags --libs kvevict) \
  -Wl,-rpath,"$libraries:$llama_libraries"
"$work/by_pkg_config" "$model" "$work/saved"

LD_LIBRARY_PATH='' "$work/prefix/bin/kvevict" --version
"$work/prefix/bin/kvevict" plan --total_len 4096 --json >/dev/null
