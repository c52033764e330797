#!/usr/bin/env python3
r"""Answers LongBench questions with a transformers model under a KV budget, and scores the answers.

    python run_longbench_example.py --demo_mode
    python run_longbench_example.py --model meta-llama/Meta-Llama-3-8B-Instruct --strategy sink_recent \
        --sink_tokens 256 --recent_tokens 1024 --dataset narrativeqa --num_examples 10 \
        --output results/sr_narrativeqa.json

The file that it writes is one that ``kvevict compare`` and `kvevict.results.read` read. Scores are the program's
(``kvevict score``). Data: LongBench's JSONL, or parquet files, in ``--data_dir``.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import _program
import _strategy
import torch
import transformers

import kvevict
from kvevict.transformers import EvictingCache, prefill

DATA = _program.REPOSITORY / "data"
WITHOUT_TEMPLATE = ("trec", "triviaqa", "samsum", "lsht", "lcc", "repobench-p")  # LongBench's rule
DEMO = {"dataset": "multifieldqa_en", "num_examples": 2, "sink_tokens": 64, "recent_tokens": 256}


def load_model(name: str) -> tuple[Any, Any]:
    """A model by its name or folder, or from a GGUF file, with its tokenizer."""
    path = Path(name)
    source = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = str(path.parent) if source else name
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **source)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), transformers.AutoTokenizer.from_pretrained(
        folder, **source
    )


def default_model() -> str:
    """The model that scripts/setup.sh has made."""
    models = Path(os.environ.get("KVEVICT_DEPS", _program.REPOSITORY / ".deps")) / "models"
    found = sorted(models.glob("SmolLM2-135M-Instruct*.gguf"))
    if not found:
        raise SystemExit(f"the demo mode's model is not in {models}: run scripts/setup.sh, or give --model")
    return str(found[0])


def examples_of(folder: Path, dataset: str, n: int | None) -> list[dict[str, Any]]:
    """The first ``n`` examples of a data set: ``<dataset>.jsonl``, or parquet files, also in a folder of that name."""
    lines = folder / f"{dataset}.jsonl"
    if lines.exists():
        rows = [json.loads(line) for line in lines.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    else:
        names = (f"{dataset}.parquet", f"{dataset}-*.parquet", f"{dataset}/*.parquet")  # and not those of hotpotqa_e
        files = sorted(file for name in names for file in folder.glob(name))
        if not files:
            wanted = ", ".join((lines.name, *names))
            raise SystemExit(f"{folder} has none of {wanted}: LongBench's data is needed")
        import datasets

        rows = list(datasets.load_dataset("parquet", data_files=[str(f) for f in files], split="train"))
    return rows[:n]


def prompt_of(
    tokenizer: Any, dataset: str, example: dict[str, Any], longest: int
) -> tuple[torch.Tensor, str, int, bool]:
    """Tokens ``[1, n]``, the prompt, tokens before the cut, and whether the chat template was applied.

    A prompt that is too long loses its middle, as in LongBench.
    """
    templates = json.loads((DATA / "longbench" / "dataset2prompt.json").read_text())
    if dataset not in templates:
        raise SystemExit(
            f"{dataset} has no prompt in data/longbench/dataset2prompt.json: one of {', '.join(templates)}"
        )
    text = templates[dataset].format(context=example["context"], input=example["input"])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) > longest:
        half = longest // 2
        text = tokenizer.decode(ids[:half]) + tokenizer.decode(ids[-half:])
    uses_template = dataset.removesuffix("_e") not in WITHOUT_TEMPLATE and tokenizer.chat_template is not None
    if uses_template:
        message = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    tokens = tokenizer(text, add_special_tokens=not uses_template, return_tensors="pt")["input_ids"]
    return tokens, text, len(ids), uses_template


def answer(
    model: Any, tokenizer: Any, cache: EvictingCache, ids: torch.Tensor, n_new: int, chunk: int
) -> dict[str, Any]:
    """The answer and what it took, under the keys of a results file."""
    begun = time.perf_counter()
    prefill(model, ids[:, :-1], cache, chunk=chunk)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    with torch.no_grad():
        out = model.generate(
            ids, cache=cache, max_new_tokens=n_new, do_sample=False, pad_token_id=tokenizer.eos_token_id
        )
    decoding = time.perf_counter() - begun
    new = out[0, ids.shape[1] :]
    report = cache.report()
    return {
        "generated_tokens": len(new),
        "kv_bytes_peak": report.bytes_allocated,
        "kv_bytes_after_eviction": report.bytes_allocated,
        "seconds": {"prefill": seconds, "eviction": 0.0, "decode": decoding, "shared": False},
        "sharing_strategies": 1,
        "reused_tokens": 0,
        "prefill_tokens_per_second": ids.shape[1] / seconds,
        "decode_tokens_per_second": len(new) / decoding,
        "prediction": tokenizer.decode(new, skip_special_tokens=True).strip(),
    }


def score(dataset: str, examples: list[dict[str, Any]]) -> None:
    """Adds the official scores, as the program computes them."""
    keys = ("prediction", "answers", "all_classes")
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / f"{dataset}.jsonl"
        predictions.write_text(
            "".join(json.dumps({"dataset": dataset, **{k: e[k] for k in keys}}) + "\n" for e in examples)
        )
        scored = Path(folder) / "scores.jsonl"
        _program.run("score", "--input", str(predictions), "--output", str(scored))
        for example, line in zip(examples, scored.read_text().splitlines(), strict=True):
            example["score"] = json.loads(line)["score"]


def run_of(flags: argparse.Namespace, policy: kvevict.Policy, model: Any, seconds: float, begun: str) -> dict[str, Any]:
    """What the results file says of the run."""
    bytes_of_weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return {
        "name": policy.strategy,
        "strategy": {"name": policy.name, "policy": policy.versioned_name, "values": policy.result_values},
        "configuration": {
            "engine": "transformers", "prefill": "bounded", "chunk": str(flags.chunk), "positions": flags.positions,
            "dtype": str(model.dtype).removeprefix("torch."), "max_length": str(flags.max_length), "question": "before",
        },
        "model": {
            "name": type(model).__name__, "file": Path(flags.model).name, "bytes": bytes_of_weights,
            "sha256": hashlib.sha256(flags.model.encode()).hexdigest(), "architecture": model.config.model_type,
            "description": flags.model,
        },
        "versions": {
            "kvevict": kvevict.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
        },
        "machine": {"processors": str(os.cpu_count()), "system": platform.platform()},
        "started_utc": begun,
        "seconds_total": seconds,
        "status": "complete",
    }  # fmt: skip


def cache_of(model: Any, policy: kvevict.Policy, positions: str) -> EvictingCache:
    """A cache for one answer; ends the program with the library's sentence if there can be none."""
    try:
        return EvictingCache(model, policy, positions=positions)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def ranges_of(plan: kvevict.Plan) -> Any:
    """The kept ranges as a results file has them."""
    return {"layers": [plan.layer(i) for i in range(plan.n_layers)]} if plan.is_per_layer else plan.ranges


