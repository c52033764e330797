"""Sets of tokens as sorted, disjoint, half-open ranges, and the rows in which a layer holds them."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ranges = tuple[tuple[int, int], ...]


def count(ranges: Ranges) -> int:
    """Tokens in all ranges together."""
    return sum(end - begin for begin, end in ranges)


def append(ranges: Ranges, begin: int, end: int) -> Ranges:
    """``ranges`` with ``[begin, end)`` behind them; ``begin`` is not before their end."""
    if begin == end:
        return ranges
    if ranges and ranges[-1][1] == begin:
        return (*ranges[:-1], (ranges[-1][0], end))
    return (*ranges, (begin, end))


def to_indices(ranges: Iterable[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Every number in the ranges, ascending, shape ``[count]``."""
    parts = [np.arange(begin, end, dtype=np.int64) for begin, end in ranges]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


@functools.lru_cache(maxsize=64)
def overlap(held: Ranges, keep: Ranges) -> tuple[Ranges, Ranges]:
    """What stays of ``held`` under ``keep``: as tokens, and as rows.

    Row r of a layer holds the r-th token of ``held``. O(ranges). Remembered, since all layers of a model ask the same.
    """
    tokens: Ranges = ()
    rows: Ranges = ()
    first_row = 0
    number = 0
    for begin, end in held:
        while number < len(keep) and keep[number][1] <= begin:
            number += 1
        at = number
        while at < len(keep) and keep[at][0] < end:
            low, high = max(begin, keep[at][0]), min(end, keep[at][1])
            tokens = append(tokens, low, high)
            rows = append(rows, first_row + low - begin, first_row + high - begin)
            at += 1
        first_row += end - begin
    return tokens, rows
