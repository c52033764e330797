"""One cell with OpenVINO GenAI: `openvino_cell.py MODEL.gguf IDS N_NEW THREADS full|evict BUDGET SINK RECENT`."""

import json
import pathlib
import sys

import numpy as np
import openvino as ov
import openvino_genai as genai
from meter import Meter


def scheduler(evict: bool, budget: int, sink: int, recent: int) -> genai.SchedulerConfig:
    settings = genai.SchedulerConfig()
    settings.enable_prefix_caching = False
    settings.use_cache_eviction = evict
    if evict:
        settings.cache_eviction_config = genai.CacheEvictionConfig(
            start_size=sink,
            recent_size=recent,
            max_cache_size=budget,
            aggregation_mode=genai.AggregationMode.NORM_SUM,
        )
    return settings


def main() -> None:
    model, ids_file, n_new, threads, mode, budget, sink, recent = sys.argv[1:]
    settings = scheduler(mode == "evict", int(budget), int(sink), int(recent))
    pipe = genai.LLMPipeline(model, "CPU", scheduler_config=settings, INFERENCE_NUM_THREADS=int(threads))
    ids = np.array([json.loads(pathlib.Path(ids_file).read_text())], dtype=np.int64)
    prompt = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
    config = genai.GenerationConfig(max_new_tokens=int(n_new) + 1, ignore_eos=True, do_sample=False)
    config.apply_chat_template = False

    class FirstToken(genai.StreamerBase):  # type: ignore[misc]  # it has no types
        """The prefill ends when the first token is there."""

        def __init__(self, meter: Meter) -> None:
            super().__init__()
            self.meter, self.n = meter, 0

        def write(self, token: int | list[int]) -> genai.StreamingStatus:
            if self.n == 0:
                self.meter.phase("prefill")
            self.n += 1 if isinstance(token, int) else len(token)
            return genai.StreamingStatus.RUNNING

        def end(self) -> None:
            pass

    meter = Meter()
    streamer = FirstToken(meter)
    pipe.generate(prompt, config, streamer)
    meter.phase("decode")
    if streamer.n != int(n_new) + 1:
        sys.exit(f"{streamer.n} tokens came, not {int(n_new) + 1}")
    meter.report(None)


if __name__ == "__main__":
    main()
