"""`evict_dynamic_cache_inplace` on transformers' own cache, beside an explicit mask over the whole text."""

import copy
import io
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import _families as families  # noqa: E402
from transformers import StaticCache, cache_utils  # noqa: E402
from transformers.cache_utils import DynamicCache  # noqa: E402

import kvevict  # noqa: E402
import kvevict.simple_evict  # noqa: E402
from kvevict.transformers import EvictingCache, evict_dynamic_cache_inplace  # noqa: E402
from kvevict.transformers._model import cache_argument  # noqa: E402

N_PROMPT, N_REST = 120, 24
PLAN = kvevict.Policy("sink_recent_uniform:8:24:16:block=8:spacing=ends")
KEEP = PLAN.plan(N_PROMPT).to_indices()
CLOSE = 5e-5


@pytest.fixture
def ids():
    return torch.randint(3, 256, (1, N_PROMPT + N_REST), generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def prefilled(model, ids):
    cache = DynamicCache(config=model.config)
    model(ids[:, :N_PROMPT], use_cache=True, **{cache_argument(model): cache})
    return cache


@torch.no_grad()
def go_on(model, ids, cache, n_at_once):
    parts = ids[:, N_PROMPT:].split(n_at_once, dim=1)
    return torch.cat([model(p, use_cache=True, **{cache_argument(model): cache}).logits for p in parts], dim=1)


@torch.no_grad()
def expected(model, ids, keep=KEEP):
    """Logits of what follows, in one pass under a mask that says what each token sees."""
    n = ids.shape[1]
    sees = torch.ones(n, n, dtype=torch.bool).tril()
    gone = np.setdiff1d(np.arange(N_PROMPT), keep)
    sees[N_PROMPT:, gone] = False
    mask = torch.where(sees, 0.0, torch.finfo(torch.float32).min)[None, None]
    return model(ids, attention_mask=mask).logits[:, N_PROMPT:]


@pytest.mark.parametrize("release", [True, False])
@pytest.mark.parametrize("n_at_once", [1, 7, N_REST])
def test_the_model_goes_on_right(llama, ids, n_at_once, release):
    cache = prefilled(llama, ids)
    report = evict_dynamic_cache_inplace(cache, torch.from_numpy(KEEP), release)
    assert report.in_place
    assert report.n_kept == len(KEEP)
    assert report.layers == tuple(range(llama.config.num_hidden_layers))
    assert cache.get_seq_length() == N_PROMPT, "tokens seen"
    assert cache.layers[0].keys.shape[-2] == len(KEEP), "rows held"
    assert (go_on(llama, ids, cache, n_at_once) - expected(llama, ids)).abs().max() < CLOSE
    assert cache.layers[0].held_tokens().tolist() == [*KEEP.tolist(), *range(N_PROMPT, N_PROMPT + N_REST)]


@pytest.mark.parametrize("family", ["qwen3", "gemma2", "gpt2", "phi3"])
def test_other_families_go_on_right(family, ids):
    model = families.tiny(family)
    sliding = {i for i, kind in enumerate(getattr(model.config, "layer_types", None) or []) if kind != "full_attention"}
    cache = prefilled(model, ids)
    report = evict_dynamic_cache_inplace(cache, KEEP)
    assert not sliding & set(report.layers), "layers with a window stay"
    if not sliding:
        assert (go_on(model, ids, cache, 5) - expected(model, ids)).abs().max() < CLOSE
    else:
        assert go_on(model, ids, cache, 5).isfinite().all()


def test_generate_goes_on_right_with_all_ids(llama, ids):
    greedy = {"max_new_tokens": 6, "do_sample": False, "use_cache": True}
    evicted, twin = prefilled(llama, ids), prefilled(llama, ids)
    evict_dynamic_cache_inplace(evicted, KEEP)
    made = llama.generate(ids, **{cache_argument(llama): evicted}, **greedy)[0, ids.shape[1] :]
    evict_dynamic_cache_inplace(twin, KEEP, release=False)
    logits = go_on(llama, ids, twin, N_REST)
    for token in made:
        assert token == logits[0, -1].argmax()
        with torch.no_grad():
            logits = llama(token[None, None], use_cache=True, **{cache_argument(llama): twin}).logits


def test_a_cache_can_be_evicted_again(llama, ids):
    cache = prefilled(llama, ids)
    evict_dynamic_cache_inplace(cache, KEEP)
    again = [*range(4), *range(len(KEEP) - 10, len(KEEP))]
    evict_dynamic_cache_inplace(cache, again)
    assert cache.layers[0].abs_pos.tolist() == KEEP[again].tolist()
    assert (go_on(llama, ids, cache, 6) - expected(llama, ids, KEEP[again])).abs().max() < CLOSE


def test_a_plan_may_differ_by_layer(llama, ids):
    n_layers = llama.config.num_hidden_layers
    plan = kvevict.Policy("ladder:4:16:32").plan(N_PROMPT, n_layers=n_layers)
    before = prefilled(llama, ids)
    cache = copy.deepcopy(before)
    evict_dynamic_cache_inplace(cache, plan)
    for i in range(n_layers):
        assert torch.equal(cache.layers[i].keys, before.layers[i].keys[:, :, plan.to_indices(i)])


def test_prefill_in_inference_mode_and_on_without(llama, ids):
    with torch.inference_mode():
        cache = DynamicCache(config=llama.config)
        llama(ids[:, :N_PROMPT], use_cache=True, **{cache_argument(llama): cache})
    evict_dynamic_cache_inplace(cache, KEEP)
    assert (go_on(llama, ids, cache, 4) - expected(llama, ids)).abs().max() < CLOSE


def test_copies_and_files_hold_the_kept_rows_alone(llama, ids):
    cache = prefilled(llama, ids)
    evict_dynamic_cache_inplace(cache, KEEP)
    file = io.BytesIO()
    torch.save(cache, file)
    n_row_bytes = sum(t[:, :, :1].numel() * 4 for layer in cache.layers for t in (layer.keys, layer.values))
    assert file.tell() < n_row_bytes * len(KEEP) + 20000
    file.seek(0)
    for twin in (copy.deepcopy(cache), torch.load(file, weights_only=False)):
        assert (go_on(llama, ids, twin, 8) - expected(llama, ids)).abs().max() < CLOSE


def test_memory_that_others_look_into_is_left_to_them(llama, ids):
    cache = prefilled(llama, ids)
    for layer in cache.layers:  # K and V of a layer within one allocation
        both = torch.stack([layer.keys, layer.values])
        layer.keys, layer.values = both[0], both[1]
    before = [layer.keys.clone() for layer in cache.layers]
    views = [layer.keys for layer in cache.layers]
    report = evict_dynamic_cache_inplace(cache, KEEP)
    assert not report.in_place
    assert all(torch.equal(a, b) for a, b in zip(views, before, strict=True)), "nothing moved there"
    assert (go_on(llama, ids, cache, 8) - expected(llama, ids)).abs().max() < CLOSE


def test_memory_that_other_processes_look_into_is_left_to_them(llama, ids):
    cache = prefilled(llama, ids)
    cache.layers[1].keys.share_memory_()
    assert not evict_dynamic_cache_inplace(cache, KEEP).in_place
    assert (go_on(llama, ids, cache, 8) - expected(llama, ids)).abs().max() < CLOSE


def test_an_alias_of_the_cache_keeps_its_rows(llama, ids):
    cache = prefilled(llama, ids)
    alias = cache.layers[1].keys.detach()
    before = alias.clone()
    report = evict_dynamic_cache_inplace(cache, KEEP)
    assert not report.in_place
    assert torch.equal(alias, before)


def test_a_layer_that_does_not_fit_is_found_before_any_is_changed(llama, ids):
    cache = prefilled(llama, ids)
    cache.layers[2].values = cache.layers[2].values[:, :, 1:]
    before = cache.layers[0].keys.clone()
    with pytest.raises(ValueError, match="equally many are needed"):
        evict_dynamic_cache_inplace(cache, KEEP)
    assert torch.equal(cache.layers[0].keys, before)
    assert type(cache.layers[0]).__name__ == "DynamicLayer"


def test_a_layer_whose_values_are_its_keys_goes_on(llama, ids):
    cache = prefilled(llama, ids)
    cache.layers[1].values = cache.layers[1].keys
    before = cache.layers[1].keys.clone()
    evict_dynamic_cache_inplace(cache, KEEP)
    assert torch.equal(cache.layers[1].keys, before[:, :, KEEP])
    assert torch.equal(cache.layers[1].values, before[:, :, KEEP])


def test_a_plan_for_another_number_of_tokens_is_refused(llama, ids):
    with pytest.raises(ValueError, match=f"for 40 tokens and the cache holds {N_PROMPT} rows"):
        evict_dynamic_cache_inplace(prefilled(llama, ids), PLAN.plan(40))


def test_positions_that_a_program_keeps_as_the_demo_does_are_sliced(llama, ids):
    cache = prefilled(llama, ids)
    cache._ub_abs_pos = torch.arange(N_PROMPT) * 10
    kvevict.simple_evict.evict_dynamic_cache_inplace(cache, KEEP)
    assert cache._ub_abs_pos.tolist() == (KEEP * 10).tolist()


def test_beams_share_an_evicted_cache(llama, ids):
    cache = prefilled(llama, ids)
    evict_dynamic_cache_inplace(cache, KEEP)
    cache.batch_repeat_interleave(2)
    twice = ids.repeat(2, 1)
    logits = go_on(llama, twice, cache, 8)
    cache.reorder_cache(torch.tensor([1, 1]))
    assert (logits - expected(llama, ids)).abs().max() < CLOSE


RESIDENT = """
import torch, kvevict
from transformers.cache_utils import DynamicCache
from kvevict.transformers import evict_dynamic_cache_inplace
def resident():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmRSS"))
cache = DynamicCache()
start = resident()
for i in range(4):
    cache.update(torch.ones(1, 4, 8192, 64), torch.ones(1, 4, 8192, 64), i)
full = resident() - start
report = evict_dynamic_cache_inplace(cache, kvevict.Policy("sink_recent:256:768").plan(8192))
print(full, resident() - start, report.bytes_released // 1024)
"""


def test_memory_falls_at_once():
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    full, left, released = map(int, done.stdout.split())
    gone = 64 * 1024 * 7 // 8  # KiB of the rows that were evicted
    assert gone * 0.95 < released <= gone
    assert full - left > gone * 0.9


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ([5, 3], "3 behind 5: indices must ascend"),
        ([0, N_PROMPT], f"has {N_PROMPT}: the cache holds the rows 0 to {N_PROMPT - 1}"),
        ([-1, 2], "has -1"),
        ([], "is empty"),
        ([0.5], "whole numbers"),
        ([[1, 2]], r"shape \[1, 2\]"),
    ],
)
def test_rows_that_cannot_stay_are_refused(llama, ids, keep, sentence):
    cache = prefilled(llama, ids)
    with pytest.raises(ValueError, match=sentence):
        evict_dynamic_cache_inplace(cache, keep)
    assert type(cache.layers[0]).__name__ == "DynamicLayer", "the cache is as it was"


