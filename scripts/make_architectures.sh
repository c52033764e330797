#!/usr/bin/env bash
# Makes a tiny model with random weights of each architecture that llama.cpp knows, and prints their folder: llama.cpp's own
# tests/test-llama-archs.cpp writes them, from the same source that set-up built. Once: 20 seconds, 900 MB.
#   scripts/make_architectures.sh            all
#   scripts/make_architectures.sh NAME...    those that are named (architectures of llama.cpp: llama, gemma3, mamba, ...)
#
#   KVEVICT_DEPS=FOLDER   instead of .deps in the checkout
# Exits with 77 if llama.cpp is not the one that scripts/setup.sh builds: the program needs its source.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DEPS=${KVEVICT_DEPS:-$ROOT/.deps}
KVEVICT_LOG=$DEPS/architectures.log
. "$ROOT/scripts/lib/packages.sh"
. "$ROOT/scripts/lib/llama.sh"
exec 3>&1 >&2 # the folder alone goes to the output
[ -f "$DEPS/llama/built" ] || {
  say "no models of architectures: llama.cpp is not the one that scripts/setup.sh builds into $DEPS/llama"
  exit 77
}
models=$DEPS/architectures/$LLAMA_PACKAGE_VERSION-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-8) # made anew if they are made otherwise
mkdir -p "$models"
exec 9>"$DEPS/architectures/lock" # one at a time
flock 9

# build_writer: compiles the program in $models. The source of llama.cpp is not kept: of it, what is needed is unpacked.
build_writer() {
  local source=$models/source common=$ROOT/tests/archs/stand_in
  fetch_package "$LLAMA_PACKAGE" "llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" --no-binary "$LLAMA_PACKAGE"
  mkdir -p "$source"
  tar -xzf "$DEPS/download/llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" -C "$source" --strip-components=3 \
    --wildcards '*/vendor/llama.cpp/src/*.h' '*/vendor/llama.cpp/include' '*/vendor/llama.cpp/tests/test-llama-archs.cpp'
  # SmolLM3 does not rotate the keys of every fourth layer: the fixture's two layers would not show that
  sed -i 's/if (arch == LLM_ARCH_LLAMA4) {/if (arch == LLM_ARCH_LLAMA4 || arch == LLM_ARCH_SMOLLM3) {/' "$source/tests/test-llama-archs.cpp"
  "${CXX:-c++}" -std=c++17 -O1 -w -I"$common" -I"$source/include" -I"$DEPS/llama/include" "$source/tests/test-llama-archs.cpp" \
    -o "$models/writer.part" -L"$DEPS/llama/lib" -lllama -lggml -lggml-base "-Wl,-rpath,$DEPS/llama/lib"
  rm -rf "$source"
  mv "$models/writer.part" "$models/writer"
}

# write_models PATTERN: those whose architecture PATTERN matches; empty: all.
write_models() {
  rm -rf "$models/part"
  mkdir "$models/part"
  # 0.15 instead of 0.1: attention that is less even, so that an eviction changes the logits by more
  "$models/writer" --seed 1 --stdev 0.15 ${1:+--arch "$1"} --out "$models/part" && mv "$models/part"/*.gguf "$models"/
  rm -rf "$models/part"
}

# made CHECKED COMMAND...: runs it unless the file CHECKED is there.
made() {
  local file=$1
  shift
  [ -e "$file" ] && return 0
  "$@" >"$KVEVICT_LOG" 2>&1 9>&- || {
    tail -n 20 "$KVEVICT_LOG"
    fail "the models of llama.cpp's architectures could not be made; the whole log is $KVEVICT_LOG"
  }
}

made "$models/writer" build_writer
if [ $# -eq 0 ]; then
  made "$models/all" write_models ""
  touch "$models/all"
else
  missing=""
  for name in "$@"; do
    [ -e "$models/$name-dense.gguf" ] || [ -e "$models/$name-moe.gguf" ] || missing+="${missing:+|}$name"
  done
  [ -z "$missing" ] || made "" write_models "^($missing)\$"
fi
echo "$models" >&3
