"""What a model calls things, which differs between versions of transformers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

import torch
import transformers
from transformers.cache_utils import DynamicLayer

P = ParamSpec("P")
R = TypeVar("R")


def uncompiled(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` as it is, within a compiled model too (torch's own decorator has no types)."""
    return cast("Callable[P, R]", torch.compiler.disable(function))  # type: ignore[no-untyped-call, unused-ignore]


def require_transformers() -> None:
    """Refuses a transformers whose caches tell the mask of positions instead of tokens seen."""
    if "query_length" not in inspect.signature(DynamicLayer.get_mask_sizes).parameters:
        raise ValueError(
            f"transformers 5.4 or newer is needed, and this is {transformers.__version__}: "
            "caches of older ones count their rows as tokens seen"
        )


def cache_argument(module: torch.nn.Module) -> str:
    """``"cache"``, or ``"past_key_values"`` as it was called before transformers 5.24."""
    return "cache" if "cache" in inspect.signature(module.forward).parameters else "past_key_values"


def takes(module: torch.nn.Module, argument: str) -> bool:
    """Whether the forward of ``module`` has this argument by name."""
    return argument in inspect.signature(module.forward).parameters


def logits_of(module: torch.nn.Module, ids: torch.Tensor, cache: Any, **kwargs: Any) -> torch.Tensor:
    """The logits ``[batch, q, vocabulary]`` of one forward that goes on with ``cache``."""
    output = module(ids, use_cache=True, **{cache_argument(module): cache}, **kwargs)
    logits: torch.Tensor = output.logits
    return logits


def device_of(model: Any) -> torch.device:
    """Where the model takes its tokens."""
    device: torch.device = model.get_input_embeddings().weight.device
    return device


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without dropout meanwhile."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
