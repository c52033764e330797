#!/usr/bin/env bash
# Sets everything up on a Debian or Ubuntu machine and builds build/release/bin/kvevict (no tests). Asks for
# nothing; the second run takes seconds. Elsewhere it names what to install.
#
#   KVEVICT_GPU=cuda|vulkan|off  llama.cpp's back end (cuda by itself where nvcc and a driver are there)
#   KVEVICT_MODEL=FILE.gguf      use this model as the default one and fetch none
#   KVEVICT_DEPS=FOLDER          where llama.cpp and the model go (.deps in the checkout)
#   KVEVICT_JOBS=N               compile jobs (the processors)
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case "${1:-}" in
  "") ;;
  -h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "kvevict: setup.sh takes no \"$1\" (see scripts/setup.sh --help)" >&2
    exit 2
    ;;
esac
cd "$ROOT"
DEPS=${KVEVICT_DEPS:-$ROOT/.deps}
JOBS=${KVEVICT_JOBS:-$(nproc)}
mkdir -p "$DEPS"
KVEVICT_LOG=$DEPS/setup.log
export KVEVICT_LOG
. scripts/lib/packages.sh
. scripts/lib/llama.sh

exec 9>"$DEPS/lock" # one set-up at a time
flock -n 9 || { say "waiting for another set-up to end"; flock 9; }

build_program() {
  cmake --preset release -DKVEVICT_DEPS_DIR="$DEPS" -DKVEVICT_UNITY_BUILD=ON && cmake --build --preset release --target kvevict_main -j "$JOBS"
}

n_steps=4
step "packages"
# shellcheck disable=SC2086
install_packages $KVEVICT_PACKAGES
step_done
step "llama.cpp"
install_llama
step_done
step "kvevict"
with_progress "kvevict" "$KVEVICT_LOG" build_program || {
  tail -n 30 "$KVEVICT_LOG" >&2
  fail "kvevict could not be built; the whole log is $KVEVICT_LOG"
}
step_done
step "default model"
install_model
step_done
say "ready in $SECONDS s: build/release/bin/kvevict"
