#!/usr/bin/env bash
# Asks examples/04_one_question something.
#   one_question.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
answer=$("$program" "$model" "What is the capital of France? Answer in one sentence.")
echo "$answer"
expect grep -q Paris <<<"$answer"
expect_refused usage: "$program"
expect_refused /dev/null "$program" /dev/null "What is this?"