def test_caches_that_cannot_be_evicted_are_refused(llama, ids):
    with pytest.raises(ValueError, match="run the prefill first"):
        evict_dynamic_cache_inplace(DynamicCache(config=llama.config), [0])
    with pytest.raises(ValueError, match="is a StaticCache"):
        evict_dynamic_cache_inplace(StaticCache(config=llama.config, max_cache_len=32), [0])
    with pytest.raises(ValueError, match="is a tuple"):
        evict_dynamic_cache_inplace((), [0])
    evicting = EvictingCache(llama, "sink_recent:4:8")
    with torch.no_grad():
        llama(ids, use_cache=True, **{cache_argument(llama): evicting})
    with pytest.raises(ValueError, match="is a EvictingLayer"):
        evict_dynamic_cache_inplace(evicting, [0])


class Rounded(cache_utils.QuantizedLayer):
    """A quantised layer without a library that does it."""

    def _quantize(self, tensor, axis):
        return tensor

    def _dequantize(self, tensor):
        return tensor


@pytest.mark.parametrize("kind", [Rounded, getattr(cache_utils, "DynamicIndexedLayer", None)])
def test_layers_that_keep_other_things_than_rows_are_refused(llama, ids, kind):
    if kind is None:
        pytest.skip("this transformers has no such layers")
    cache = prefilled(llama, ids)
    layer = kind()
    layer.update(cache.layers[2].keys, cache.layers[2].values)
    cache.layers[2] = layer
    with pytest.raises(ValueError, match=f"layer 2 of the cache is a {kind.__name__}: a DynamicLayer is needed"):
        evict_dynamic_cache_inplace(cache, KEEP)
    assert type(cache.layers[0]).__name__ == "DynamicLayer", "the cache is as it was"


def test_a_cache_with_gradients_is_refused(llama, ids):
    cache = DynamicCache(config=llama.config)
    llama(ids[:, :N_PROMPT], use_cache=True, **{cache_argument(llama): cache})
    with pytest.raises(ValueError, match="gradients"):
        evict_dynamic_cache_inplace(cache, KEEP)


def test_an_evicted_cache_is_not_cut_back(llama, ids):
    cache = prefilled(llama, ids)
    evict_dynamic_cache_inplace(cache, KEEP)
    with pytest.raises(ValueError, match="cannot be cut back"):
        cache.crop(-3)
    cache.reset()
    assert cache.get_seq_length() == 0
    with torch.no_grad():
        whole = llama(ids, use_cache=True, **{cache_argument(llama): cache}).logits
        assert (whole - llama(ids).logits).abs().max() < CLOSE
