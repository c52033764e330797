#!/usr/bin/env bash
# Asks examples/11_session_pool something while it reads a text of more tokens than its sessions hold.
#   session_pool.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
report=$(some_text 60 | "$program" "$model" "What is the capital of France? Answer in one sentence.")
echo "$report"
expect grep -q Paris <<<"$report"
figures=$(tail -n 1 <<<"$report")
number() { sed -E "s/(.*[^0-9])?([0-9]+) $1.*/\2/" <<<"$figures"; }
expect [ "$(number 'tokens read')" -gt 640 ]
expect [ "$(number held)" -le 640 ] # a budget of 512 and a chunk of 128
expect [ "$(number held)" -lt "$(number 'tokens read')" ]
expect_refused usage: "$program" "$model"
expect_refused /dev/null "$program" /dev/null "What is this?"
