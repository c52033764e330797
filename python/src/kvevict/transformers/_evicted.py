"""Rows evicted once from the cache that transformers made."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

import kvevict
from kvevict import _core
from kvevict.transformers import _model

_IN_PLACE = {
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int8,
    torch.uint8,
}
Indices = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class EvictionReport:
    """What an eviction did.

    Attributes
    ----------
    n_kept
        Rows that each evicted layer holds now.
    layers
        Numbers of the layers that were evicted.
    in_place
        Whether rows moved within their own memory, in every layer; otherwise kept rows were copied, layer by layer.
    bytes_released
        Resident bytes that went back to the system at once. Copied layers are not counted: what they held goes back to
        torch's allocator, which may keep it.
    """

    n_kept: int
    layers: tuple[int, ...]
    in_place: bool
    bytes_released: int


def _tensors(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.keys, layer.values


class EvictedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer that rows were evicted from.

    Its length is that of the tokens *seen*; the mask is told of ``held + q`` columns from token ``seen - held`` on, so
    that the positions and masks that transformers derives are right. It grows with every token, as a `DynamicLayer`
    does.

    Attributes
    ----------
    n_seen
        Tokens that went in.
    abs_pos
        The token in each row that was held at the last eviction, ascending, int64.
    """

    is_croppable = False

    def __init__(self, layer: DynamicLayer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        vars(self).update(vars(layer))
        self.n_seen: int = layer.get_seq_length()
        self.abs_pos: Indices = np.arange(_tensors(layer)[0].shape[-2], dtype=np.int64)

    @property
    def n_held(self) -> int:
        """Rows that the layer holds."""
        return int(_tensors(self)[0].shape[-2]) if self.is_initialized else 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends, as a `DynamicLayer` does."""
        self.n_seen += key_states.shape[-2]
        return super().update(key_states, value_states, *args, **kwargs)

    def get_seq_length(self) -> int:
        """Tokens *seen*: the position of the next one."""
        return self.n_seen if self.is_initialized else 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns of the mask, and the token that the first of them stands for."""
        return self.n_held + query_length, self.get_seq_length() - self.n_held

    def reset(self) -> None:
        """Forgets every token."""
        self.keys = self.values = None
        self.is_initialized = False
        self.n_seen = 0
        self.abs_pos = np.empty(0, dtype=np.int64)

    def crop(self, tokens_to_remove: int) -> None:
        """Refused: what was before the cut may be gone."""
        if tokens_to_remove != 0:
            raise ValueError(
                "a cache that rows were evicted from cannot be cut back: tokens before the cut may be gone. Keep a "
                "copy.deepcopy(cache) from before"
            )

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the rows held, without the memory behind them."""
        state = dict(self.__dict__)
        if self.is_initialized:
            state["keys"], state["values"] = (tensor.clone() for tensor in _tensors(self))
        return state

    def held_tokens(self) -> Indices:
        """The token in each row, ascending."""
        n_new = self.n_held - len(self.abs_pos)
        return np.concatenate([self.abs_pos, np.arange(self.n_seen - n_new, self.n_seen, dtype=np.int64)])


def evict_dynamic_cache_inplace(past_key_values: Any, keep_token_idx: Any, release: bool = True) -> EvictionReport:
    """Evicts rows from a `DynamicCache` after a prefill.

    ``model(...)`` and ``generate`` then go on right by themselves. Kept tokens stay at the positions where they were
    first seen. In host memory rows move to the front of the tensors that hold them, without a second copy. Layers with
    a sliding window, recurrent states and layers that share another's keys stay as they are.

    Parameters
    ----------
    past_key_values
        A transformers `DynamicCache`, changed in place: the layers that are evicted become `EvictedLayer`.
    keep_token_idx
        The rows that stay, ascending: int64 tensor, array or list; or a `kvevict.Plan`, which may differ by layer if
        every layer keeps equally many.
    release
        Give the memory behind the kept rows back to the system at once. Without it the move is quicker, and a layer's
        old memory goes when its next token comes. Tensors whose memory is shared, pinned, not wholly theirs, of another
        type than `kvevict.evict_rows` takes or on another device are copied instead, layer by layer. A tensor that was
        taken out of the cache before, as it is, sees its rows moved.

    Returns
    -------
    EvictionReport
        What was done.

    Raises
    ------
    ValueError
        For rows that are not there, gradients in the cache, and caches that rows cannot be evicted from; the cache is
        then as it was.
    """
    numbers = _evictable_layers(past_key_values)
    keeps = _keep_of_each(keep_token_idx, len(numbers), _n_rows(past_key_values, numbers))
    layers = past_key_values.layers
    is_in_place, n_released = True, 0
    for number, keep in zip(numbers, keeps, strict=True):
        if not isinstance(layers[number], EvictedLayer):
            layers[number] = EvictedLayer(layers[number])
        in_place, n_bytes = _evict(layers[number], keep, release)
        is_in_place, n_released = is_in_place and in_place, n_released + n_bytes
    _slice_positions(past_key_values, keeps[0])
    return EvictionReport(len(keeps[0]), tuple(numbers), is_in_place, n_released)


def _n_rows(cache: Any, numbers: list[int]) -> int:
    """Rows of every layer; refuses layers that differ, before anything is changed."""
    found = set()
    for number in numbers:
        layer = cache.layers[number]
        for name, tensor in (("keys", layer.keys), ("values", layer.values)):
            if tensor.ndim != 4:
                raise ValueError(f"{name} of layer {number} have {tensor.ndim} axes: 4 are needed")
            found.add(int(tensor.shape[-2]))
    if len(found) != 1:
        raise ValueError(f"the layers of the cache hold {sorted(found)} rows: equally many are needed")
    return found.pop()


def _evictable_layers(cache: Any) -> list[int]:
    _model.require_transformers()
    if not isinstance(cache, DynamicCache):
        raise ValueError(f"the cache is a {type(cache).__name__}: a transformers DynamicCache is needed")
    found = []
    for number, layer in enumerate(cache.layers):
        if not getattr(layer, "is_initialized", False) or isinstance(layer, DynamicSlidingWindowLayer):
            continue
        if type(layer) not in (DynamicLayer, EvictedLayer):
            if isinstance(getattr(layer, "keys", None), torch.Tensor):
                raise ValueError(f"layer {number} of the cache is a {type(layer).__name__}: a DynamicLayer is needed")
            continue
        if any(tensor.requires_grad for tensor in _tensors(layer)):
            raise ValueError(
                f"layer {number} of the cache takes part in gradients, which eviction would make wrong: "
                "run the prefill under torch.no_grad()"
            )
        found.append(number)
    if not found:
        raise ValueError("the cache holds no rows that could be evicted: run the prefill first")
    return found


def _keep_of_each(keep: Any, n_layers: int, n_rows: int) -> list[Indices]:
    if isinstance(keep, kvevict.Plan) and keep.n_tokens != n_rows:
        raise ValueError(
            f"the plan is for {keep.n_tokens} tokens and the cache holds {n_rows} rows: it numbers those of a cache "
            "that holds every token"
        )
    if isinstance(keep, kvevict.Plan) and keep.is_per_layer:
        if keep.n_layers != n_layers:
            raise ValueError(f"the plan is for {keep.n_layers} layers and {n_layers} of the cache can be evicted")
        keeps = [keep.to_indices(i) for i in range(n_layers)]
        if len({len(k) for k in keeps}) > 1:
            raise ValueError("the plan keeps more tokens in some layers than in others: one mask is for all of them")
    else:
        keeps = [_indices(keep)] * n_layers
    for indices in {id(k): k for k in keeps}.values():
        _require_rows(indices, n_rows)
    return keeps


def _indices(keep: Any) -> Indices:
    if isinstance(keep, kvevict.Plan):
        return keep.to_indices()
    array = keep.detach().cpu().numpy() if isinstance(keep, torch.Tensor) else np.asarray(keep)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"keep_token_idx is of shape {list(array.shape)} and type {array.dtype}: whole numbers, [n], are needed"
        )
    return array.astype(np.int64)


def _require_rows(indices: Indices, n_rows: int) -> None:
    if len(indices) == 0:
        raise ValueError("keep_token_idx is empty: a cache needs a row for the next token to look at")
    steps = np.flatnonzero(np.diff(indices) <= 0)
    if len(steps):
        at = int(steps[0])
        raise ValueError(f"keep_token_idx has {indices[at + 1]} behind {indices[at]}: indices must ascend")
    if indices[0] < 0 or indices[-1] >= n_rows:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise ValueError(f"keep_token_idx has {wrong}: the cache holds the rows 0 to {n_rows - 1}")


def _evict(layer: EvictedLayer, keep: Indices, release: bool) -> tuple[bool, int]:
    """Whether rows moved in place, and the bytes that went back to the system."""
    abs_pos = layer.held_tokens()[keep]
    keys, values = _tensors(layer)
    in_place = _can_move(keys) and _can_move(values) and keys.data_ptr() != values.data_ptr()
    n_released = 0
    if in_place:
        kvevict.evict_rows(keys, values, layer.n_held, keep)
        if release:
            n_released = _core.release_rows(keys, len(keep)) + _core.release_rows(values, len(keep))
        layer.keys, layer.values = keys[..., : len(keep), :], values[..., : len(keep), :]
    else:
        index = torch.from_numpy(keep)
        with torch.no_grad():
            layer.keys = keys.index_select(-2, index.to(keys.device))
            layer.values = values.index_select(-2, index.to(values.device))
    layer.abs_pos = abs_pos
    return in_place, n_released


def _can_move(tensor: torch.Tensor) -> bool:
    """Whether rows may move in place: all of the memory is this tensor's, private and not pinned."""
    if tensor.device.type != "cpu" or tensor.dtype not in _IN_PLACE or tensor.layout != torch.strided:
        return False
    storage = tensor.untyped_storage()
    is_whole = tensor.storage_offset() == 0 and storage.nbytes() == tensor.numel() * tensor.element_size()
    is_alone = torch._C._storage_Use_Count(storage._cdata) <= 2  # the tensor, and the name `storage`
    is_private = not bool(tensor.is_shared()) and not tensor.is_pinned()  # type: ignore[no-untyped-call]
    return bool(is_whole) and is_alone and is_private


def _slice_positions(cache: Any, keep: Indices) -> None:
    """`_ub_abs_pos`: where a program that follows the demo may keep the tokens' positions."""
    positions = getattr(cache, "_ub_abs_pos", None)
    if isinstance(positions, torch.Tensor) and positions.ndim == 1 and len(positions) > int(keep[-1]):
        cache._ub_abs_pos = positions.index_select(0, torch.from_numpy(keep).to(positions.device))
