"""The demo's functions, as its README calls them."""

import inspect

import numpy as np
import pytest

import evict.simple_evict
import kvevict.simple_evict
from evict.simple_evict import SimpleEvictConfig, build_simple_keep_token_idx


def indices(**values):
    n_tokens = values.pop("total_len", 4096)
    kept = build_simple_keep_token_idx(total_len=n_tokens, block_n=128, cfg=SimpleEvictConfig(**values))
    return np.asarray(kept).tolist()


def tokens(*ranges):
    return [i for begin, end in ranges for i in range(begin, end)]


def test_both_names_are_the_same():
    for name in evict.simple_evict.__all__:
        assert getattr(evict.simple_evict, name) is getattr(kvevict.simple_evict, name)


def test_example_1_sink_and_recent():
    kept = indices(sink_tokens=256, recent_tokens=512, middle_strategy="none")
    assert kept == tokens((0, 256), (3584, 4096))


def test_example_2_a_middle_by_budget_has_the_blocks_of_the_demos_code():
    uniform = {"sink_tokens": 256, "recent_tokens": 512, "middle_strategy": "uniform", "middle_budget_tokens": 512}
    assert indices(**uniform, uniform_stride=0) == tokens((0, 384), (1280, 1408), (2304, 2432), (3456, 4096))
    assert indices(**uniform, spacing="midpoints") == tokens(
        (0, 256), (640, 768), (1408, 1536), (2304, 2432), (3072, 3200), (3584, 4096)
    )


def test_example_3_a_stride_keeps_blocks_2_4_6():
    kept = indices(sink_tokens=256, recent_tokens=512, middle_strategy="uniform", uniform_stride=2)
    assert kept == tokens((0, 256), *((b * 128, (b + 1) * 128) for b in range(2, 28, 2)), (3584, 4096))


def test_values_at_the_edges():
    assert indices(total_len=0) == []
    assert indices(total_len=768) == tokens((0, 768))
    assert indices(middle_strategy="uniform", middle_budget_tokens=1) == tokens((0, 384), (3584, 4096))
    assert (
        len(indices(total_len=4000, sink_tokens=250, recent_tokens=500, middle_strategy="uniform", uniform_stride=2))
        == 2414
    )


def test_the_signature_is_the_demos():
    parameters = inspect.signature(build_simple_keep_token_idx).parameters
    assert list(parameters) == ["total_len", "block_n", "cfg", "abs_pos", "device"]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())
    assert parameters["block_n"].default == 128
    assert SimpleEvictConfig(256, 1024, "uniform", 2816).cache_target == 4096
    assert SimpleEvictConfig(256, 1024, "uniform", 2816, 2).cache_target == 1280


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"middle_strategy": "spiral"}, '"spiral"'),
        ({"recent_tokens": 0}, "recent_tokens is 0"),
        ({"spacing": "even"}, '"ends" or "midpoints"'),
    ],
)
def test_what_cannot_be_is_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        indices(**values)
