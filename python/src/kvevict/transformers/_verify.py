"""Holds a model with an EvictingCache against one pass under an explicit mask."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

import kvevict
from kvevict.transformers import _model
from kvevict.transformers._cache import EvictingCache
from kvevict.transformers._ranges import to_indices

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found. True as a condition if nothing was off.

    Attributes
    ----------
    ok
        Whether no logit was off by more than the tolerance.
    largest_difference, largest_logit
        Of all tokens; both in the units of a logit.
    first_token_off
        Its index, from 0 on; None: none is.
    n_tokens
        Tokens that went in.
    n_held
        Tokens that a layer held in the end: as many as went in if nothing was evicted.
    sentence
        All of it in words; what ``print`` shows.
    """

    ok: bool
    largest_difference: float
    largest_logit: float
    first_token_off: int | None
    n_tokens: int
    n_held: int
    sentence: str

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.sentence


def verify(
    model: PreTrainedModel,
    strategy: str | kvevict.Policy = "sink_recent:4:12",
    n_tokens: int = 48,
    chunk: int = 8,
    tolerance: float | None = None,
) -> Verification:
    """Runs random tokens through an EvictingCache, and once more in one pass under an explicit 4-D mask.

    The cache gets chunks up to the middle of the text and then single tokens, as `generate` does. Positions are
    absolute: packed ones have no such pass, and `EvictingCache(..., positions="packed")` holds the rotation that it
    learned against the model's own keys when it is made.

    Parameters
    ----------
    model
        A model with a language head; it is not changed.
    strategy
        One that evicts within ``n_tokens``, and the same tokens in every layer.
    n_tokens
        Tokens of the text, 2 or more.
    chunk
        Tokens that go in at once in its first half, 1 or more.
    tolerance
        Largest difference of a logit, as a share of the largest logit, that still counts as rounding; None: 1e-5 for
        f32, 3e-2 for the shorter types.

    Returns
    -------
    Verification
        ``ok``, the largest difference and the first token that is off, with a sentence that says so.

    Raises
    ------
    ValueError
        As `EvictingCache` does, for a strategy that differs by layer, and for a number that cannot be.
    """
    policy = strategy if isinstance(strategy, kvevict.Policy) else kvevict.Policy(strategy)
    _require_arguments(policy, n_tokens, chunk)
    device = _model.device_of(model)
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    generator = torch.Generator().manual_seed(20)
    ids = torch.randint(1, vocabulary, (1, n_tokens), generator=generator).to(device)
    with _model.evaluating(model), torch.no_grad():
        cache = EvictingCache(model, policy, positions="absolute", decode_slack=0)
        steps = _steps(n_tokens, chunk)
        rows = [_model.logits_of(model, ids[:, b:e], cache) for b, e in steps]
        expected = _under_mask(model, ids, _sees(cache, steps).to(device))
    return _judged(torch.cat(rows, 1)[0].float(), expected[0].float(), cache, tolerance, model)


def _require_arguments(policy: kvevict.Policy, n_tokens: int, chunk: int) -> None:
    if policy.is_per_layer and not policy.looks_into_cache:  # which an EvictingCache refuses
        raise ValueError(f"{policy.strategy} keeps other tokens in each layer: verify has one mask for all of them")
    for name, value, least in (("n_tokens", n_tokens, 2), ("chunk", chunk, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}: a number of tokens from {least} on is needed")


def _steps(n_tokens: int, chunk: int) -> list[tuple[int, int]]:
    """The parts of the text that go in at once: chunks up to the middle, then single tokens."""
    middle = n_tokens // 2
    chunks = [(b, min(b + chunk, middle)) for b in range(0, middle, chunk)]
    return chunks + [(i, i + 1) for i in range(middle, n_tokens)]


def _sees(cache: EvictingCache, steps: list[tuple[int, int]]) -> torch.Tensor:
    """``[n, n]``, True where token i sees token j: what was kept before i's part, and i's part up to i."""
    n = steps[-1][1]
    sees = torch.zeros(n, n, dtype=torch.bool)
    held: set[int] = set()
    n_layers = len(cache.evicting_layers)
    sequence = kvevict.Sequence(cache.policy, schedule="streaming", n_layers=max(n_layers, 1))
    budget = cache.policy.budget(schedule="streaming", n_layers=max(n_layers, 1))
    for begin, end in steps:
        if budget is not None and (end - begin > 1 or len(held) > budget):
            held &= set(to_indices(sequence.plan(begin).layer(0)).tolist())
        for i in range(begin, end):
            sees[i, sorted(held)] = True
            sees[i, begin : i + 1] = True
        held |= set(range(begin, end))
    return sees


def _under_mask(model: PreTrainedModel, ids: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
    config: Any = model.config.get_text_config(decoder=True)
    n = ids.shape[1]

    def additive(allowed: torch.Tensor) -> torch.Tensor:
        blocked = torch.zeros(allowed.shape, dtype=model.dtype, device=ids.device)
        return blocked.masked_fill(~allowed, torch.finfo(model.dtype).min)[None, None]

    kinds = set(getattr(config, "layer_types", None) or [])
    mask: Any = additive(sees)
    if kinds - {"full_attention"}:
        causal = torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
        distance = torch.arange(n, device=ids.device)[:, None] - torch.arange(n, device=ids.device)
        mask = dict.fromkeys(kinds) | {"full_attention": mask}
        if "sliding_attention" in kinds:
            mask["sliding_attention"] = additive(causal & (distance < config.sliding_window))
        if "chunked_attention" in kinds:
            part = torch.arange(n, device=ids.device) // config.attention_chunk_size
            mask["chunked_attention"] = additive(causal & (part[:, None] == part))
    positions = (
        {"position_ids": torch.arange(n, device=ids.device)[None]} if _model.takes(model, "position_ids") else {}
    )
    return model(ids, attention_mask=mask, use_cache=False, **positions).logits  # type: ignore[no-any-return]


def _judged(
    logits: torch.Tensor, expected: torch.Tensor, cache: EvictingCache, tolerance: float | None, model: PreTrainedModel
) -> Verification:
    if tolerance is None:
        tolerance = 1e-5 if model.dtype == torch.float32 else 3e-2
    largest = float(expected.abs().max())
    by_token = (logits - expected).abs().amax(-1)
    off = (by_token > tolerance * max(largest, 1.0)).nonzero().flatten()
    first = int(off[0]) if len(off) else None
    n_tokens, name = len(by_token), type(model).__name__
    difference = float(by_token.max())
    what = f"the largest difference of a logit is {difference:.1e} where logits reach {largest:.1f}"
    if first is None:
        evicted = "" if cache.held() < n_tokens else ", none of which was evicted"
        sentence = f"{name} with {cache.policy.strategy} is right over {n_tokens} tokens{evicted}: {what}"
    else:
        begun = "before the first eviction" if first <= cache.held() else "after tokens were evicted"
        sentence = (
            f"{name} with {cache.policy.strategy} is off from token {first} on ({begun}): {what}. "
            "Do not use an EvictingCache with this model as it is"
        )
    return Verification(first is None, difference, largest, first, n_tokens, cache.held(), sentence)
