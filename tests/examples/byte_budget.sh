#!/usr/bin/env bash
# Streams a text through examples/07_byte_budget under a limit that is a fraction of what the text would take.
#   byte_budget.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
limit=$((12 << 20))
report=$(some_text 60 | "$program" "$model" 12MiB)
echo "$report"
number() { sed -E "s/.*[^0-9]([0-9]+) $1.*/\1/" <<<"$report"; }
expect grep -q '^sink_recent:4:' <<<"$report"
expect [ "$(number bytes)" -le "$limit" ]
expect [ "$(number bytes)" -gt $((limit / 2)) ]
expect [ "$(number 'tokens seen')" -gt $((2 * $(number held))) ]
expect_refused 12parsecs "$program" "$model" 12parsecs
expect_refused MiB "$program" "$model" 1KiB
expect_refused usage: "$program" "$model"
