#!/usr/bin/env bash
# Builds the Python modules into the ignored environment .deps/python and runs their tests; the last line counts them.
#   scripts/python_tests.sh           those that need numpy alone; with torch too, where .deps/python has it
#   scripts/python_tests.sh --engine  those of the engine too (kvevict.llama), minutes more; its module is built within
#                                     build/release and with the llama.cpp of set-up
#   scripts/python_tests.sh --torch   installs torch and transformers first (7 GB), runs the slow tests, the engine's, mypy
#                                     and pyright too, and the tests of the transformers cache with other versions of transformers
# KVEVICT_PYTHON  the Python to take instead of python3; 3.11 or newer is needed
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/progress.sh
ROOT=$PWD
ENVIRONMENT=${KVEVICT_DEPS:-$PWD/.deps}/python
OTHER_TRANSFORMERS="5.4.0 5.16.1"
PYTHON=${KVEVICT_PYTHON:-python3}
mode=${1:-}
export PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "Python 3.11 or newer is needed for the tests of the Python package, and $PYTHON is not: name one by KVEVICT_PYTHON"

# install FILE: what it pins, once for each state of it.
install() {
  local stamp=$ENVIRONMENT/${1##*/}.installed
  [ -f "$stamp" ] && cmp -s "$1" "$stamp" && return 0
  say "python: installing into $ENVIRONMENT"
  grep -v '^#' "$1" | paste -sd' ' | fold -s -w 76 | sed 's/^/    /'
  "$ENVIRONMENT/bin/pip" install --quiet -r "$1" && cp "$1" "$stamp"
}

[ -x "$ENVIRONMENT/bin/python" ] || "$PYTHON" -m venv "$ENVIRONMENT" || fail "there is no venv for $PYTHON (Debian: python3-venv)"
install python/requirements-test.txt || fail "pip could not install what the tests need: the lines above say why"
[ "$mode" != --torch ] || install python/requirements-torch.txt || fail "pip could not install torch: the lines above say why"

log=build/python-build.log
mkdir -p build
with_progress "building the Python module" "$log" env CMAKE_BUILD_PARALLEL_LEVEL="${KVEVICT_JOBS:-$(nproc)}" \
  "$ENVIRONMENT/bin/pip" install --no-build-isolation --no-deps --force-reinstall -v \
  -C cmake.define.KVEVICT_WARNINGS_AS_ERRORS=ON ./python ||
  { tail -n 40 "$log" >&2; fail "the Python module does not build; the whole log is $log"; }

# The engine's module shares the objects of the program: what is compiled is the bindings. PYTHONPATH finds it then.
build_engine() {
  cmake --preset release ${KVEVICT_DEPS:+-DKVEVICT_DEPS_DIR="$KVEVICT_DEPS"} -DKVEVICT_PYTHON_ENGINE=ON \
    -DPython_EXECUTABLE="$ENVIRONMENT/bin/python" &&
    cmake --build build/release --target kvevict_python_engines -j "${KVEVICT_JOBS:-$(nproc)}" &&
    rm -rf "$ENVIRONMENT/engine" && cmake --install build/release --component python_llama --prefix "$ENVIRONMENT/engine"
}
if [ -n "$mode" ]; then
  with_progress "building the Python module of the engine" "$log" build_engine ||
    { tail -n 40 "$log" >&2; fail "the Python module of the engine does not build; the whole log is $log"; }
  export PYTHONPATH=$ENVIRONMENT/engine
fi

n_passed=0 n_failed=0
project=python
# check COMMAND...: in the folder $project; counts as one test.
check() {
  if (cd "$project" && "$@"); then n_passed=$((n_passed + 1)); else n_failed=$((n_failed + 1)); fi
}
# check_pyright: of $project/src against the packages that are installed, which have what C++ makes; so not from its folder.
check_pyright() {
  local sources=$project/src project=.
  check "$ENVIRONMENT/bin/pyright" --pythonpath "$ENVIRONMENT/bin/python" "$sources"
}
# run_pytest ARGUMENTS...: in the folder $project; adds its counts.
run_pytest() {
  local line code=0
  (cd "$project" && "$ENVIRONMENT/bin/python" -m pytest -q "$@") 2>&1 | tee build/python-tests.log
  code=${PIPESTATUS[0]}
  line=$(tail -n 1 build/python-tests.log)
  count() { grep -oE "[0-9]+ ($1)" <<<"$line" | awk '{ n += $1 } END { print n + 0 }'; }
  n_passed=$((n_passed + $(count passed))) n_failed=$((n_failed + $(count 'failed|errors?')))
  [ "$code" -eq 0 ] || [ "$(count 'failed|errors?')" -gt 0 ] || n_failed=$((n_failed + 1))
}

check "$ENVIRONMENT/bin/ruff" check .
check "$ENVIRONMENT/bin/ruff" format --check .
if [ "$mode" = --torch ]; then
  check "$ENVIRONMENT/bin/mypy" --strict src
  check_pyright
  run_pytest
  for version in $OTHER_TRANSFORMERS; do
    other=$ENVIRONMENT/transformers-$version
    [ -d "$other" ] || "$ENVIRONMENT/bin/pip" install --quiet --target "$other" "transformers==$version" ||
      fail "pip could not install transformers $version"
    say "python: transformers $version"
    PYTHONPATH=$other:$PYTHONPATH run_pytest -m "not slow" tests/transformers
  done
else
  run_pytest -m "not slow"
fi
if [ -n "$mode" ]; then
  project=python_llama
  check "$ENVIRONMENT/bin/ruff" check .
  check "$ENVIRONMENT/bin/ruff" format --check .
  if [ "$mode" = --torch ]; then
    check "$ENVIRONMENT/bin/mypy" --strict src
    check_pyright
  fi
  KVEVICT_PROGRAM=$ROOT/build/release/bin/kvevict run_pytest
fi
printf '%s passed, %s failed\n' "$n_passed" "$n_failed"
[ "$n_failed" -eq 0 ]
