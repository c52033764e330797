"""One cell: a prompt and some tokens behind it, with one kind of cache.

    cell.py FOLDER IDS.json LENGTH N_NEW THREADS KIND SINK RECENT SLACK
    KIND: dynamic, dynamic_chunked, kvpress, evicting, evicting_chunked

Prints wall and processor seconds of both phases and the memory at the peak, as bench/side_by_side does.
"""

from __future__ import annotations

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, DynamicCache

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "side_by_side"))
from meter import Meter

CHUNK = 512


def main() -> None:
    folder, ids_file, *numbers, kind, sink, recent, slack = sys.argv[1:]
    length, n_new, threads = map(int, numbers)
    torch.set_num_threads(threads)
    ids = torch.tensor([json.loads(pathlib.Path(ids_file).read_text())[:length]])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    cache = DynamicCache()
    if kind.startswith("evicting"):
        from kvevict.transformers import EvictingCache

        cache = EvictingCache(model, f"sink_recent:{sink}:{recent}", decode_slack=int(slack))
    press = None
    if kind == "kvpress":
        from kvpress import StreamingLLMPress

        press = StreamingLLMPress(compression_ratio=1 - (int(sink) + int(recent)) / length, n_sink=int(sink))
    chunk = CHUNK if kind.endswith("chunked") else length
    meter = Meter()
    with torch.no_grad():
        for part in ids.split(chunk, dim=1):
            if press is None:
                logits = model(part, past_key_values=cache, logits_to_keep=1).logits
            else:
                with press(model):
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
