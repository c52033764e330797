"""One cell: a prompt and some tokens behind it, with one kind of cache.

    cell.py FOLDER IDS.json LENGTH N_NEW THREADS KIND SINK RECENT SLACK
    KIND: dynamic, dynamic_chunked, kvpress, evicting, evicting_chunked

Prints wall and processor seconds of both phases and the memory at the peak, as bench/side_by_side does. A few tokens go
through the model first: what libraries set up at their first call is in none of the numbers.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
from typing import Any

import torch
from process import give_memory_back, run_on
from transformers import AutoModelForCausalLM, DynamicCache

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "side_by_side"))
from meter import Meter

CHUNK = 512


def cache_of(kind: str, model: Any, sink: int, recent: int, slack: int) -> Any:
    if not kind.startswith("evicting"):
        return DynamicCache()
    from kvevict.transformers import EvictingCache

    return EvictingCache(model, f"sink_recent:{sink}:{recent}", decode_slack=slack)


def pressed(kind: str, model: Any, sink: int, recent: int, length: int) -> Any:
    """Within it, kvpress evicts at the end of a prefill; nothing is different for the other kinds."""
    if kind != "kvpress":
        return contextlib.nullcontext()
    from kvpress import StreamingLLMPress

    return StreamingLLMPress(compression_ratio=1 - (sink + recent) / length, n_sink=sink)(model)


def warm_up(model: Any, ids: torch.Tensor) -> None:
    cache = DynamicCache()
    model(ids[:, :16], past_key_values=cache, logits_to_keep=1)
    model(ids[:, 16:17], past_key_values=cache)


def main() -> None:
    folder, ids_file, *numbers, kind, sink, recent, slack = sys.argv[1:]
    length, n_new, threads = map(int, numbers)
    run_on(threads)
    ids = torch.tensor([json.loads(pathlib.Path(ids_file).read_text())[:length]])
    if ids.shape[1] != length:
        sys.exit(f"{ids_file} has {ids.shape[1]} tokens: {length} are needed")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    chunk = CHUNK if kind.endswith("chunked") else length
    with torch.no_grad():
        warm_up(model, ids)
        cache = cache_of(kind, model, int(sink), int(recent), int(slack))
        press = pressed(kind, model, int(sink), int(recent), length)
        give_memory_back()
        meter = Meter()
        with press:
            for part in ids.split(chunk, dim=1):
                logits = model(part, past_key_values=cache, logits_to_keep=1).logits
        token = logits[:, -1:].argmax(-1)
        meter.phase("prefill")
        held = cache.layers[0].keys.shape[-2]
        for step in range(n_new):
            position = torch.tensor([[length + step]])  # a pressed cache is shorter than the text
            token = model(token, past_key_values=cache, position_ids=position).logits[:, -1:].argmax(-1)
        meter.phase("decode")
    meter.report(held)


if __name__ == "__main__":
    main()
