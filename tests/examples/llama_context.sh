#!/usr/bin/env bash
# Talks to examples/03_llama_context past its context of 512 tokens, with the input piped in.
#   llama_context.sh PROGRAM MODEL
set -euo pipefail
program=$1 model=$2
messages=$(for word in rivers mountains bridges lighthouses; do
  printf 'Here is a list about %s:' "$word"
  for i in $(seq 40); do printf ' number %s is a fine one,' "$i"; done
  printf ' and that is all. What was the list about?\n'
done)
report=$("$program" "$model" <<<"$messages" 2>&1 >/dev/null)
echo "$report"
seen=$(sed -E 's/^([0-9]+) tokens seen, ([0-9]+) in a context of ([0-9]+)$/\1/' <<<"$report")
held=$(sed -E 's/^([0-9]+) tokens seen, ([0-9]+) in a context of ([0-9]+)$/\2/' <<<"$report")
[ "$seen" -gt 1024 ] && [ "$held" -le $((4 + 380 + 64)) ]
"$program" /dev/null </dev/null 2>/dev/null && exit 1
"$program" 2>/dev/null && exit 1
exit 0
