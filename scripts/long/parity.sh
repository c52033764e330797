#!/usr/bin/env bash
# Makes the PyTorch golden data anew and holds it against the committed one.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
"$ROOT/scripts/parity/setup.sh"
NAME=$(sed -n 's/.*kDefaultModelFile = "\(.*\)\.gguf";.*/\1/p' "$ROOT/src/hub/locations.h")
MODEL=$ROOT/build/release/tests/work/$NAME-f32.gguf
[ -f "$MODEL" ] || { echo "kvevict: there is no $MODEL: run the tests of the engine first, which make it" >&2; exit 1; }
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
PARITY=${KVEVICT_DEPS:-$ROOT/.deps}/parity
"$PARITY/python" "$ROOT/scripts/parity/make_golden.py" "$MODEL" "$OUT"
python3 - "$ROOT/tests/data/parity" "$OUT" <<'END'
import json, pathlib, sys
committed, made = map(pathlib.Path, sys.argv[1:])
names = sorted(p.name for p in committed.glob("*.json"))
assert names and names == sorted(p.name for p in made.glob("*.json")), names
for name in names:
    a, b = (json.loads((folder / name).read_text()) for folder in (committed, made))
    assert a["tokens"] == b["tokens"] and a["rows"] == b["rows"], name
    pairs = list(zip(a["log_probabilities"], b["log_probabilities"])) + [p for x, y in zip(a["logits"], b["logits"]) for p in zip(x, y)]
    most = max(abs(x - y) for x, y in pairs)
    print(f"{name}: {len(pairs)} numbers, largest difference {most:.2e}")
    assert most < 1e-3, name
END
