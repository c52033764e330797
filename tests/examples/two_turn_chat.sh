#!/usr/bin/env bash
# Two answers of examples/05_two_turn_chat, the second of which needs the first turn. They come piece by piece.
#   two_turn_chat.sh PROGRAM MODEL
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
program=$1 model=$2
first="My cat is called Miso. What do cats like to eat?"
second="What is my cat called?"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/pipe"
"$program" "$model" "$first" "$second" >"$folder/pipe" &
python3 - "$folder/pipe" >"$folder/answers" <<'END'
import os, sys
pipe = os.open(sys.argv[1], os.O_RDONLY)
pieces = []
while piece := os.read(pipe, 1 << 16):
    pieces.append(piece)
os.write(1, b"".join(pieces))
sys.stderr.write(f"{len(pieces)} pieces\n")
sys.exit(len(pieces) < 6)
END
wait $!
cat "$folder/answers"
answer_to() { awk -v question="> $1" '$0 == question { on = 1; next } /^> / { on = 0 } on' "$folder/answers"; }
expect [ -n "$(answer_to "$first")" ]
expect grep -q Miso <<<"$(answer_to "$second")"
expect_refused usage: "$program" "$model" hello
expect_refused /dev/null "$program" /dev/null hello there
