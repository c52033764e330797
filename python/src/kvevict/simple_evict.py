"""The functions of the Python demo "Simple KV cache eviction strategies", by their names.

``from evict.simple_evict import ...``, as its README writes it, gives the same. What is kept is what its published code
keeps, to the token; ``SimpleEvictConfig(spacing="midpoints")`` takes this project's middle blocks instead.
docs/strategies.md has both rules, and what its README says.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kvevict import _core

if TYPE_CHECKING:
    import torch

    from kvevict.transformers._evicted import EvictionReport

__all__ = ["SimpleEvictConfig", "build_simple_keep_token_idx", "evict_dynamic_cache_inplace"]


@dataclasses.dataclass
class SimpleEvictConfig:
    """Which tokens to keep by position. All counts are tokens per layer.

    Attributes
    ----------
    sink_tokens, recent_tokens
        First and last tokens, always kept; at least one recent token.
    middle_strategy
        ``"none"`` or ``"uniform"``.
    middle_budget_tokens
        Tokens of middle blocks, if ``uniform_stride`` is 0. With ``spacing="ends"``, fewer than a block keep a whole
        one.
    uniform_stride
        Above 0: every n-th middle block, whatever the budget.
    spacing
        ``"ends"``: whole blocks from the first to the last, as the demo's code. ``"midpoints"``: of equal parts.
    """

    sink_tokens: int = 256
    recent_tokens: int = 512
    middle_strategy: str = "none"
    middle_budget_tokens: int = 0
    uniform_stride: int = 0
    spacing: str = "ends"

    @property
    def cache_target(self) -> int:
        """Tokens beyond which a cache is to be evicted."""
        by_budget = self.middle_strategy == "uniform" and self.uniform_stride == 0
        return self.sink_tokens + self.recent_tokens + (self.middle_budget_tokens if by_budget else 0)


def _as_tensor(indices: npt.NDArray[np.int64], device: Any) -> Any:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        if device is None:
            return indices
        raise
    tensor = torch.from_numpy(indices)
    return tensor if device is None else tensor.to(device)


def build_simple_keep_token_idx(
    *,
    total_len: int,
    block_n: int = 128,
    cfg: SimpleEvictConfig,
    abs_pos: object = None,
    device: torch.device | str | None = None,
) -> Any:
    """The tokens to keep of a cache that holds all ``total_len`` tokens.

    Parameters
    ----------
    total_len
        Tokens in the cache.
    block_n
        Tokens of a middle block; blocks are counted from token 0.
    cfg
        What to keep.
    abs_pos
        Not used, as in the demo.
    device
        Where the tensor is to be; None: host memory.

    Returns
    -------
    torch.Tensor or numpy.ndarray
        Ascending, int64, shape ``[n_kept]``: a tensor if torch is installed, else an array.

    Raises
    ------
    ValueError
        For a value that is out of its range. (The demo takes an unknown ``middle_strategy`` for "keep all", and allows
        no recent tokens.)
    """
    plan = _core.simple_plan(
        total_len,
        block_n,
        cfg.sink_tokens,
        cfg.recent_tokens,
        cfg.middle_strategy,
        cfg.middle_budget_tokens,
        cfg.uniform_stride,
        cfg.spacing,
    )
    return _as_tensor(plan.to_indices(), device)


def evict_dynamic_cache_inplace(past_key_values: Any, keep_token_idx: Any, release: bool = True) -> EvictionReport:
    """Evicts rows from a transformers `DynamicCache` after a prefill.

    `kvevict.transformers.evict_dynamic_cache_inplace`, which it calls, says all of it. Needs transformers 5.4 or newer.
    (The demo's own function returns at once with every transformers since 4.57.)

    Parameters
    ----------
    past_key_values
        The cache, changed in place.
    keep_token_idx
        The rows that stay, ascending: what `build_simple_keep_token_idx` gives, or a `kvevict.Plan`.
    release
        Give the memory behind the kept rows back to the system at once.

    Returns
    -------
    EvictionReport
        What was done. (The demo's returns nothing.)

    Raises
    ------
    ValueError
        For rows that are not there and caches that rows cannot be evicted from; the cache is then as it was.
    """
    from kvevict.transformers._evicted import evict_dynamic_cache_inplace as evict

    return evict(past_key_values, keep_token_idx, release)
