#!/usr/bin/env bash
# Sets everything up, then shows what eviction is good for and what it costs. Its files go to results/kvevict-demo;
# flags are those of kvevict demo (--model FILE, …).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
printf '\n'
build/release/bin/kvevict demo --output results/kvevict-demo "$@"
