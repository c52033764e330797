#!/usr/bin/env bash
# The clients of scripts/long/clients.py, in the releases that are pinned, against the server.
#   scripts/long/clients.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
DEPS=${KVEVICT_DEPS:-$PWD/.deps} PINNED=scripts/long/clients_requirements.txt
venv=$DEPS/clients-venv
if ! cmp -s "$PINNED" "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" --disable-pip-version-check install --quiet -r "$PINNED"
  cp "$PINNED" "$venv/installed.txt"
fi
exec "$venv/bin/python" scripts/long/clients.py
