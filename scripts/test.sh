#!/usr/bin/env bash
# Sets everything up and runs the tests; the last line counts the test cases.
#   scripts/test.sh          all tests but the long ones, those of the rooms with raw memory under
#                            AddressSanitizer and UBSan: minutes
#   scripts/test.sh --quick  only what needs neither llama.cpp nor a model: seconds
#   scripts/test.sh --full   all tests, all under AddressSanitizer and UBSan, those with threads
#                            under ThreadSanitizer, fuzzing, clang-tidy, clang-format, and the long
#                            checks of scripts/long (a million tokens: two hours): half a day;
#                            stages that passed for the same files are not run again
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
mode=${1:-ordinary}
. scripts/lib/packages.sh
JOBS=${KVEVICT_JOBS:-$(nproc)}
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} # tests run side by side: threads that spin take each other's processor
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}          # and one thread for each of them is quickest, and the same bits every time
n_passed=0
n_failed=0

# build PRESET TARGET
build() {
  local log=build/$1/build.log
  mkdir -p "build/$1"
  configure_and_build() {
    cmake --preset "$1" ${KVEVICT_DEPS:+-DKVEVICT_DEPS_DIR="$KVEVICT_DEPS"} && cmake --build --preset "$1" --target "$2" -j "$JOBS"
  }
  with_progress "building $1" "$log" configure_and_build "$1" "$2" || {
    tail -n 40 "$log" >&2
    fail "the preset $1 does not build; the whole log is $log"
  }
}

# run_tests PRESET TARGET [ctest's options]: builds it, runs the preset's tests and adds the test cases to the counts.
run_tests() {
  local preset=$1 target=$2 log=build/$1/test.log counts code=0
  shift 2
  step "building the tests: $preset"
  build "$preset" "$target"
  step_done
  step "testing: $preset"
  with_progress "testing $preset" "$log" ctest --preset "$preset" --verbose "$@" || code=$?
  mapfile -t -d ' ' counts < <(scripts/lib/count_tests.py "$log")
  [ "${counts[0]:-0}" -gt 0 ] || fail "no test ran for the preset $preset; the log is $log"
  n_passed=$((n_passed + counts[0])) n_failed=$((n_failed + counts[1]))
  say "$preset: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]%$'\n'} skipped; the log is $log"
  [ "$code" -eq 0 ] || [ "${counts[1]}" -gt 0 ] || n_failed=$((n_failed + 1)) # ctest itself failed
  step_done
  return "$code"
}

# long_check COMMAND: one more test, that takes long.
long_check() {
  local log=build/full/${1##*/}.log code=0
  mkdir -p build/full
  step "$1"
  with_progress "${1##*/}" "$log" "$@" || code=$?
  tail -n 20 "$log"
  [ "$code" -eq 0 ] && n_passed=$((n_passed + 1)) || n_failed=$((n_failed + 1))
  step_done
  return "$code"
}

# run_python [--engine | --torch]: builds the Python modules and adds their tests to the counts.
run_python() {
  local log=build/python.log code=0 counts
  step "the Python package"
  with_progress "the Python package" "$log" scripts/python_tests.sh "$@" || code=$?
  counts=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed$') || counts="0 passed, 1 failed"
  [ "$code" -eq 0 ] || tail -n 40 "$log" >&2
  n_passed=$((n_passed + ${counts%% *}))
  counts=${counts#*, } n_failed=$((n_failed + ${counts%% *}))
  say "python: $(tail -n 1 "$log"); the log is $log"
  step_done
  return "$code"
}

FUZZ_SECONDS=${KVEVICT_FUZZ_SECONDS:-60}
# run_fuzzers: each libFuzzer target for so long.
run_fuzzers() {
  local target failed=0
  step "fuzzing"
  build fuzz all
  for target in build/fuzz/bin/fuzz_*; do
    if with_progress "${target##*/}, $FUZZ_SECONDS s" "build/fuzz/${target##*/}.log" \
      "$target" "-max_total_time=$FUZZ_SECONDS" -max_len=256 -artifact_prefix=build/fuzz/; then
      n_passed=$((n_passed + 1))
    else
      tail -n 40 "build/fuzz/${target##*/}.log" >&2
      n_failed=$((n_failed + 1)) failed=1
    fi
  done
  step_done
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

# fetch_texts: real texts for the tests, once.
fetch_texts() {
  step "texts"
  with_progress "texts" build/texts.log scripts/fetch_texts.sh || {
    cat build/texts.log >&2
    exit 1
  }
  step_done
}

mkdir -p build
case "$mode" in
  --quick)
    n_steps=4
    step "packages"
    # shellcheck disable=SC2086
    install_packages $KVEVICT_PACKAGES
    step_done
    run_tests quick all
    run_python
    ;;
  ordinary)
    n_steps=6
    scripts/setup.sh || exit 1
    fetch_texts
    run_tests asan memory_tests -L memory -j "$JOBS"
    run_tests release unsanitized -LE sanitized -j "$JOBS"
    run_python
    ;;
  --full)
    n_steps=27
    scripts/setup.sh || exit 1
    step "packages"
    install_packages clang clang-tidy clang-format
    install_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" # what libFuzzer needs
    step_done
    fetch_texts
    long_check check_format
    stage release run_tests release all -j "$JOBS"
    stage asan run_tests asan all -j "$JOBS"
    stage tsan run_tests tsan rooms_tests -L rooms -R '^(base|policy|tensors|c|hub|http|serving)_tests|^engine_tests.Threads' -j 1
    stage python run_python --torch
    stage shared run_tests shared all -R '^(install|examples|architecture)|_tests.(CInterface|CLlamaCache)'
    stage fuzz run_fuzzers
    stage dev run_tests dev all -L quick
    stage architectures long_check scripts/long/architectures.sh
    stage sliding-window long_check scripts/long/sliding_window.sh
    stage evidence-gemma long_check scripts/long/evidence_gemma.sh
    stage page long_check scripts/long/page.sh
    stage clients long_check scripts/long/clients.sh
    stage llama-server-tests long_check scripts/long/llama_server_tests.sh
    install_packages haproxy nginx
    stage two-servers long_check scripts/long/two_servers.py
    stage serve-faults long_check scripts/long/serve_faults.py
    stage parity long_check scripts/long/parity.sh
    stage long-document long_check scripts/long/long_document.py
    stage chat-200 long_check scripts/long/chat_200.py
    stage million-tokens long_check scripts/long/million_tokens.py
    ;;
  *)
    echo "kvevict: test.sh takes --quick, --full or nothing, not \"$mode\"" >&2
    exit 2
    ;;
esac
printf '\n%s passed, %s failed\n' "$n_passed" "$n_failed"
[ "$n_failed" -eq 0 ]
