#!/usr/bin/env python3
"""How kvevict fares beside other programs: none, one and three of them, each of which keeps a processor busy. Prefill
and decode, as threads are in llama.cpp (one for each core, whatever else runs) and as kvevict chooses them; beside
both, threads that sleep as soon as they wait (--poll 0) and a single thread. All take turns in every round.

usage: busy.py [--kvevict FILE] [--model FILE] [--rounds N] [--output FILE]
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

from machine import processor

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEIGHBOURS = (0, 1, 3)
PHASES = {"prefill": (1100, 1), "decode": (96, 128)}  # tokens of the prompt, new tokens
TEXT = ROOT / "data" / "demo"
SPEED = re.compile(r"^(prefill|decode) .*\(([\d.]+) tokens/s\)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Way:
    name: str
    flags: tuple


def ways():
    cores = len(os.sched_getaffinity(0))
    return (
        Way("llama.cpp's threads", ("--threads", str(cores))),
        Way("kvevict", ()),
        Way("sleeping at once", ("--threads", str(cores), "--poll", "0")),
        Way("one thread", ("--threads", "1")),
    )


@contextlib.contextmanager
def neighbours(number):
    """Programs that use as much of a processor as they get, as a compiler does."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(arguments, way, phase, prompt):
    n_prompt, n_new = PHASES[phase]
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")}
    command = [arguments.kvevict, "generate", "--model", arguments.model, "--strategy", "full", "--verbose",
               "-f", str(prompt), "--max_length", str(n_prompt), "--max_new_tokens", str(n_new), *way.flags]
    before, begin = processor_seconds(), time.monotonic()
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begin
    speeds = dict(SPEED.findall(run.stderr))
    if run.returncode != 0 or phase not in speeds:
        sys.exit(f"busy.py: {' '.join(command)} ended with {run.returncode}: {run.stderr.strip()}")
    return {"wall": wall, "processor": processor_seconds() - before, "tokens_per_second": float(speeds[phase])}


def median(samples, key):
    return statistics.median_low(s[key] for s in samples)


def rows_of(measured):
    """(neighbours, phase, way, median tokens/s, best tokens/s, wall s, processor s) of each case."""
    for case in measured["cases"]:
        samples = case["samples"]
        yield (case["neighbours"], case["phase"], case["way"], median(samples, "tokens_per_second"),
               max(s["tokens_per_second"] for s in samples), median(samples, "wall"), median(samples, "processor"))


def print_table(measured):
    print(f"{'neighbours':>10}  {'phase':8}{'way':22}{'tokens/s':>9}{'best':>9}{'wall s':>9}{'processor s':>13}")
    for n, phase, way, speed, best, wall, processor in rows_of(measured):
        print(f"{n:>10}  {phase:8}{way:22}{speed:9.1f}{best:9.1f}{wall:9.2f}{processor:13.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvevict", default=str(ROOT / "build/release/bin/kvevict"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    prompt = next(iter(sorted(TEXT.glob("*.jsonl"))))
    cases = {(n, phase, way): [] for n in NEIGHBOURS for phase in PHASES for way in ways()}
    for round_number in range(arguments.rounds):
        for n in NEIGHBOURS:
            with neighbours(n):
                for phase in PHASES:
                    for way in ways():
                        cases[n, phase, way].append(measure(arguments, way, phase, prompt))
            print(f"round {round_number + 1} of {arguments.rounds}: {n} neighbours measured", file=sys.stderr, flush=True)
    measured = {
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "processors": len(os.sched_getaffinity(0)),
        "cpu": processor(),
        "rounds": arguments.rounds,
        "phases": PHASES,
        "cases": [{"neighbours": n, "phase": phase, "way": way.name, "flags": way.flags, "samples": samples}
                  for (n, phase, way), samples in cases.items()],
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(measured, indent=1) + "\n")
    print_table(measured)


if __name__ == "__main__":
    main()
