#!/usr/bin/env bash
# Sets everything up and runs the tests; the last line counts them.
#   scripts/test.sh          all tests but the long ones
#   scripts/test.sh --quick  only what needs neither llama.cpp nor a model: seconds
#   scripts/test.sh --full   all tests, the long checks of scripts/long (a million tokens: two hours), the tests under
#                            AddressSanitizer, UBSan and ThreadSanitizer, fuzzing, clang-tidy and clang-format: half a
#                            day; stages that passed for the same files are not run again
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
mode=${1:-ordinary}
. scripts/lib/packages.sh
JOBS=${KVEVICT_JOBS:-$(nproc)}
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} # tests run side by side: threads that spin take each other's processor
n_passed=0
n_failed=0

# run_tests PRESET [ctest's options]: builds the preset, runs its tests and adds to the counts.
run_tests() {
  local preset=$1 log
  shift
  log=build/$preset/test.log
  say "building: $preset"
  mkdir -p "build/$preset"
  { cmake --preset "$preset" ${KVEVICT_DEPS:+-DKVEVICT_DEPS_DIR="$KVEVICT_DEPS"} && cmake --build --preset "$preset" -j "$JOBS"; } >"build/$preset/build.log" 2>&1 || {
    tail -n 40 "build/$preset/build.log" >&2
    fail "the preset $preset does not build; the whole log is build/$preset/build.log"
  }
  say "testing: $preset"
  ctest --preset "$preset" "$@" 2>&1 | tee "$log"
  local line
  line=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1)
  [ -n "$line" ] || fail "no test ran for the preset $preset"
  local failed total
  failed=$(printf '%s' "$line" | sed -E 's/.*passed, ([0-9]+) tests failed.*/\1/')
  total=$(printf '%s' "$line" | sed -E 's/.*out of ([0-9]+).*/\1/')
  n_failed=$((n_failed + failed))
  n_passed=$((n_passed + total - failed))
  return "$failed"
}

# long_check COMMAND: one more test, that takes long.
long_check() {
  say "$1"
  if "$@"; then
    n_passed=$((n_passed + 1))
  else
    n_failed=$((n_failed + 1))
    return 1
  fi
}

# run_fuzzers: each libFuzzer target for a minute.
run_fuzzers() {
  local target failed=0
  say "building: fuzz"
  mkdir -p build/fuzz
  { cmake --preset fuzz && cmake --build --preset fuzz -j "$JOBS"; } >build/fuzz/build.log 2>&1 ||
    fail "the preset fuzz does not build; the whole log is build/fuzz/build.log"
  for target in build/fuzz/bin/fuzz_*; do
    say "fuzzing: ${target##*/}, one minute"
    if "$target" -max_total_time=60 -max_len=256 -artifact_prefix=build/fuzz/ >"build/fuzz/${target##*/}.log" 2>&1; then
      n_passed=$((n_passed + 1))
    else
      tail -n 40 "build/fuzz/${target##*/}.log" >&2
      n_failed=$((n_failed + 1)) failed=1
    fi
  done
  return "$failed"
}

# check_format: whether clang-format would change nothing; other versions than the one that formatted the tree differ.
check_format() {
  local version
  version=$(clang-format --version | sed -E 's/.*version ([0-9]+).*/\1/')
  if [ "$version" != 14 ]; then
    say "format: not checked, clang-format is version $version and not 14"
    return 0
  fi
  git ls-files '*.c' '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format --dry-run -Werror
}

# stage NAME COMMAND...: runs it once for a state of the files.
stage() {
  local name=$1 state stamp
  shift
  state=$(git ls-files -co --exclude-standard -z -- . ':!results' 2>/dev/null | xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c1-16)
  stamp=build/full/$name-$state
  if [ -f "$stamp" ]; then
    say "$name: passed before for the same files"
    return 0
  fi
  "$@" || return $?
  mkdir -p build/full && touch "$stamp"
}

case "$mode" in
  --quick)
    # shellcheck disable=SC2086
    install_packages $KVEVICT_PACKAGES
    run_tests quick
    ;;
  ordinary)
    scripts/setup.sh || exit 1
    scripts/fetch_texts.sh || exit 1
    run_tests asan-quick
    run_tests release -j "$JOBS"
    ;;
  --full)
    scripts/setup.sh || exit 1
    install_packages clang clang-tidy clang-format
    install_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" # what libFuzzer needs
    scripts/fetch_texts.sh || exit 1
    long_check check_format
    stage release run_tests release -j "$JOBS"
    stage parity long_check scripts/long/parity.sh
    stage long-document long_check scripts/long/long_document.py
    stage chat-200 long_check scripts/long/chat_200.py
    stage million-tokens long_check scripts/long/million_tokens.py
    for preset in asan ubsan tsan; do stage "$preset" run_tests "$preset" -j 1; done
    stage shared run_tests shared -R '^(install|examples|architecture|CInterface|CLlamaCache)'
    stage fuzz run_fuzzers
    stage dev run_tests dev -L quick
    ;;
  *)
    echo "kvevict: test.sh takes --quick, --full or nothing, not \"$mode\"" >&2
    exit 2
    ;;
esac
printf '\n%s passed, %s failed\n' "$n_passed" "$n_failed"
[ "$n_failed" -eq 0 ]
