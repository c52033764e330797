"""Chunks, turns and `generate` with an EvictingCache, held against explicit masks."""

import pytest
import reference
import torch

import kvevict
from kvevict.transformers import EvictingCache, prefill

STRATEGY = "sink_recent:4:28"
PREFIX = (
    "cache"
    if "cache" in reference.inspect.signature(__import__("transformers").LlamaForCausalLM.forward).parameters
    else "past_key_values"
)


def generate(model, ids, cache, n, **kwargs):
    with torch.no_grad():
        return model.generate(ids, **{PREFIX: cache}, max_new_tokens=n, do_sample=False, eos_token_id=None, **kwargs)


def greedy(model, ids, parts, n, strategy, slack):
    """Tokens that the mask's logits choose, and the parts that they were computed in."""
    for _ in range(n):
        logits = reference.under_mask(model, ids, reference.sees(parts, strategy, slack))[:, -1]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        parts = [*parts, (ids.shape[1] - 1, ids.shape[1])]
    return ids, parts[:-1]


@pytest.mark.parametrize("chunk", [1, 7, 16, 200])
def test_a_prefill_in_chunks_holds_budget_and_chunk_at_most(llama, ids, chunk):
    cache = EvictingCache(llama, STRATEGY, decode_slack=0)
    last = prefill(llama, ids, cache, chunk=chunk).logits[:, -1]
    parts = reference.parts_of(160, chunk)
    want = reference.under_mask(llama, ids, reference.sees(parts, STRATEGY))[:, -1]
    assert (last - want).abs().max() < 5e-5
    assert cache.seen == 160
    assert cache.peak == min(160, 32 + chunk)


def test_a_budget_of_112_and_chunks_of_64_hold_176_rows_over_760_tokens(llama):
    ids = torch.randint(3, 256, (1, 760), generator=torch.Generator().manual_seed(2))
    cache = EvictingCache(llama, "sink_recent:16:96", decode_slack=0)
    prefill(llama, ids[:, :700], cache, chunk=64)
    generate(llama, ids[:, :701], cache, 60)
    assert cache.peak == 176
    assert cache.held() <= 113


def test_rows_are_the_tokens_that_the_rule_keeps(llama, ids):
    cache = EvictingCache(llama, "sink_recent_uniform:4:20:16:block=8", decode_slack=0)
    parts = reference.parts_of(160, 16)
    prefill(llama, ids, cache, chunk=16)
    steps = [*parts, (160, 162)]
    kept, _ = list(reference.held_before(steps, "sink_recent_uniform:4:20:16:block=8"))[-1]
    with torch.no_grad():
        llama(ids[:, :2], **{PREFIX: cache})
    assert cache.kept(2).tolist() == [*kept, 160, 161]
    assert cache.held() == len(kept) + 2


def test_what_a_whole_prompt_stores_is_only_what_it_keeps(llama, ids):
    cache = EvictingCache(llama, STRATEGY, decode_slack=3)
    prefill(llama, ids, cache, chunk=1000)
    assert cache.held() == 32
    assert cache.kept(0).tolist() == [*range(4), *range(132, 160)]
    assert cache.layers[0].keys.shape[-2] == 32
    assert cache.report().bytes_allocated == 4 * 2 * (32 + 3 + 1) * 2 * 16 * 4


@pytest.mark.parametrize("slack", [0, 6])
def test_generate_with_the_full_ids_goes_on_behind_a_prefill(llama, ids, slack):
    cache = EvictingCache(llama, STRATEGY, decode_slack=slack)
    prefill(llama, ids[:, :-1], cache, chunk=16)
    got = generate(llama, ids, cache, 20)
    parts = [*reference.parts_of(159, 16), (159, 160)]
    want, _ = greedy(llama, ids, parts, 20, STRATEGY, slack)
    assert got.tolist() == want.tolist()


def test_generate_with_new_ids_and_a_mask_of_the_full_length(llama, ids):
    cache = EvictingCache(llama, STRATEGY, decode_slack=0)
    prefill(llama, ids[:, :150], cache, chunk=16)
    got = generate(llama, ids[:, 150:], cache, 10, attention_mask=torch.ones(1, 160, dtype=torch.long))
    want, _ = greedy(llama, ids, [*reference.parts_of(150, 16), (150, 160)], 10, STRATEGY, 0)
    assert got[0, -10:].tolist() == want[0, -10:].tolist()


