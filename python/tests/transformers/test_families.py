"""The cache is right in every family of models: chunks, then single tokens, against one pass under an explicit mask."""

import _families as families
import pytest
import reference
import torch
import verify_families

from kvevict.transformers import EvictingCache, verify

STRATEGY = "sink_recent_uniform:4:20:16:block=8"
SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in families.FAMILIES if f not in families.ORDINARY]


@pytest.mark.parametrize("family", [*families.ORDINARY, *SLOW])
def test_logits_are_those_under_the_explicit_mask(family):
    model = families.tiny(family)
    ids = torch.randint(3, 256, (2, 120), generator=torch.Generator().manual_seed(1))
    parts = reference.parts_of(120, 16, n_single=30)
    cache = EvictingCache(model, STRATEGY, positions="absolute", decode_slack=5)
    got = reference.run(model, cache, ids, parts)
    want = reference.under_mask(model, ids, reference.sees(parts, STRATEGY, slack=5))
    causal = reference.under_mask(model, ids, torch.ones(120, 120, dtype=torch.bool).tril())
    assert (causal - want).abs().max() > 0.1, "the eviction must change what the model says"
    assert (got - want).abs().max() < 5e-5
    assert cache.peak <= 40 + 16


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "smollm3"])
def test_verify_says_that_a_model_is_right(family):
    found = verify(families.tiny(family))
    assert found
    assert found.n_held < found.n_tokens
    assert "is right over 48 tokens" in str(found)


def test_the_example_has_a_line_for_each_family(capsys):
    assert verify_families.main(["gpt_neox", "gemma3_text"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["gpt_neox", "gemma3_text"]
    assert all("is right over 48 tokens" in line for line in lines)
    with pytest.raises(SystemExit):
        verify_families.main(["gpt_nox"])
    assert 'there is no family "gpt_nox"' in capsys.readouterr().err


def test_verify_says_that_nothing_was_evicted(llama):
    assert "is right over 10 tokens, none of which was evicted" in str(verify(llama, n_tokens=10))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"strategy": "ladder:2:4:8"}, "ladder.* keeps other tokens in each layer: verify has one mask"),
        ({"n_tokens": 1}, "n_tokens is 1: a number of tokens from 2 on is needed"),
        ({"chunk": 0}, "chunk is 0: a number of tokens from 1 on is needed"),
        ({"strategy": "snapkv"}, "chooses by attention"),
    ],
)
def test_verify_refuses_what_it_cannot_judge(llama, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        verify(llama, **arguments)


def test_verify_says_where_a_model_is_off():
    class Forgetful(type(families.tiny("llama"))):
        def forward(self, *args, **kwargs):
            if kwargs.get("use_cache"):  # as a model that numbers the rows of its cache
                cache = kwargs.get("cache", kwargs.get("past_key_values"))
                n_new = args[0].shape[1]
                kwargs["position_ids"] = (cache.held() + torch.arange(n_new))[None]
            return super().forward(*args, **kwargs)

    model = families.tiny("llama")
    model.__class__ = Forgetful
    found = verify(model)
    assert not found
    assert 16 <= found.first_token_off <= 24
    assert "is off from token" in str(found)
    assert "after tokens were evicted" in str(found)
