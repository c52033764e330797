"""What must be true before a forward with an EvictingCache, and the positions that it gives."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from kvevict.transformers import _cache
from kvevict.transformers._model import uncompiled

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def _by_name(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a forward, also those that were given by their places."""
    if not args:
        return kwargs
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return dict(zip(names, args, strict=False)) | kwargs


def _n_new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, torch.device]:
    for tokens in (kwargs.get("input_ids"), kwargs.get("inputs_embeds"), *args):
        if isinstance(tokens, torch.Tensor):
            return tokens.shape[1], tokens.device
    raise ValueError("a forward with an EvictingCache needs input_ids or inputs_embeds")


def _require_no_padding(mask: Any) -> None:
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or bool(mask.all()):
        return
    row, column = (int(i) for i in (mask == 0).nonzero()[0])
    raise ValueError(
        f"attention_mask has a 0 for token {column} of sequence {row}: an EvictingCache takes no padding, since its "
        "rows are not the tokens that the mask counts. Give prompts of equal length, or one at a time"
    )


class Guard:
    """A forward pre-hook that looks at every call with an EvictingCache, and at no other."""

    @uncompiled
    def __call__(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        cache = next((v for v in (*args, *kwargs.values()) if isinstance(v, _cache.EvictingCache)), None)
        if cache is None:
            return None
        given = _by_name(module, args, kwargs)
        _require_no_padding(given.get("attention_mask"))
        if cache.positions == "absolute":
            return None
        n_new, device = _n_new(args, kwargs)
        first = cache.expect(n_new)
        ours = {"position_ids": torch.arange(first, first + n_new, device=device)[None]}
        is_by_place = "position_ids" in given and "position_ids" not in kwargs
        return ((), given | ours) if is_by_place else (args, kwargs | ours)


def attach(model: PreTrainedModel) -> None:
    """Makes ``model`` ready for evicting caches; once, however often it is called."""
    base = model.base_model
    if not any(isinstance(hook, Guard) for hook in base._forward_pre_hooks.values()):
        base.register_forward_pre_hook(Guard(), with_kwargs=True)
