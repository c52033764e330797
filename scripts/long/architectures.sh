#!/usr/bin/env bash
# What works with which of llama.cpp's architectures, all of them, against the table of docs/models.md. Less than a minute,
# and 900 MB for the models. Nothing to do with a llama.cpp that scripts/setup.sh did not build: its source is needed.
set -uo pipefail
"$(dirname "${BASH_SOURCE[0]}")/../check_architectures.py"
code=$?
[ "$code" -ne 77 ] || code=0
exit "$code"
