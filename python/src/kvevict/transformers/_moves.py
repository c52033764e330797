"""Moves rows within a layer's tensors: by the C++ library in host memory, by torch elsewhere."""

from __future__ import annotations

import torch

import kvevict
from kvevict.transformers._ranges import Ranges, to_indices


def _index(rows: Ranges, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(to_indices(rows)).to(device)


def gather_rows(target: torch.Tensor, source: torch.Tensor, rows: Ranges) -> None:
    """The rows ``rows`` of ``source`` become the first of ``target``; both ``[batch, kv_heads, seq, head_dim]``."""
    n_copied = 0
    if len(rows) <= 16:
        for begin, end in rows:
            target[..., n_copied : n_copied + end - begin, :] = source[..., begin:end, :]
            n_copied += end - begin
    else:
        chosen = source.index_select(-2, _index(rows, source.device))
        target[..., : chosen.shape[-2], :] = chosen


def keep_rows(keys: torch.Tensor, values: torch.Tensor, n_rows: int, rows: Ranges) -> None:
    """Moves the rows ``rows`` of the first ``n_rows`` of a layer to the front, in place."""
    if keys.device.type == "cpu":
        kvevict.evict_rows(keys, values, n_rows, rows)
        return
    for tensor in (keys, values):
        keep_by_torch(tensor, rows)


def keep_by_torch(tensor: torch.Tensor, rows: Ranges) -> None:
    """The same for one tensor on any device, through a copy of the rows that move."""
    moved = rows[1:] if rows and rows[0][0] == 0 else rows  # rows that stay in front need no move
    n_still = rows[0][1] if len(moved) < len(rows) else 0
    chosen = tensor.index_select(-2, _index(moved, tensor.device))
    tensor[..., n_still : n_still + chosen.shape[-2], :] = chosen
