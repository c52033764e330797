"""Packed positions: what the model gives for tokens whose positions are 0, 1, 2, ... anew after each eviction."""

import _families as families
import pytest
import reference
import torch

from kvevict.transformers import EvictingCache, prefill
from kvevict.transformers._rotation import learn_rotations


@pytest.mark.parametrize("strategy", ["sink_recent:4:28", "sink_recent_uniform:4:20:16:block=8"])
@pytest.mark.parametrize("slack", [0, 6])
def test_logits_are_those_of_unrotated_keys(llama, ids, strategy, slack):
    parts = reference.parts_of(160, 16, n_single=30)
    cache = EvictingCache(llama, strategy, positions="packed", decode_slack=slack)
    got = reference.run(llama, cache, ids, parts)
    want = reference.packed_llama(llama, ids, reference.held_before(parts, strategy, slack))
    absolute = reference.under_mask(llama, ids, reference.sees(parts, strategy, slack))
    assert (want - absolute).abs().max() > 0.1, "packing must change what the model says"
    assert (got - want).abs().max() < 5e-5


def test_positions_are_the_caches_own_however_arguments_are_given(llama, ids):
    caches = [EvictingCache(llama, "sink_recent:4:28", positions="packed") for _ in range(2)]
    elsewhere = torch.arange(500, 660)[None]
    with torch.no_grad():
        for begin, end in reference.parts_of(160, 16):
            given = (ids[:, begin:end], torch.ones(1, end, dtype=torch.long), elsewhere[:, begin:end])
            by_place = llama.model(*given, caches[0]).last_hidden_state
            by_name = llama.model(ids[:, begin:end], past_key_values=caches[1]).last_hidden_state
            assert torch.equal(by_place, by_name)


def test_a_whole_prompt_then_generate(llama, ids):
    cache = EvictingCache(llama, "sink_recent:4:28", positions="packed", decode_slack=5)
    prefill(llama, ids[:, :-1], cache, chunk=1000)
    with torch.no_grad():
        got = llama.generate(ids, past_key_values=cache, max_new_tokens=15, do_sample=False, eos_token_id=None)
    parts, text = [(0, 159), (159, 160)], ids
    for _ in range(15):
        logits = reference.packed_llama(llama, text, reference.held_before(parts, "sink_recent:4:28", 5))
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
        parts.append((text.shape[1] - 1, text.shape[1]))
    assert got.tolist() == text.tolist()


def test_streaming_llm_is_packed_by_itself(llama):
    assert EvictingCache(llama, "streaming_llm:4:28").positions == "packed"
    assert EvictingCache(llama, "sink_recent:4:28").positions == "absolute"
    with pytest.raises(ValueError, match="is defined by packed positions"):
        EvictingCache(llama, "streaming_llm:4:28", positions="absolute")


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("llama", [("neox", 0, 16, 0)] * 4),
        ("cohere", [("norm", 0, 16, 0)] * 4),
        ("glm4", [("norm", 0, 8, 0)] * 4),
        ("gpt_neox", [("neox", 0, 4, 0)] * 4),
        ("smollm3", [("neox", 0, 16, 0)] * 3 + [None]),
        ("deepseek_v3", [("neox", 0, 8, 1)] * 4),
    ],
)
def test_rotations_are_learned_from_the_model(family, expected):
    found = learn_rotations(families.tiny(family), list(range(4)))
    shapes = [r and (r.pairing, r.first_dim, r.n_rot, r.tensor) for r in found]
    if shapes == [("neox", 16, 8, 0)] * 4:  # before transformers kept the latent of DeepSeek V3: within its keys
        assert family == "deepseek_v3"
    else:
        assert shapes == expected


@pytest.mark.parametrize("rope_type", ["llama3", "yarn", "linear"])
def test_frequencies_are_those_of_the_models_rotary_module(rope_type):
    rope = {"rope_type": rope_type, "rope_theta": 5e5, "factor": 4.0, "original_max_position_embeddings": 256}
    if rope_type == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    model = families.tiny("llama", rope_parameters=rope)
    found = learn_rotations(model, [2])[0]
    want = model.model.rotary_emb.inv_freq
    assert torch.tensor(found.frequencies) == pytest.approx(want.numpy(), rel=1e-4, abs=1e-9)


def test_frequencies_of_a_model_in_bf16_are_good_to_a_window():
    model = families.tiny("llama").bfloat16()
    found = learn_rotations(model, [0])[0]
    want = model.model.rotary_emb.inv_freq.float()  # what this model turns by: rounded to bf16 with its weights
    assert torch.tensor(found.frequencies) == pytest.approx(want.numpy(), abs=2e-5)
