#!/usr/bin/env python3
"""Every strategy at the same bytes of K and V: streaming perplexity, passkeys and the demo question sets, in one table.

usage: evidence.py            runs what is missing, then writes the table into docs/strategies.md
       evidence.py --table    only the table, from what is there

Half an hour on two processors. Every part is a file under results/evidence; what is there is not run again, so a run
that was ended goes on where it was. The texts and the subset were fixed before anything was run.
"""

import concurrent.futures
import json
import math
import os
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("KVEVICT_PROGRAM", str(ROOT / "build" / "release" / "bin" / "kvevict"))
DEPS = pathlib.Path(os.environ.get("KVEVICT_DEPS", ROOT / ".deps"))
RESULTS = ROOT / "results" / "evidence"
DOC = ROOT / "docs" / "strategies.md"
BEGIN, END = "<!-- begin: evidence (generated) -->", "<!-- end: evidence -->"

# 448 tokens in every layer each, but for full: 512 cells, as llama.cpp rounds
STRATEGIES = ["full", "sink_recent:4:444", "sink_recent_uniform:4:188:256", "ladder:4:220:224", "h2o:0:224:224",
              "snapkv:0:32:416", "tova:0:2:446"]
REFERENCE = "sink_recent:4:444"
SLACK = ["--decode_slack", 1]  # while answering, too, all hold the same number of tokens
TEXT = "debian-reference.txt"
N_TOKENS, WINDOW, CHUNK = 8192, 256, 128
LENGTHS, DEPTHS, KEYS = "1000,1800", "10,30,50,70,90", 2
DATASETS = ["narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa"]
N_EXAMPLES, MAX_LENGTH = 4, 1800


