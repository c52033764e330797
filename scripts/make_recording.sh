#!/usr/bin/env bash
# Makes a recording for README: runs the demo and draws what it printed, parts 1 to 3, as docs/pictures/demo.svg.
#   scripts/make_recording.sh [KVEVICT]    the program to use (build/release/bin/kvevict); about 3 minutes
#   OUTPUT=file scripts/make_recording.sh  draws an output that is there already
# Needs network access once, for the drawing (https://github.com/Textualize/rich), which goes into build/recording.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/packages.sh
kvevict=${1:-build/release/bin/kvevict}
work=build/recording
text=${OUTPUT:-$work/demo.txt}
mkdir -p "$work"
if [ ! -e "$work/venv/bin/rich-15.0.0" ]; then
  say "fetching rich"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet rich==15.0.0 || fail "rich could not be fetched"
  touch "$work/venv/bin/rich-15.0.0"
fi
if [ -z "${OUTPUT:-}" ]; then
  [ -x "$kvevict" ] || fail "there is no $kvevict: run scripts/setup.sh first"
  say "kvevict demo"
  "$kvevict" demo --output "$work/kvevict-demo" >"$text"
fi
"$work/venv/bin/python" - "$text" docs/pictures/demo.svg <<'PYTHON'
import io, re, sys
from rich.console import Console
from rich.text import Text

output = open(sys.argv[1], encoding="utf-8").read().split("\n4. ")[0].rstrip()
console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
text = Text("$ kvevict demo\n" + output)
text.highlight_regex(r"(?m)^(\$ |\d\. ).*", "bold bright_white")
text.highlight_regex(r"(?m)^full +refused", "bold red")
text.highlight_regex(r"\[right\]|[\d.]+ times as fast", "bold green")
console.print(text)
svg = console.export_svg(title="kvevict demo")
svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # fonts from elsewhere: the reader's own will do
svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
open(sys.argv[2], "w", encoding="utf-8").write(re.sub(r"(?m)[ \t]+$", "", svg))
PYTHON
ls -l docs/pictures/demo.svg
