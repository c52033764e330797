#!/usr/bin/env bash
# llama.cpp's own tests of its server, as its source package has them, against kvevict serve. Less than ten minutes.
#   scripts/long/llama_server_tests.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD DEPS=${KVEVICT_DEPS:-$PWD/.deps} PINNED=scripts/long/llama_server_requirements.txt
. scripts/lib/llama.sh
export KVEVICT_PROGRAM=${KVEVICT_PROGRAM:-$ROOT/build/release/bin/kvevict} KVEVICT_MODEL=${KVEVICT_MODEL:-$DEPS/models/$MODEL_FILE}
source_package=$(ls "$DEPS"/download/llama_cpp_python-*.tar.gz 2>/dev/null | tail -n 1)
if [ -z "$source_package" ]; then
  echo "llama_server_tests: there is no source package of llama.cpp in $DEPS/download: scripts/setup.sh fetches it" >&2
  exit 1
fi
theirs=$DEPS/llama-server-tests
if [ "$(cat "$theirs/from" 2>/dev/null)" != "$source_package" ]; then
  rm -rf "$theirs" && mkdir -p "$theirs"
  tar -xzf "$source_package" -C "$theirs" --strip-components=1 --wildcards '*/vendor/llama.cpp/tools/server/tests/*' '*/vendor/llama.cpp/models/templates/*'
  echo "$source_package" >"$theirs/from"
fi
venv=$DEPS/llama-server-venv
if ! cmp -s "$PINNED" "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" --disable-pip-version-check install --quiet -r "$PINNED"
  cp "$PINNED" "$venv/installed.txt"
fi
exec "$venv/bin/python" scripts/long/llama_server_tests.py "$theirs/vendor/llama.cpp/tools/server/tests"
