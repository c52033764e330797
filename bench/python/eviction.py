"""One cell: rows evicted once from a DynamicCache that is full.

    eviction.py GEOMETRY METHOD THREADS
    GEOMETRY: LAYERSxHEADSxTOKENSxWIDTH, bfloat16
    METHOD: index_select      layer by layer, and each layer's old tensors go at once: as Python caches do it
            index_select_all  the copies alone: the old tensors stay until the clock has stopped
            in_place          kvevict, release=False
            in_place_release  kvevict, which gives the memory behind the kept rows back

Prints wall and processor seconds, and the resident memory before, at the peak and after. A small cache is evicted first.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import torch
from process import give_memory_back, run_on
from transformers import DynamicCache

import kvevict
from kvevict.transformers import evict_dynamic_cache_inplace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "side_by_side"))
from meter import Meter, status_bytes

STRATEGY = "sink_recent_uniform:256:512:512"


def full_cache(n_layers: int, n_heads: int, n_tokens: int, width: int) -> DynamicCache:
    cache = DynamicCache()
    for number in range(n_layers):
        keys, values = (torch.ones(1, n_heads, n_tokens, width, dtype=torch.bfloat16) for _ in range(2))
        cache.update(keys, values, number)
    return cache


def evict(cache: DynamicCache, keep: torch.Tensor, method: str) -> list[Any]:
    """What must outlive the clock."""
    if method.startswith("in_place"):
        report = evict_dynamic_cache_inplace(cache, keep, release=method.endswith("release"))
        assert report.in_place
        return []
    old = []
    for layer in cache.layers:
        if method == "index_select_all":
            old += [layer.keys, layer.values]
        layer.keys, layer.values = layer.keys.index_select(-2, keep), layer.values.index_select(-2, keep)
    return old


def main() -> None:
    geometry, method, threads = sys.argv[1:]
    run_on(int(threads))
    n_layers, n_heads, n_tokens, width = map(int, geometry.split("x"))
    small = full_cache(2, n_heads, 2048, width)
    evict(small, torch.from_numpy(kvevict.Policy(STRATEGY).plan(2048).to_indices()), method)
    del small
    give_memory_back()
    n_start = status_bytes("VmRSS")
    cache = full_cache(n_layers, n_heads, n_tokens, width)
    keep = torch.from_numpy(kvevict.Policy(STRATEGY).plan(n_tokens).to_indices())
    give_memory_back()
    meter = Meter()
    meter.cell["start_bytes"] = n_start
    old = evict(cache, keep, method)
    meter.phase("evict")
    del old
    meter.report(cache.layers[0].keys.shape[-2])


if __name__ == "__main__":
    main()
