"""One cell with transformers:

    transformers_cell.py FOLDER IDS N_NEW THREADS full|streaming_llm float32|bfloat16 BUDGET SINK
    transformers_cell.py convert MODEL.gguf FOLDER

The second writes the GGUF file's weights as transformers loads them.
"""

import json
import pathlib
import sys

import torch
from meter import Meter
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM


def convert(gguf: pathlib.Path, folder: pathlib.Path) -> None:
    """A model that was loaded from GGUF cannot be saved: its weights go into one that was not."""
    loaded = LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig.from_dict(settings))
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)


def measure(folder: str, ids: list[int], n_new: int, press_name: str, dtype: str, budget: int, sink: int) -> None:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()
    cache = DynamicCache()
    prompt = torch.tensor([ids])
    press = None
    if press_name == "streaming_llm":
        from kvpress import StreamingLLMPress

        press = StreamingLLMPress(compression_ratio=1 - budget / len(ids), n_sink=sink)
    meter = Meter()
    if press is None:
        logits = model(prompt, past_key_values=cache, logits_to_keep=1).logits
    else:
        with press(model):
            logits = model(prompt, past_key_values=cache, logits_to_keep=1).logits
    token = logits[:, -1:].argmax(-1)
    meter.phase("prefill")
    held = cache.get_seq_length()
    for step in range(n_new):
        position = torch.tensor([[len(ids) + step]])  # an evicted cache is shorter than the text
        token = model(token, past_key_values=cache, position_ids=position).logits[:, -1:].argmax(-1)
    meter.phase("decode")
    meter.report(held)


def main() -> None:
    if sys.argv[1] == "convert":
        convert(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
        return
    folder, ids, n_new, threads, press_name, dtype, budget, sink = sys.argv[1:]
    torch.set_num_threads(int(threads))
    tokens = json.loads(pathlib.Path(ids).read_text())
    with torch.inference_mode():
        measure(folder, tokens, int(n_new), press_name, dtype, int(budget), int(sink))


if __name__ == "__main__":
    main()
