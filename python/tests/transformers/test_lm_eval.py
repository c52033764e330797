"""The evaluation harness over an EvictingCache: its log-likelihoods are those under the explicit mask."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import reference
import torch
from transformers import PreTrainedTokenizerFast

pytest.importorskip("lm_eval")
tokenizers = pytest.importorskip("tokenizers")

from kvevict.lm_eval import EvictingLM  # noqa: E402

STRATEGY = "sink_recent:4:12"
WORDS = [f"w{i}" for i in range(250)]


@pytest.fixture(scope="module")
def tokenizer():
    words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def text_of(n, seed):
    numbers = torch.randint(0, 250, (n,), generator=torch.Generator().manual_seed(seed))
    return " ".join(WORDS[i] for i in numbers)


def expected(model, tokenizer, context, continuation, strategy, chunk):
    before = tokenizer(context, add_special_tokens=False)["input_ids"]
    n_context = len(before)
    both = tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([before + both[n_context:]])  # as the harness puts them together
    n = ids.shape[1] - 1
    mask = reference.sees(reference.parts_of(n, chunk), strategy, slack=64)
    logits = reference.under_mask(model, ids[:, :-1], mask)[0].log_softmax(-1)
    return float(logits[n_context - 1 :].gather(-1, ids[0, n_context:, None]).sum())


def test_log_likelihoods_are_those_under_the_explicit_mask(llama, tokenizer):
    from lm_eval.api.instance import Instance

    lm = EvictingLM(pretrained=llama, tokenizer=tokenizer, strategy=STRATEGY, chunk=16, batch_size=2)
    pairs = [(text_of(60, 1), " " + text_of(9, 2)), (text_of(43, 3), " " + text_of(4, 4))]
    got = lm.loglikelihood([Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)])
    for pair, (found, _) in zip(pairs, got, strict=True):
        assert found == pytest.approx(expected(llama, tokenizer, *pair, STRATEGY, 16), abs=1e-3)
        assert abs(found - expected(llama, tokenizer, *pair, "sink_recent:4:1000", 16)) > 0.1


def test_a_strategy_that_cannot_be_is_refused_before_anything_runs(llama, tokenizer):
    with pytest.raises(ValueError, match="chooses by attention or keys"):
        EvictingLM(pretrained=llama, tokenizer=tokenizer, strategy="snapkv")
    with pytest.raises(ValueError, match="chunk is 0"):
        EvictingLM(pretrained=llama, tokenizer=tokenizer, strategy=STRATEGY, chunk=0)


@pytest.mark.slow
def test_the_command_runs_a_task_of_local_data(llama, tokenizer, tmp_path):
    llama.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    context, continuation = text_of(60, 1), text_of(9, 2)
    (tmp_path / "data.jsonl").write_text(json.dumps({"text": context, "next": continuation}) + "\n")
    (tmp_path / "words.yaml").write_text(
        f"""task: words
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path / "data.jsonl"}}}}}
output_type: loglikelihood
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{next}}}}"
metric_list: [{{metric: perplexity}}]
"""
    )
    arguments = f"pretrained={tmp_path / 'model'},strategy={STRATEGY},chunk=16,dtype=float32"
    done = subprocess.run(
        [sys.executable, "-m", "kvevict.lm_eval", "--model", "kvevict", "--model_args", arguments, "--device", "cpu",
         "--tasks", "words", "--include_path", str(tmp_path), "--output_path", str(tmp_path / "out"), "--log_samples"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    sample = json.loads(next((tmp_path / "out").rglob("samples_words_*.jsonl")).read_text())
    pair = [sample["arguments"]["gen_args_0"][name] for name in ("arg_0", "arg_1")]
    want = expected(llama, tokenizer, *pair, STRATEGY, 16)
    assert float(sample["resps"][0][0][0]) == pytest.approx(want, abs=1e-3)
