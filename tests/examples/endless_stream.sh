#!/usr/bin/env bash
# Streams several times the budget through examples/06_endless_stream and holds it to its memory.
#   endless_stream.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
budget=256 chunk=64
report=$(some_text 60 | "$program" "$model")
tail -n 2 <<<"$report"
expect [ "$(tail -n 1 <<<"$report" | cut -d' ' -f1)" -gt $((4 * (budget + chunk))) ]
most_held=$(cut -d' ' -f4 <<<"$report" | sort -n | tail -n 1)
expect [ "$most_held" -gt "$budget" ]
expect [ "$most_held" -le $((budget + chunk)) ]
# the bytes of K and V are the same from the first chunk to the last
expect [ "$(cut -d' ' -f6 <<<"$report" | sort -u | wc -l)" -eq 1 ]
expect [ -z "$("$program" "$model" </dev/null)" ]
expect_refused usage: "$program"
expect_refused /dev/null "$program" /dev/null
