"""The C++ engine and transformers with an EvictingCache: the same weights, text, kept sets and logits, in f32.

Slow. Needs the default model (``.deps/models``) and, for the program itself, ``build/release/bin/kvevict`` with the
model that its tests make. ``KVEVICT_ROOT`` names the checkout that has them, if it is another.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kvevict.transformers import EvictingCache

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[3]
ROOT = Path(os.environ.get("KVEVICT_ROOT", REPOSITORY))
GOLDEN = REPOSITORY / "tests" / "data" / "parity"


def load(pattern: str):
    pytest.importorskip("gguf")
    found = sorted(ROOT.glob(pattern))
    if not found:
        pytest.skip(f"there is no {pattern} in {ROOT}")
    folder, name = str(found[0].parent), found[0].name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder, gguf_file=name), found[0]


@pytest.fixture(scope="module")
def default_model():
    return load(".deps/models/*Q8_0.gguf")


@pytest.fixture(scope="module")
def shallow_model():
    return load("build/release/tests/work/*Q8_0-shallow-f32.gguf")


@torch.no_grad()
def logits_in_chunks(model, cache, tokens, chunk):
    return torch.cat([model(part, past_key_values=cache).logits[0] for part in torch.tensor([tokens]).split(chunk, 1)])


@pytest.mark.parametrize(
    "name",
    [
        "bounded_absolute_sink_recent",
        "bounded_absolute_uniform",
        "bounded_packed_sink_recent",
        "bounded_packed_uniform",
    ],
)
def test_logits_are_those_that_the_engine_is_held_to(default_model, name):
    """The records of tests/data/parity, which tests/engine/parity_test.cc holds the engine to within 6.6e-4."""
    model, _, _ = default_model
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    cache = EvictingCache(model, golden["strategy"], positions=golden["positions"], decode_slack=0)
    logits = logits_in_chunks(model, cache, golden["tokens"], golden["chunk"])
    rows = logits[golden["rows"], :: golden["every"]]
    assert (rows - torch.tensor(golden["logits"])).abs().max() < 6.6e-4
    chosen = logits[:-1].double().log_softmax(-1).gather(-1, torch.tensor(golden["tokens"])[1:, None]).flatten()
    assert (chosen - torch.tensor(golden["log_probabilities"])).abs().max() < 6.6e-4


def program(*arguments: str) -> str:
    binary = ROOT / "build" / "release" / "bin" / "kvevict"
    if not binary.exists():
        pytest.skip(f"there is no {binary}")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("positions", ["absolute", "packed"])
@pytest.mark.parametrize("strategy", ["sink_recent:4:60", "sink_recent_uniform:16:64:64:block=16", "ladder:4:28:32"])
def test_the_program_gives_each_token_the_same_probability(shallow_model, tmp_path, strategy, positions):
    model, tokenizer, path = shallow_model
    text = json.loads((REPOSITORY / "data" / "demo" / "narrativeqa.jsonl").read_text().splitlines()[0])["context"][
        :3000
    ]
    (tmp_path / "text.txt").write_text(text)
    program(
        "perplexity", str(tmp_path / "text.txt"), "--model", str(path), "--strategy", strategy, "--chunk", "48",
        "--window", "1", "--kv_type", "f32", "--positions", positions, "--flash_attention", "off",
        "--output", str(tmp_path / "out.json"),
    )  # fmt: skip
    windows = json.loads((tmp_path / "out.json").read_text())["runs"][0]["windows"]
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert windows[-1]["tokens_seen"] == len(tokens)
    cache = EvictingCache(model, strategy, positions=positions, decode_slack=0)
    logits = logits_in_chunks(model, cache, tokens, 48)
    chosen = logits[:-1].double().log_softmax(-1).gather(-1, torch.tensor(tokens)[1:, None]).flatten()
    ours = {i + 2: float(p) for i, p in enumerate(chosen)}
    theirs = torch.tensor([w["perplexity"] for w in windows], dtype=torch.float64).log().neg()
    expected = torch.tensor([ours[w["tokens_seen"]] for w in windows], dtype=torch.float64)
    assert len(windows) > 400
    assert (theirs - expected).abs().max() < 1e-3


@pytest.mark.parametrize("strategy", ["sink_recent:4:60", "sink_recent_uniform:16:64:64:block=16", "ladder:4:28:32"])
def test_the_program_keeps_the_same_tokens(shallow_model, strategy):
    model, _, _ = shallow_model
    cache = EvictingCache(model, strategy, decode_slack=0)
    ids = torch.arange(3, 3 + 500)[None]
    for begin in range(0, 500, 48):
        with torch.no_grad():
            model(ids[:, begin : begin + 48], past_key_values=cache)
        seen = min(begin + 48, 500)
        arguments = ("--prefill", "bounded", "--chunk", "48", "--n_layers", "4", "--json")
        said = json.loads(program("plan", "--strategy", strategy, "--total_len", str(seen), *arguments))
        for layer in range(4):
            ranges = said["layers"][layer] if "layers" in said else said["ranges"]
            kept = {i for b, e in ranges for i in range(b, e)}
            held = cache.layers[layer].n_held_before(48)
            assert kept <= set(cache.kept(layer).tolist())
            assert len(kept) == held
