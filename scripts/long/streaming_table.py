#!/usr/bin/env python3
"""The results of streaming_llm.sh as a table: perplexity of every window, a column for each.

usage: streaming_table.py N_TOKENS
"""

import json
import sys

import common

for text in ("developers-reference", "jargon"):
    for positions in ("packed", "absolute"):
        path = common.RESULTS / f"perplexity-{text}-{positions}-{sys.argv[1]}.json"
        if not path.exists():
            continue
        runs = json.loads(path.read_text())["runs"]
        ends = [w["tokens_seen"] for w in max((r["windows"] for r in runs), key=len)]
        print(f"\n{text}, {positions} positions\n")
        print("| strategy | " + " | ".join(f"{n:,}" for n in ends) + " |")
        print("|---|" + "---:|" * len(ends))
        for run in runs:
            of = {w["tokens_seen"]: w["perplexity"] for w in run["windows"]}
            cells = [f"{of[n]:.1f}" if of.get(n) is not None else "" for n in ends]
            print(f"| `{run['run']['name']}` | " + " | ".join(cells) + " |")
