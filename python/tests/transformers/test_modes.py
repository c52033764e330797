"""Modes of torch, and what `generate` and users do with a cache as a whole."""

import copy
import io

import pytest
import torch

from kvevict.transformers import EvictingCache, prefill

STRATEGY = "sink_recent:4:28"


def go_on(model, ids, cache, n=12, **kwargs):
    with torch.no_grad():
        return model.generate(ids, past_key_values=cache, max_new_tokens=n, eos_token_id=None, **kwargs).tolist()


def test_a_prefill_in_inference_mode_goes_on_without(llama, ids):
    answers = []
    for mode in (torch.inference_mode, torch.no_grad):
        cache = EvictingCache(llama, STRATEGY)
        with mode():
            llama(ids[:, :-1], past_key_values=cache)
        answers.append(go_on(llama, ids, cache, do_sample=False))
    assert answers[0] == answers[1]


def test_recorded_gradients_do_not_grow_with_the_text(llama, ids):
    cache = EvictingCache(llama, STRATEGY)
    for i in range(0, 160, 16):
        logits = llama(ids[:, i : i + 16], past_key_values=cache).logits
    assert logits.requires_grad
    assert not any(layer.keys.requires_grad or layer.keys.grad_fn for layer in cache.layers)
    other = EvictingCache(llama, STRATEGY)
    assert (logits[:, -1:] - prefill(llama, ids, other, chunk=16).logits).abs().max() < 5e-5


@pytest.mark.parametrize("strategy", [STRATEGY, "ladder:4:12:16", "streaming_llm:4:28"])
def test_a_copy_goes_on_by_itself(llama, ids, strategy):
    cache = EvictingCache(llama, strategy)
    prefill(llama, ids[:, :100], cache, chunk=16)
    saved = copy.deepcopy(cache)
    once = go_on(llama, ids, cache, do_sample=False)
    assert saved.seen == 100
    assert go_on(llama, ids, saved, do_sample=False) == once
    assert saved.kept(1).tolist() == cache.kept(1).tolist()


@pytest.mark.parametrize("strategy", [STRATEGY, "ladder:4:12:16", "streaming_llm:4:28"])
def test_a_saved_cache_goes_on_when_it_is_loaded(llama, ids, strategy):
    cache = EvictingCache(llama, strategy)
    prefill(llama, ids[:, :100], cache, chunk=16)
    file = io.BytesIO()
    torch.save(cache, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert loaded.kept(1).tolist() == cache.kept(1).tolist()
    assert go_on(llama, ids, loaded, do_sample=False) == go_on(llama, ids, cache, do_sample=False)


def test_beams_are_those_of_a_cache_that_was_reordered(llama, ids):
    """Each beam's tokens have the log-probability that the sequence alone has with a cache of its own."""
    cache = EvictingCache(llama, STRATEGY, decode_slack=2)
    with torch.no_grad():
        found = llama.generate(
            ids, past_key_values=cache, num_beams=3, num_return_sequences=3, max_new_tokens=8, do_sample=False,
            eos_token_id=None, length_penalty=0.0, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
    assert found.sequences.shape == (3, 168)
    for text, score in zip(found.sequences, found.sequences_scores, strict=True):
        alone = EvictingCache(llama, STRATEGY, decode_slack=2)
        with torch.no_grad():
            logits = [llama(text[None, :160], past_key_values=alone).logits[:, -1:]]
            logits += [llama(text[None, i : i + 1], past_key_values=alone).logits for i in range(160, 167)]
        chosen = torch.cat(logits, 1).log_softmax(-1)[0].gather(-1, text[160:, None])
        assert float(chosen.sum()) == pytest.approx(float(score), abs=1e-3)


def test_several_sequences_of_one_prompt(llama, ids):
    expected = go_on(llama, ids, EvictingCache(llama, STRATEGY), do_sample=False)
    sampled = go_on(llama, ids, EvictingCache(llama, STRATEGY), num_return_sequences=3, do_sample=True, top_k=1)
    assert sampled == expected * 3


def test_a_batch_of_prompts_of_one_length(llama, ids):
    both = torch.cat([ids, ids.flip(1)])
    got = go_on(llama, both, EvictingCache(llama, STRATEGY), do_sample=False)
    alone = [go_on(llama, both[i : i + 1], EvictingCache(llama, STRATEGY), do_sample=False)[0] for i in (0, 1)]
    assert got == alone


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["absolute", "packed"])
def test_a_compiled_forward_gives_the_same(llama, ids, positions):
    torch._dynamo.reset()
    compiled = torch.compile(llama.forward, dynamic=True, backend="eager")
    cache, plain = (EvictingCache(llama, STRATEGY, positions=positions, decode_slack=2) for _ in range(2))
    with torch.no_grad():
        for begin, end in [(0, 40), (40, 90), (90, 140), *((i, i + 1) for i in range(140, 150))]:
            got = compiled(ids[:, begin:end], past_key_values=cache).logits
            want = llama(ids[:, begin:end], past_key_values=plain).logits
            assert (got - want).abs().max() < 5e-5
    assert cache.kept(0).tolist() == plain.kept(0).tolist()
