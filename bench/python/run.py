#!/usr/bin/env python3
"""Prefill, peak memory and decoding with transformers' cache, kvpress, and an EvictingCache, whole and in chunks.

kvpress needs an older transformers, so it has an environment of its own: that of scripts/bench_peers.sh. Each cell is a
process, loading the model is in none of its numbers, and within a round all take turns.

usage: run.py --python VENV/bin/python --peers_python .deps/peers-venv/bin/python --model FOLDER --ids IDS.json
           --output OUT.json

FOLDER and IDS.json are those that bench/side_by_side/run.py --prepare makes: the weights as transformers reads them,
and tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
SINK, RECENT = 256, 512
KINDS = {
    "dynamic": "DynamicCache, whole prompt",
    "dynamic_chunked": "DynamicCache, chunks of 512",
    "kvpress": "kvpress StreamingLLM",
    "evicting": "EvictingCache, whole prompt",
    "evicting_chunked": "EvictingCache, chunks of 512",
}


def measure(options: argparse.Namespace, kind: str, length: int) -> dict[str, Any]:
    python = options.peers_python if kind == "kvpress" else options.python
    numbers = (length, options.new_tokens, options.threads)
    arguments = (options.model, options.ids, *numbers, kind, SINK, RECENT, options.slack)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(
        [python, HERE / "cell.py", *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]}
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def table(rows: list[dict[str, Any]], new_tokens: int) -> str:
    """Markdown: medians over the rounds; processor seconds, since others may use the processors too."""
    lines = [
        "| tokens | | prefill, processor s | peak, MiB above the model | decode, tokens a processor s | rows held |",
        "|---|---|---|---|---|---|",
    ]
    for length in sorted({row["length"] for row in rows}):
        for kind, name in KINDS.items():
            found = [r for r in rows if (r["length"], r["kind"]) == (length, kind) and "failed" not in r]
            if not found:
                continue
            prefill = statistics.median(r["prefill"]["processor"] for r in found)
            peak = statistics.median(r["peak_bytes"] - r["loaded_bytes"] for r in found) / 2**20
            decode = new_tokens / statistics.median(r["decode"]["processor"] for r in found)
            lines.append(f"| {length} | {name} | {prefill:.1f} | {peak:.0f} | {decode:.1f} | {found[0]['held']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--python", required=True, help="of an environment with kvevict and transformers")
    parser.add_argument("--peers_python", help="of one with kvpress; without it kvpress is left out")
    parser.add_argument("--model", required=True, help="folder of the weights")
    parser.add_argument("--ids", required=True, help="JSON list of tokens, as many as the longest prompt")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 8064])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new_tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slack", type=int, default=64)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for number in range(1, options.rounds + 1):
        for length in options.lengths:
            for kind in KINDS:
                if kind == "kvpress" and not options.peers_python:
                    continue
                row = {"kind": kind, "length": length, "round": number} | measure(options, kind, length)
                print(json.dumps(row), file=sys.stderr)
                rows.append(row)
                options.output.parent.mkdir(parents=True, exist_ok=True)
                options.output.write_text(json.dumps({"new_tokens": options.new_tokens, "rows": rows}, indent=1) + "\n")
    print(table(rows, options.new_tokens))


if __name__ == "__main__":
    main()
