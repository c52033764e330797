#!/usr/bin/env python3
"""Every strategy at the same bytes of K and V: perplexity, needles with the question known and not, the demo question sets.

usage: evidence.py                  runs what is missing, then writes the tables: docs/evidence.md and docs/strategies.md
       evidence.py --table          only the tables, from what is there
       evidence.py --model FILE     the needles alone, by another model; also with --table. --lengths N,... (prompt tokens), --texts N
                                    (for each length) and --recent N (window) fit them to the model

Every part is a file under results/evidence (of another model: results/evidence-<name>); what is there is not run again, so a run that
was ended goes on where it was. Parts run on one thread each, as many at once as there are processors, what says most first: codes,
birthplaces not seen and perplexity, then what else is known, passkeys and the table side by side. The needles took 145 minutes of one
thread beside other work. A table that is written before shows a dash for what is missing. $KVEVICT_EVIDENCE_ROWS names the rows to run
and show (default: all). Texts and budgets were fixed before anything was run; a first run had prompts of 1,024 tokens alone, and
passkeys in filler were added once those in prose had been seen.
"""

import argparse
import json
import pathlib
import sys

import evidence_needles
from evidence_parts import (DEPS, ROOT, bootstrap, difference_text, is_complete, log_perplexities, perplexity_text, run_parts,
                            wilson)

RESULTS = ROOT / "results" / "evidence"
DOC = ROOT / "docs" / "strategies.md"
BEGIN, END = "<!-- begin: evidence (generated) -->", "<!-- end: evidence -->"

# 448 tokens in every layer each, but for full: 512 cells, as llama.cpp rounds
STRATEGIES = ["full", "sink_recent:4:444", "sink_recent_uniform:4:188:256", "ladder:4:220:224", "h2o:0:224:224",
              "snapkv:0:32:416", "tova:0:2:446", "keydiff:4:224:220"]
REFERENCE = "sink_recent:4:444"
if evidence_needles.named_rows():  # the reference is always there
    STRATEGIES = [s for s in STRATEGIES if s == REFERENCE or s.split(":")[0] in evidence_needles.named_rows()]
SLACK = ["--decode_slack", 1]  # while answering, too, all hold the same number of tokens
TEXT = "debian-reference.txt"
N_TOKENS, WINDOW, CHUNK = 8192, 256, 128
LENGTHS, DEPTHS, KEYS = "1000,1800", "10,30,50,70,90", 2
DATASETS = ["narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa"]
N_EXAMPLES, MAX_LENGTH = 4, 1800


def file_of(part, strategy):
    return RESULTS / f"{part}-{strategy.replace(':', '-')}.json"


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
        if is_complete(RESULTS / f"longbench-{dataset}.json"):
            continue
        yield ["longbench", "--dataset", dataset, "--data_dir", "data/demo", "--strategies", ",".join(STRATEGIES),
               "--num_examples", N_EXAMPLES, "--max_length", MAX_LENGTH, *SLACK, "--output", RESULTS / f"longbench-{dataset}.json"]


def perplexity_cells(strategy):
    logs = {s: log_perplexities(file_of("perplexity", s)) for s in (strategy, REFERENCE)}
    cell = perplexity_text(list(logs[strategy].values()))
    if strategy == REFERENCE:
        return cell, ""
    if logs[strategy].keys() != logs[REFERENCE].keys():
        sys.exit(f"kvevict: {strategy} and {REFERENCE} have other windows of perplexity")
    return cell, difference_text(*([logs[s][k] for k in logs[REFERENCE]] for s in (strategy, REFERENCE)))


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


def write_side_by_side():
    text = "\n".join(table())
    doc = DOC.read_text()
    if BEGIN not in doc:
        doc = doc.rstrip("\n") + f"\n\n## Side by side\n\n{BEGIN}\n{END}\n"
    before, rest = doc.split(BEGIN)
    DOC.write_text(before + text + rest.split(END)[1])
    return text


def main():
    options = argparse.ArgumentParser(usage="evidence.py [--table] [--model FILE [--lengths N,... --texts N --recent N]]")
    options.add_argument("--table", action="store_true")
    options.add_argument("--model", type=pathlib.Path)
    options.add_argument("--lengths", type=lambda text: [int(n) for n in text.split(",")])
    options.add_argument("--texts", type=int)
    options.add_argument("--recent", type=int)
    given = options.parse_args()
    sizes = [given.lengths, given.texts, given.recent]
    if any(sizes) and not (all(sizes) and given.model):
        options.error("--lengths, --texts and --recent go together, with --model")
    if all(sizes):
        evidence_needles.set_sizes(*sizes)
    model = ["--model", given.model] if given.model else []
    folder = RESULTS.with_name(f"evidence-{given.model.stem}") if given.model else RESULTS
    failures = []
    if not given.table:
        failures += evidence_needles.run_missing(folder, model)
        if not given.model:
            failures += run_parts(missing_parts())
    print(evidence_needles.write(folder, model, given.model.stem if given.model else "The default model"))
    if not given.model and not any(missing_parts()):
        print(write_side_by_side())
    if failures:
        sys.exit(f"kvevict: {len(failures)} parts failed, the first: {failures[0]}")


if __name__ == "__main__":
    main()
