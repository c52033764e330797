"""What an evicted run must give: one pass under an explicit mask.

The sets are those of ``scripts/parity/keep_rules.py``, written from the docs; nothing of the cache is used here.
"""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
from collections.abc import Iterable
from typing import Any

import torch
from transformers import PreTrainedModel

_RULES = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "parity" / "keep_rules.py"
_spec = importlib.util.spec_from_file_location("keep_rules", _RULES)
assert _spec is not None
assert _spec.loader is not None
keep_rules: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(keep_rules)

Parts = list[tuple[int, int]]


def parts_of(n_tokens: int, chunk: int, n_single: int = 0) -> Parts:
    """Chunks, and the last ``n_single`` tokens one by one."""
    n_chunked = n_tokens - n_single
    chunks = [(b, min(b + chunk, n_chunked)) for b in range(0, n_chunked, chunk)]
    return chunks + [(i, i + 1) for i in range(n_chunked, n_tokens)]


def held_before(parts: Parts, strategy: str, slack: int = 0) -> Iterable[tuple[list[int], tuple[int, int]]]:
    """What the cache holds when a part goes in, and the part."""
    values = keep_rules.parse(strategy)
    budget = values["sink"] + values["recent"] + values.get("budget", 0)
    held: set[int] = set()
    for begin, end in parts:
        if end - begin > 1 or len(held) > budget + slack:
            held &= keep_rules.ruler(begin, **values)
        yield sorted(held), (begin, end)
        held |= set(range(begin, end))


def sees(parts: Parts, strategy: str, slack: int = 0) -> torch.Tensor:
    """``[n, n]``: whether token i sees token j."""
    n = parts[-1][1]
    mask = torch.zeros(n, n, dtype=torch.bool)
    for held, (begin, end) in held_before(parts, strategy, slack):
        mask[begin:end, held] = True
        mask[begin:end, begin:end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
    return mask


def _additive(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, torch.finfo(torch.float32).min)[None, None]


@torch.no_grad()
def under_mask(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logits ``[batch, n, vocabulary]`` of one pass without a cache."""
    config = model.config.get_text_config(decoder=True)
    n = ids.shape[1]
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    masks: Any = _additive(mask)
    if kinds != {"full_attention"}:
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        masks = dict.fromkeys(kinds) | {"full_attention": masks}
        if "sliding_attention" in kinds:
            masks["sliding_attention"] = _additive((j <= i) & (i - j < config.sliding_window))
        if "chunked_attention" in kinds:
            size = config.attention_chunk_size
            masks["chunked_attention"] = _additive((j <= i) & (i // size == j // size))
    at = torch.arange(n).expand(len(ids), n)
    return model(ids, attention_mask=masks, position_ids=at, use_cache=False).logits


@torch.no_grad()
def run(model: PreTrainedModel, cache: Any, ids: torch.Tensor, parts: Parts) -> torch.Tensor:
    """Logits of the parts, one call after the other, with a cache and without positions or masks."""
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return torch.cat([model(ids[:, b:e], **{name: cache}).logits for b, e in parts], 1)


@torch.no_grad()
def packed_llama(model: Any, ids: torch.Tensor, steps: Iterable[tuple[list[int], tuple[int, int]]]) -> torch.Tensor:
    """Logits of a Llama whose held tokens take the positions 0, 1, 2, ...: by keys that are cached unrotated."""
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

    n_layers = model.config.num_hidden_layers
    cached: list[list[torch.Tensor]] = [[] for _ in range(n_layers)]  # [k, v] of each token seen
    rows = []
    for held, (begin, end) in steps:
        own = list(range(begin, end))
        places = held + own
        hidden = model.model.embed_tokens(ids[:, begin:end])
        blocked = torch.full((len(own), len(places)), torch.finfo(torch.float32).min).triu(len(held) + 1)
        cos, sin = model.model.rotary_emb(hidden, torch.arange(len(places))[None])
        for layer, memory in zip(model.model.layers, cached, strict=True):
            attention, x = layer.self_attn, layer.input_layernorm(hidden)
            q, k, v = (
                p(x).view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)
                for p in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            memory.append(torch.stack([k, v]))
            keys, values = torch.cat(memory, -2)[..., places, :]
            _, keys = apply_rotary_pos_emb(keys, keys, cos, sin)
            q, _ = apply_rotary_pos_emb(q, q, cos[:, -len(own) :], sin[:, -len(own) :])
            keys, values = (repeat_kv(t, attention.num_key_value_groups) for t in (keys, values))
            weights = torch.softmax(q @ keys.transpose(2, 3) / attention.head_dim**0.5 + blocked, -1)
            hidden = hidden + attention.o_proj((weights @ values).transpose(1, 2).flatten(2))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        rows.append(model.lm_head(model.model.norm(hidden)))
    return torch.cat(rows, 1)
