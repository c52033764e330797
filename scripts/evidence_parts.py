"""What the tables of evidence share: parts that are run once each and kept as files, and the intervals of what they say."""

import concurrent.futures
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("KVEVICT_PROGRAM", str(ROOT / "build" / "release" / "bin" / "kvevict"))
DEPS = pathlib.Path(os.environ.get("KVEVICT_DEPS", ROOT / ".deps"))
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}


def is_complete(path):
    """Whether a file holds a run that came to its end: an interrupted one writes what it has."""
    return path.exists() and json.loads(path.read_text())["runs"][0]["run"]["status"] == "complete"


def run_part(words):
    """One part on one thread: as many parts at once as there are processors."""
    words = [*map(str, words), "--threads", "1"]
    begin = time.monotonic()
    result = subprocess.run([PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT})
    if result.returncode != 0:
        raise RuntimeError((result.stderr.strip().splitlines() or ["it said nothing"])[-1])
    print(f"{time.monotonic() - begin:6.0f} s  kvevict", *words, flush=True)


def run_parts(parts):
    """All command lines; a part that fails ends none of the others, but the script, after them."""
    if not all((DEPS / "texts" / name).exists() for name in ("debian-reference.txt", "jargon.txt")):
        subprocess.run([ROOT / "scripts" / "fetch_texts.sh"], check=True)
    failures = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        running = {workers.submit(run_part, words): words for words in parts}
        for part in concurrent.futures.as_completed(running):
            if part.exception():
                failures.append(f"{part.exception()} (kvevict {' '.join(map(str, running[part]))})")
                print("failed:", failures[-1], file=sys.stderr, flush=True)
    return failures


def bootstrap(values, n=4000):
    """95 % percentile interval of the mean."""
    draw = random.Random(1)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(n))
    return means[int(0.025 * n)], means[int(0.975 * n) - 1]


def wilson(found, n):
    """95 % interval of a share (Wilson 1927)."""
    z = 1.96
    middle = (found + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(found * (n - found) / n + z * z / 4)
    return middle - half, middle + half


def log_perplexities(path, number=0):
    """Of the windows of a run of `kvevict perplexity`, by the tokens seen at their end."""
    windows = json.loads(path.read_text())["runs"][number]["windows"]
    return {w["tokens_seen"]: math.log(w["perplexity"]) for w in windows}


def perplexity_text(logs):
    low, high = bootstrap(logs)
    return f"{math.exp(sum(logs) / len(logs)):.2f} [{math.exp(low):.2f}, {math.exp(high):.2f}]"


def difference_text(logs, reference):
    """How much larger, paired by window."""
    differences = [a - b for a, b in zip(logs, reference, strict=True)]
    low, high = bootstrap(differences)
    mean = sum(differences) / len(differences)
    return f"{100 * math.expm1(mean):+.1f} % [{100 * math.expm1(low):+.1f}, {100 * math.expm1(high):+.1f}]"
