#!/usr/bin/env python3
"""Makes tests/data/parity/*.json: what PyTorch and transformers compute for evicted caches, which kvevict must equal.

usage: .deps/parity/python scripts/parity/make_golden.py MODEL.gguf OUT_FOLDER

MODEL is the default model requantised to f32 by llama.cpp (the tests make it: build/release/tests/work/*Q8_0-f32.gguf).
Every case is computed by a route of its own, with the keep sets of keep_rules.py:
  bounded, absolute   one pass with an explicit 4-D mask: token i sees j iff j was in the cache when i's chunk ran
  bounded, packed     chunk by chunk over unrotated keys, rotated at each chunk's packed positions
  one-shot, absolute  one pass with a mask: causal up to the eviction, then what the eviction and each later step left
Recorded: the natural logarithm of every token's probability, and every 64th logit of some rows.
"""

import json
import pathlib
import sys

import numpy
import torch
import transformers

import keep_rules
import llama_torch

CASES = [
    {"name": "bounded_absolute_sink_recent", "strategy": "sink_recent:16:96", "positions": "absolute", "prefill": "bounded", "chunk": 64, "n_tokens": 512},
    {"name": "bounded_absolute_uniform", "strategy": "sink_recent_uniform:16:64:64:block=16", "positions": "absolute", "prefill": "bounded", "chunk": 48, "n_tokens": 700},
    {"name": "bounded_packed_sink_recent", "strategy": "sink_recent:4:124", "positions": "packed", "prefill": "bounded", "chunk": 64, "n_tokens": 512},
    {"name": "bounded_packed_uniform", "strategy": "sink_recent_uniform:16:64:64:block=16", "positions": "packed", "prefill": "bounded", "chunk": 48, "n_tokens": 700},
    {"name": "one_shot_absolute_sink_recent", "strategy": "sink_recent:16:96", "positions": "absolute", "prefill": "full", "n_prompt": 400, "n_tokens": 432},
    {"name": "one_shot_absolute_uniform", "strategy": "sink_recent_uniform:16:64:64:block=16", "positions": "absolute", "prefill": "full", "n_prompt": 400, "n_tokens": 432},
]
EVERY = 64


def prose(tokenizer, n_tokens):
    path = pathlib.Path(__file__).resolve().parents[2] / "data" / "demo" / "narrativeqa.jsonl"
    text = json.loads(path.read_text(encoding="utf-8").splitlines()[0])["context"]
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(tokens) >= n_tokens, len(tokens)
    return tokens[:n_tokens]


def bounded_plan(case):
    values = keep_rules.parse(case["strategy"])
    return lambda length: keep_rules.ruler(length, **values)


def mask_of_chunks(n_tokens, chunks):
    sees = numpy.zeros((n_tokens, n_tokens), dtype=bool)
    for cached, own in chunks:
        for i in own:
            sees[i, cached] = True
            sees[i, own[0] : i + 1] = True
    return sees


def mask_of_one_shot(case):
    """All of the prompt but its last token, an eviction that counts the last one, then one token after the other."""
    n_tokens, n_prompt, values = case["n_tokens"], case["n_prompt"], keep_rules.parse(case["strategy"])
    sees = numpy.tri(n_tokens, dtype=bool)
    kept = keep_rules.one_shot(n_prompt, **values)
    middle = {j for j in kept if values["sink"] <= j < n_prompt - values["recent"]}
    for i in range(n_prompt - 1, n_tokens):
        wanted = set(range(values["sink"])) | middle | set(range(i + 1 - values["recent"], i + 1))
        sees[i] = False
        sees[i, sorted(wanted)] = True
    return sees


def compute(model, tokens, case):
    if case["prefill"] == "full":
        return llama_torch.logits_under_mask(model, tokens, mask_of_one_shot(case))
    chunks = list(keep_rules.bounded_chunks(case["n_tokens"], case["chunk"], bounded_plan(case)))
    if case["positions"] == "packed":
        return llama_torch.logits_packed(model, tokens, chunks)
    return llama_torch.logits_under_mask(model, tokens, mask_of_chunks(case["n_tokens"], chunks))


def rows_of(case):
    """Rows whose logits kvevict gives: the ends of chunks, or the last prompt token and some of those after it."""
    if case["prefill"] == "full":
        return [case["n_prompt"] - 1 + i for i in (0, 1, 2, 3, 8, 16, 31, 32)]
    return [min(case["n_tokens"], end) - 1 for end in range(case["chunk"], case["n_tokens"] + case["chunk"], case["chunk"])]


def record(case, tokens, logits):
    tokens = tokens[: case["n_tokens"]]
    log_softmax = torch.log_softmax(logits.double(), -1)
    chosen = [float(log_softmax[i - 1, tokens[i]]) for i in range(1, len(tokens))]
    rows = rows_of(case)
    return dict(case, every=EVERY, tokens=tokens, log_probabilities=[float(f"{p:.8g}") for p in chosen], rows=rows,
                logits=[[float(f"{x:.8g}") for x in logits[row, ::EVERY].tolist()] for row in rows],
                largest_logit=float(logits.abs().max()), torch=torch.__version__, transformers=transformers.__version__)


def main():
    path, out = sys.argv[1], pathlib.Path(sys.argv[2])
    torch.set_num_threads(2)
    model = llama_torch.load(path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(pathlib.Path(path).parent), gguf_file=pathlib.Path(path).name)
    tokens = prose(tokenizer, max(case["n_tokens"] for case in CASES))
    out.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        logits = compute(model, tokens[: case["n_tokens"]], case)
        golden = record(case, tokens, logits)
        (out / f"{case['name']}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(case["name"], "mean log-probability", sum(golden["log_probabilities"]) / len(golden["log_probabilities"]))


if __name__ == "__main__":
    main()
