#!/usr/bin/env bash
# Clicks through the page of `kvevict serve` in a headless Chromium, with the real model.
#   scripts/long/page.sh [FOLDER]     FOLDER gets pictures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD DEPS=${KVEVICT_DEPS:-$PWD/.deps}
. scripts/lib/packages.sh
. scripts/lib/llama.sh
install_packages chromium
if [ ! -x "$DEPS/page-venv/bin/playwright" ]; then
  python3 -m venv "$DEPS/page-venv"
  "$DEPS/page-venv/bin/pip" --disable-pip-version-check install --quiet playwright==1.65.2
fi
"$DEPS/page-venv/bin/python" tests/page/page_test.py build/release/bin/kvevict "${KVEVICT_MODEL:-$DEPS/models/$MODEL_FILE}" "$@"
