"""What an EvictingCache would be wrong for is refused, by a sentence."""

import _families as families
import pytest
import torch
from transformers import AutoModelForCausalLM, MptConfig, cache_utils

from kvevict.transformers import EvictingCache, evict_dynamic_cache_inplace, prefill

STRATEGY = "sink_recent:4:28"


def test_left_padding(llama, ids):
    mask = torch.ones(2, 160, dtype=torch.long)
    mask[1, :3] = 0
    cache = EvictingCache(llama, STRATEGY)
    with pytest.raises(ValueError, match="attention_mask has a 0 for token 0 of sequence 1"):
        llama(ids.repeat(2, 1), attention_mask=mask, past_key_values=cache)
    with pytest.raises(ValueError, match="takes no padding"):
        llama.generate(ids.repeat(2, 1), attention_mask=mask, past_key_values=cache, max_new_tokens=2)
    with pytest.raises(ValueError, match="takes no padding"):
        llama.model(ids.repeat(2, 1), mask, None, cache)  # by their places


def test_a_transformers_whose_caches_count_otherwise(llama, monkeypatch):
    def get_mask_sizes(self, cache_position):
        raise AssertionError

    monkeypatch.setattr(cache_utils.DynamicLayer, "get_mask_sizes", get_mask_sizes)
    with pytest.raises(ValueError, match=r"5\.4 or newer is needed"):
        EvictingCache(llama, STRATEGY)
    with pytest.raises(ValueError, match=r"5\.4 or newer is needed"):
        evict_dynamic_cache_inplace(cache_utils.DynamicCache(), [0])


@pytest.mark.parametrize("family", ["bloom", "mpt", "falcon"])
def test_alibi(family):
    if family == "mpt":
        model = AutoModelForCausalLM.from_config(MptConfig(d_model=64, n_heads=4, n_layers=2, vocab_size=256))
    elif family == "bloom":
        model = families.tiny("bloom", head_dim=families.ABSENT, n_layer=2, n_head=4)
    else:
        model = families.tiny("falcon", alibi=True, new_decoder_architecture=False)
    with pytest.raises(ValueError, match="has ALiBi, whose biases count the rows of the cache"):
        EvictingCache(model, STRATEGY)


@pytest.mark.skipif(
    not hasattr(cache_utils, "LinearAttentionLayer"), reason="states had caches of their own in this transformers"
)
def test_a_model_without_attention():
    model = families.tiny("mamba", head_dim=families.ABSENT)
    with pytest.raises(ValueError, match=r"has no attention layers.*Its memory is fixed already"):
        EvictingCache(model, STRATEGY)


@pytest.mark.skipif(
    "indexed_attention" not in getattr(cache_utils, "DYNAMIC_LAYER_TYPE_MAPPING", {}),
    reason="this transformers has no such layers",
)
def test_layers_that_index_their_keys():
    model = families.tiny("llama")
    model.config.layer_types = ["full_attention", "indexed_attention"] * 2
    with pytest.raises(ValueError, match="has a DynamicIndexedLayer in its cache"):
        EvictingCache(model, STRATEGY)


@pytest.mark.parametrize("kind", ["static", "quantized"])
def test_a_cache_of_another_kind_beside_it(llama, ids, kind):
    cache = EvictingCache(llama, STRATEGY)
    with pytest.raises(ValueError, match="cache_implementation"):
        llama.generate(ids, past_key_values=cache, cache_implementation=kind, max_new_tokens=2)


@pytest.mark.parametrize("rope_type", ["dynamic", "longrope"])
def test_packed_positions_with_frequencies_that_change(rope_type):
    rope = {"rope_type": rope_type, "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 2048}
    if rope_type == "longrope":
        rope |= {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
    model = families.tiny("llama", rope_parameters=rope)
    with pytest.raises(ValueError, match=rf"rope type '{rope_type}'.*frequencies change with the length"):
        EvictingCache(model, STRATEGY, positions="packed")
    EvictingCache(model, STRATEGY, positions="absolute")


def test_packed_positions_with_learned_positions():
    with pytest.raises(ValueError, match="does not rotate its keys by position alone"):
        EvictingCache(families.tiny("gpt2"), STRATEGY, positions="packed")


def test_packed_positions_with_sliding_windows():
    with pytest.raises(ValueError, match=r"its layers \[0, 2\] have a sliding window"):
        EvictingCache(families.tiny("gemma3_text"), STRATEGY, positions="packed")


def test_packed_positions_with_a_model_that_was_not_told(llama, ids):
    cache = EvictingCache(llama, STRATEGY, positions="packed")
    other = families.tiny("llama")
    with pytest.raises(RuntimeError, match=r"call cache.attach\(model\) once"):
        prefill(other, ids, cache)
    cache.reset()
    cache.attach(other)
    assert prefill(other, ids, cache) is not None


def test_gradients(llama, ids):
    logits = llama(ids, past_key_values=EvictingCache(llama, STRATEGY)).logits
    with pytest.raises(RuntimeError, match="gradients do not pass through an EvictingCache"):
        logits.sum().backward()


def test_assisted_decoding(llama, ids):
    cache = EvictingCache(llama, STRATEGY)
    with pytest.raises(ValueError, match=r"[Aa]ssisted"):
        llama.generate(ids[:, :20].repeat(1, 6), past_key_values=cache, prompt_lookup_num_tokens=3, max_new_tokens=8)
    with pytest.raises(ValueError, match="cannot be cut back"):
        cache.layers[0].crop(-2)


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ("sink_recent_uniform:4:20:stride=2", "bound"),
        ("snapkv", "attention"),
        ("sink_recant", "sink_recant"),
    ],
)
def test_strategies_that_a_stream_cannot_follow(llama, strategy, sentence):
    with pytest.raises(ValueError, match=sentence):
        EvictingCache(llama, strategy)


def test_arguments_out_of_their_range(llama, ids):
    with pytest.raises(ValueError, match="decode_slack is -1: a number of tokens from 0 on"):
        EvictingCache(llama, STRATEGY, decode_slack=-1)
    with pytest.raises(ValueError, match="positions is 'relative'"):
        EvictingCache(llama, STRATEGY, positions="relative")
    cache = EvictingCache(llama, STRATEGY)
    with pytest.raises(ValueError, match="chunk is 0"):
        prefill(llama, ids, cache, chunk=0)
    with pytest.raises(ValueError, match=r"ids has the shape \[160\]"):
        prefill(llama, ids[0], cache)
    prefill(llama, ids, cache)
    with pytest.raises(ValueError, match="the cache has seen 160 tokens, and ids has 10"):
        prefill(llama, ids[:, :10], cache)