def main() -> None:
    """Answers, scores, writes."""
    flags = parsed()
    torch.manual_seed(1)
    policy = _strategy.policy_of(flags)
    flags.positions = flags.positions or policy.required_positions or "absolute"
    begun_at, begun = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), time.perf_counter()
    model, tokenizer = load_model(flags.model)
    n_new = flags.max_new_tokens or json.loads((DATA / "longbench" / "dataset2maxlen.json").read_text())[flags.dataset]
    done, prompts = [], {}
    rows = examples_of(Path(flags.data_dir), flags.dataset, flags.num_examples)
    for number, row in enumerate(rows):
        ids, text, n_before, uses_template = prompt_of(tokenizer, flags.dataset, row, flags.max_length)
        cache = cache_of(model, policy, flags.positions)
        found = answer(model, tokenizer, cache, ids.to(model.device), n_new, flags.chunk)
        kept = policy.plan(ids.shape[1], schedule="streaming", n_layers=len(cache.layers))
        digest = hashlib.sha256(text.encode()).hexdigest()
        prompts[digest] = text
        done.append({
            "id": str(row.get("_id", number)), "length": int(row.get("length") or 0), "prompt_tokens": ids.shape[1],
            "prompt_tokens_before_cut": n_before, "truncated": n_before > flags.max_length,
            "chat_template": uses_template,
            "kept_tokens": kept.n_kept, "evicted_tokens": ids.shape[1] - kept.n_kept, **found,
            "kept_ranges": ranges_of(kept),
            "prompt_sha256": digest, "answers": list(row["answers"]), "all_classes": row.get("all_classes"),
        })  # fmt: skip
        print(f"{number + 1}/{len(rows)} {cache.report()}\n    {found['prediction'][:100]!r}")
    score(flags.dataset, done)
    mean = round(100 * sum(e["score"] for e in done) / len(done), 2)
    run = run_of(flags, policy, model, time.perf_counter() - begun, begun_at)
    data = {"dataset": flags.dataset, "sha256": hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()}
    results = {
        "schema": "kvevict-results/1",
        "runs": [{"run": run, "datasets": [{"name": flags.dataset, "score": mean, "examples": done}]}],
        "data": [{**data, "ids": [e["id"] for e in done]}],
        "prompts": prompts,
    }
    output = Path(flags.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    print(f"{flags.dataset}: {mean} with {policy.strategy} over {len(done)} examples, in {output}")


def parsed() -> argparse.Namespace:
    """The flags, with what the demo mode sets where nothing else was said."""
    parser = argparse.ArgumentParser(description="LongBench with a transformers model under a KV budget")
    parser.add_argument("--demo_mode", action="store_true", help="the default model, 2 examples, a small budget")
    parser.add_argument("--model", help="a model's name or folder, or a GGUF file")
    _strategy.add_flags(parser, "sink_recent", recent=1024, budget=512)
    parser.add_argument("--dataset", help="LongBench's name of the data set")
    parser.add_argument("--data_dir", default=str(DATA / "demo"), help="folder of <dataset>.jsonl or parquet files")
    parser.add_argument("--num_examples", type=int, help="examples (all)")
    parser.add_argument("--max_new_tokens", type=int, help="answer tokens (LongBench's number)")
    parser.add_argument(
        "--max_length", type=int, default=7500, help="longest prompt in tokens; longer ones lose their middle"
    )
    parser.add_argument("--positions", choices=["absolute", "packed"], help="what the strategy is defined by")
    parser.add_argument("--chunk", type=int, default=512, help="tokens of the prompt that go in at once")
    parser.add_argument("--output", default="results/longbench_example.json", help="results file")
    demo, _ = parser.parse_known_args()
    parser.set_defaults(**(DEMO if demo.demo_mode else {}), model=default_model() if demo.demo_mode else None)
    flags = parser.parse_args()
    for name in ("model", "dataset"):
        if getattr(flags, name) is None:
            parser.error(f"--{name} is needed, or --demo_mode")
    return flags


if __name__ == "__main__":
    main()
