#!/usr/bin/env python3
"""Prefill, peak memory and decoding with transformers' cache, kvpress, and an EvictingCache, whole and in chunks; then
eviction from a full DynamicCache by index_select and in place.

kvpress needs an older transformers, so it has an environment of its own: that of scripts/bench_peers.sh. Each cell is a
process, loading the model is in none of its numbers, and within a round all take turns. Rows that are in the output
already are not measured again, unless they failed, so a run that was stopped goes on.

usage: run.py --python VENV/bin/python --peers_python .deps/peers-venv/bin/python --model FOLDER --ids IDS.json
           --output OUT.json

FOLDER and IDS.json are those that bench/side_by_side/run.py --prepare makes: the weights as transformers reads them,
and tokens. scripts/bench_python.sh does all of it, and makes the tables of OUT.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import machine, versions

SINK, RECENT = 256, 512
KINDS = ("dynamic", "dynamic_chunked", "kvpress", "evicting", "evicting_chunked")
GEOMETRIES = ("30x3x8192x64", "32x8x16384x128")  # 180 MiB as SmolLM2-135M has it; 2 GiB as an 8B model
METHODS = ("index_select", "index_select_all", "in_place", "in_place_release")
SETTINGS = ("threads", "new_tokens", "slack")


def run_cell(command: list[str]) -> dict[str, Any]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]}
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def command_of(options: argparse.Namespace, kind: str, length: int) -> list[str]:
    python = options.peers_python if kind == "kvpress" else options.python
    numbers = (length, options.new_tokens, options.threads)
    arguments = (options.model, options.ids, *numbers, kind, SINK, RECENT, options.slack)
    return [python, str(HERE / "cell.py"), *map(str, arguments)]


def read_result(options: argparse.Namespace) -> dict[str, Any]:
    """What is measured already, if with the same settings; else a beginning."""
    result: dict[str, Any] = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in SETTINGS:
        if result.setdefault(name, getattr(options, name)) != getattr(options, name):
            sys.exit(
                f"{options.output} was measured with {name} {result[name]}, not {getattr(options, name)}: "
                "remove it to begin anew"
            )
    result.setdefault("created", datetime.date.today().isoformat())
    result.setdefault("machine", machine())
    if "versions" not in result:
        result["versions"] = {"kvevict": versions(options.python, ("torch", "transformers", "kvevict"))}
        if options.peers_python:
            result["versions"]["kvpress"] = versions(options.peers_python, ("torch", "transformers", "kvpress"))
    result.setdefault("model", pathlib.Path(options.model).name)
    result.setdefault("strategy", f"sink_recent:{SINK}:{RECENT}")
    for name in ("rows", "evictions"):
        result[name] = [row for row in result.get(name, ()) if "failed" not in row]
    return result


def in_turn(names: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Every round begins with another one: what runs first after a pause has the cooler processor."""
    first = (number - 1) % len(names)
    return names[first:] + names[:first]


def run(options: argparse.Namespace) -> None:
    result = read_result(options)
    kinds = tuple(kind for kind in KINDS if kind != "kvpress" or options.peers_python)

    def add(name: str, key: dict[str, Any], command: list[str]) -> None:
        if any(key.items() <= row.items() for row in result[name]):
            return
        row = key | run_cell(command)
        print(json.dumps(row), file=sys.stderr)
        result[name].append(row)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")

    for number in range(1, options.rounds + 1):
        for geometry in options.geometries:
            for method in in_turn(METHODS, number):
                command = [options.python, str(HERE / "eviction.py"), geometry, method, str(options.threads)]
                add("evictions", {"geometry": geometry, "method": method, "round": number}, command)
        for length in options.lengths:
            for kind in in_turn(kinds, number):
                command = command_of(options, kind, length)
                add("rows", {"kind": kind, "length": length, "round": number}, command)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--python", required=True, help="of an environment with kvevict and transformers")
    parser.add_argument("--peers_python", help="of one with kvpress; without it kvpress is left out")
    parser.add_argument("--model", required=True, help="folder of the weights")
    parser.add_argument("--ids", required=True, help="JSON list of tokens, as many as the longest prompt")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="*", default=[4096, 8000])
    parser.add_argument("--geometries", nargs="*", default=list(GEOMETRIES), help="LAYERSxHEADSxTOKENSxWIDTH")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--new_tokens",
        type=int,
        default=132,
        help="132: with a slack of 64, two of EvictingCache's evictions are in it",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slack", type=int, default=64)
    options = parser.parse_args()
    run(options)


if __name__ == "__main__":
    main()
