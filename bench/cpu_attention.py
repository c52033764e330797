#!/usr/bin/env python3
"""Prefill and decode on the CPU with and without flash attention, with several numbers of tokens computed at once, and
with each element type of K and V; what kvevict takes by default, and of what it warns, follow from this table.

usage: cpu_attention.py [--kvevict FILE] [--model FILE] [--text FILE] [--lengths 512,2048,8000] [--rounds N] [--output FILE]
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

from machine import vector_extensions

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEW_TOKENS = 24
SPEED = re.compile(r"^(prefill|decode) .*\(([\d.]+) tokens/s\)", re.MULTILINE)


def ways():
    for attention in ("on", "off"):
        for ubatch in (512, 256):
            yield f"flash {attention}, f16, {ubatch} at once", ("--flash_attention", attention, "--ubatch", str(ubatch))
    for kv_type in ("f32", "bf16", "q8_0", "q4_0"):
        yield f"flash on, {kv_type}, 512 at once", ("--flash_attention", "on", "--kv_type", kv_type)


def measure(arguments, length, flags):
    command = [arguments.kvevict, "generate", "--model", arguments.model, "--strategy", "full", "--verbose",
               "-f", str(arguments.text), "--max_length", str(length), "--max_new_tokens", str(NEW_TOKENS), *flags]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    speeds = {phase: float(speed) for phase, speed in SPEED.findall(run.stderr)}
    if run.returncode != 0 or len(speeds) != 2:
        sys.exit(f"cpu_attention.py: {' '.join(command)} ended with {run.returncode}: {run.stderr.strip()}")
    return speeds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvevict", default=str(ROOT / "build/release/bin/kvevict"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--text", type=pathlib.Path, default=ROOT / ".deps/texts/perl.txt")
    parser.add_argument("--lengths", default="512,2048,8000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    lengths = [int(n) for n in arguments.lengths.split(",")]
    cases = {(length, name): [] for length in lengths for name, _ in ways()}
    for _ in range(arguments.rounds):
        for length in lengths:
            for name, flags in ways():
                cases[length, name].append(measure(arguments, length, flags))
                print(f"{length} tokens, {name}: {cases[length, name][-1]}", file=sys.stderr, flush=True)
    measured = {
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "instructions": vector_extensions(),
        "rounds": arguments.rounds,
        "cases": [{"tokens": length, "way": name, "samples": samples} for (length, name), samples in cases.items()],
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(measured, indent=1) + "\n")
    print(f"{'tokens':>7}  {'':34}{'prefill tokens/s':>17}{'decode tokens/s':>17}")
    for (length, name), samples in cases.items():
        prefill, decode = (statistics.median_low(s[phase] for s in samples) for phase in ("prefill", "decode"))
        print(f"{length:>7}  {name:34}{prefill:17.1f}{decode:17.1f}")


if __name__ == "__main__":
    main()