def run(*words):
    """One part on one thread: as many parts at once as there are processors."""
    words = [*map(str, words), "--threads", "1"]
    print("==> kvevict", *words, flush=True)
    result = subprocess.run([PROGRAM, *words], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError((result.stderr.strip().splitlines() or ["it said nothing"])[-1])


def file_of(part, strategy):
    return RESULTS / f"{part}-{strategy.replace(':', '-')}.json"


def is_complete(path):
    """Whether a file holds a run that came to its end: an interrupted one writes what it has."""
    return path.exists() and json.loads(path.read_text())["runs"][0]["run"]["status"] == "complete"


def missing_parts():
    """The command lines of the parts that are not there."""
    for strategy in STRATEGIES:
        out = file_of("perplexity", strategy)
        if not is_complete(out):
            yield ["perplexity", DEPS / "texts" / TEXT, "--strategies", strategy, "--window", WINDOW, "--total_tokens", N_TOKENS,
                   "--chunk", CHUNK, "--output", out]
        out = file_of("needle", strategy)
        if not is_complete(out):
            yield ["needle", "--strategies", strategy, "--lengths", LENGTHS, "--depths", DEPTHS, "--keys", KEYS, *SLACK, "--output", out]
    for dataset in DATASETS:  # goes on by itself where it was ended
        yield ["longbench", "--dataset", dataset, "--data_dir", "data/demo", "--strategies", ",".join(STRATEGIES),
               "--num_examples", N_EXAMPLES, "--max_length", MAX_LENGTH, *SLACK, "--output", RESULTS / f"longbench-{dataset}.json"]


def run_missing():
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not (DEPS / "texts" / TEXT).exists():
        subprocess.run([ROOT / "scripts" / "fetch_texts.sh"], check=True)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        parts = [workers.submit(run, *words) for words in missing_parts()]
        for part in concurrent.futures.as_completed(parts):
            if part.exception():
                workers.shutdown(cancel_futures=True)
                sys.exit(f"kvevict: a part failed: {part.exception()}")


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


def perplexity_cells(strategy):
    logs = {}
    for s in (strategy, REFERENCE):
        windows = json.loads(file_of("perplexity", s).read_text())["runs"][0]["windows"]
        logs[s] = {w["tokens_seen"]: math.log(w["perplexity"]) for w in windows}
    own = list(logs[strategy].values())
    low, high = bootstrap(own)
    cell = f"{math.exp(sum(own) / len(own)):.2f} [{math.exp(low):.2f}, {math.exp(high):.2f}]"
    if strategy == REFERENCE:
        return cell, ""
    if logs[strategy].keys() != logs[REFERENCE].keys():
        sys.exit(f"kvevict: {strategy} and {REFERENCE} have other windows of perplexity")
    differences = [v - logs[REFERENCE][k] for k, v in logs[strategy].items()]
    low, high = bootstrap(differences)
    mean = sum(differences) / len(differences)
    return cell, f"{100 * math.expm1(mean):+.1f} % [{100 * math.expm1(low):+.1f}, {100 * math.expm1(high):+.1f}]"


def needle_cell(strategy):
    answers = json.loads(file_of("needle", strategy).read_text())["runs"][0]["answers"]
    found = sum(a["found"] for a in answers)
    low, high = wilson(found, len(answers))
    return f"{found} of {len(answers)} [{100 * low:.0f} %, {100 * high:.0f} %]"


def score_cells(strategy):
    scores, reference, kv = [], [], 0
    for dataset in DATASETS:
        runs = {r["run"]["name"]: r for r in json.loads((RESULTS / f"longbench-{dataset}.json").read_text())["runs"]}
        of = {s: {e["id"]: e for d in runs[s]["datasets"] for e in d["examples"]} for s in (strategy, REFERENCE)}
        for identity, example in of[strategy].items():
            scores.append(100 * example["score"])
            reference.append(100 * of[REFERENCE][identity]["score"])
            kv = max(kv, example["kv_bytes_after_eviction"])
    low, high = bootstrap(scores)
    cell = f"{sum(scores) / len(scores):.1f} [{low:.1f}, {high:.1f}]"
    if strategy == REFERENCE:
        return cell, "", kv
    differences = [a - b for a, b in zip(scores, reference)]
    low, high = bootstrap(differences)
    return cell, f"{sum(differences) / len(differences):+.1f} [{low:+.1f}, {high:+.1f}]", kv


def table():
    yield BEGIN
    yield (f"Default model (135M parameters), 448 tokens in every layer for each strategy but `full`. Perplexity: the first {N_TOKENS:,} tokens "
           f"of Debian's reference manual in chunks of {CHUNK}, windows of {WINDOW}. Passkeys: prompts of {LENGTHS.replace(',', ' and ')} tokens, "
           f"depths {DEPTHS.replace(',', ', ')} %, {KEYS} keys. Questions: the first {N_EXAMPLES} of {len(DATASETS)} demo sets, prompts "
           f"cut to {MAX_LENGTH} tokens. In brackets 95 % intervals (bootstrap; Wilson's for shares); the differences are "
           f"paired, against `{REFERENCE}`.")
    yield ""
    yield "| strategy | perplexity | against sink + recent | passkeys found | score | against sink + recent | KV MiB, most |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    bytes_of = {strategy: score_cells(strategy)[2] for strategy in STRATEGIES}
    if len({n for strategy, n in bytes_of.items() if strategy != "full"}) != 1:
        sys.exit(f"kvevict: the strategies do not hold the same bytes of K and V: {bytes_of}")
    for strategy in STRATEGIES:
        perplexity, perplexity_difference = perplexity_cells(strategy)
        score, score_difference, kv = score_cells(strategy)
        yield (f"| `{strategy}` | {perplexity} | {perplexity_difference} | {needle_cell(strategy)} | {score} | {score_difference} | "
               f"{kv / 2**20:.1f} |")
    yield END


def main():
    if sys.argv[1:] not in ([], ["--table"]):
        sys.exit("usage: evidence.py [--table]")
    if sys.argv[1:] != ["--table"]:
        run_missing()
    text = "\n".join(table())
    print(text)
    doc = DOC.read_text()
    if BEGIN not in doc:
        doc = doc.rstrip("\n") + f"\n\n## Side by side\n\n{BEGIN}\n{END}\n"
    before, rest = doc.split(BEGIN)
    DOC.write_text(before + text + rest.split(END)[1])


if __name__ == "__main__":
    main()
