# llama.cpp's own server, a peer of the benchmarks: built from the package that set-up fetched, with the same options. Sourced
# behind llama.sh, not run.

# Prints where the program is, and builds it first if it is not there.
llama_server_program() {
  local build="$DEPS/llama-server" options source
  if [ ! -x "$build/bin/llama-server" ]; then
    fetch_package "$LLAMA_PACKAGE" "llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" --no-binary "$LLAMA_PACKAGE" >&2
    mapfile -t options < <(llama_options off)
    source="$build/source/llama_cpp_python-$LLAMA_PACKAGE_VERSION/vendor/llama.cpp"
    mkdir -p "$build/source"
    tar -xzf "$DEPS/download/llama_cpp_python-$LLAMA_PACKAGE_VERSION.tar.gz" -C "$build/source"
    build_llama_server() {
      cmake -G Ninja -S "$source" -B "$build" "${options[@]}" -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON \
        -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_ALL_WARNINGS=OFF \
        "-DCMAKE_PROJECT_llama.cpp_INCLUDE=$ROOT/scripts/lib/llama_tiles.cmake" &&
        cmake --build "$build" --target llama-server -j "$(nproc)"
    }
    with_progress "llama-server" "$build/log" build_llama_server >&2 || {
      tail -n 20 "$build/log" >&2
      fail "llama-server could not be built; the whole log is $build/log"
    }
    rm -rf "$build/source"
  fi
  printf '%s' "$build/bin/llama-server"
}