def test_a_second_turn_goes_on_with_the_full_ids(llama, ids):
    cache = EvictingCache(llama, STRATEGY, decode_slack=0)
    first = generate(llama, ids[:, :90], cache, 12)
    text = torch.cat([first, ids[:, 90:130]], 1)
    second = generate(llama, text, cache, 12)
    one, parts = greedy(llama, ids[:, :90], [(0, 90)], 12, STRATEGY, 0)
    assert first.tolist() == one.tolist()
    two, _ = greedy(llama, text, [*parts, (parts[-1][1], text.shape[1])], 12, STRATEGY, 0)
    assert second.tolist() == two.tolist()


def test_attention_in_eager_code_gives_the_same(ids):
    import _families as families

    model = families.tiny("llama", attn_implementation="eager")
    parts = reference.parts_of(160, 16, n_single=20)
    got = reference.run(model, EvictingCache(model, STRATEGY, decode_slack=0), ids, parts)
    want = reference.under_mask(model, ids, reference.sees(parts, STRATEGY))
    assert (got - want).abs().max() < 5e-5


def test_layers_of_a_ladder_hold_other_tokens_and_equally_many(llama, ids):
    cache = EvictingCache(llama, "ladder:4:12:16", decode_slack=0)
    prefill(llama, ids, cache, chunk=16)
    kept = [cache.kept(i).tolist() for i in range(4)]
    assert [len(k) for k in kept] == [cache.held()] * 4
    assert kept[0] != kept[1]
    assert kept[0][:4] == kept[1][:4] == [0, 1, 2, 3]
    assert kept[0][-12:] == kept[1][-12:]


def test_a_ladder_gives_what_masks_of_each_layer_give(llama, ids):
    parts = reference.parts_of(160, 16, n_single=10)
    cache = EvictingCache(llama, "ladder:4:12:16", decode_slack=4)
    got = reference.run(llama, cache, ids, parts)
    plans = kvevict.Sequence(kvevict.Policy("ladder:4:12:16"), n_layers=4)
    masks = [torch.zeros(160, 160, dtype=torch.bool) for _ in range(4)]
    held: list[set[int]] = [set() for _ in range(4)]
    for begin, end in parts:
        plan = plans.plan(begin) if end - begin > 1 or len(held[0]) > 32 + 4 else None
        for number, mask in enumerate(masks):
            if plan is not None:
                held[number] &= set(plan.to_indices(number).tolist())
            mask[begin:end, sorted(held[number])] = True
            mask[begin:end, begin:end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
            held[number] |= set(range(begin, end))
    hooks = []
    for layer, mask in zip(llama.model.layers, masks, strict=True):
        additive = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[None, None]

        def other_mask(module, args, kwargs, additive=additive):
            return args, {**kwargs, "attention_mask": additive}

        hooks.append(layer.self_attn.register_forward_pre_hook(other_mask, with_kwargs=True))
    try:
        want = reference.under_mask(llama, ids, torch.ones(160, 160, dtype=torch.bool).tril())
    finally:
        for hook in hooks:
            hook.remove()
    assert (got - want).abs().max() < 5e-5


def test_full_keeps_everything(llama, ids):
    cache = EvictingCache(llama, "full")
    with torch.no_grad():
        got = llama(ids, **{PREFIX: cache}).logits
        assert torch.equal(got, llama(ids).logits)
    assert (cache.held(), cache.seen) == (160, 160)
    assert cache.kept(1).tolist() == list(range(160))


def test_a_reset_cache_is_as_new(llama, ids):
    cache = EvictingCache(llama, "ladder:4:12:16", decode_slack=0)
    once = prefill(llama, ids, cache, chunk=16).logits
    kept = cache.kept(1).tolist()
    cache.reset()
    assert (cache.seen, cache.held(), cache.peak) == (0, 0, 0)
    assert torch.equal(prefill(llama, ids, cache, chunk=16).logits, once)
    assert cache.kept(1).tolist() == kept


def test_the_report_says_what_was_held(llama, ids):
    cache = EvictingCache(llama, STRATEGY, decode_slack=7)
    prefill(llama, ids, cache, chunk=16)
    report = cache.report()
    assert (report.n_seen, report.n_held, report.n_most, report.n_layers) == (160, cache.held(), 48, 4)
    assert report.bytes_unbounded == 160 * 4 * 2 * 2 * 16 * 4
    assert str(report).startswith("sink_recent:4:28, absolute positions, 4 layers: 32 of 160 tokens held (48 at most)")


def test_layers_that_are_transformers_own_are_named_so(ids):
    import _families as families

    cache = EvictingCache(families.tiny("gemma3_text"), STRATEGY)
    assert cache.evicting_layers == [1, 3]
    with pytest.raises(ValueError, match=r"layer 0 is a DynamicSlidingWindowLayer.*it evicts are \[1, 3\]"):
        cache.kept(0)
    with pytest.raises(IndexError, match="there is no layer 4: the model has 4, counted from 0"):
        cache.kept(4)
