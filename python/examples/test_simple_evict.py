#!/usr/bin/env python3
"""Shows what the strategies keep of a cache of 4,096 tokens, and checks it. No model, no GPU.

python test_simple_evict.py
"""

from __future__ import annotations

import numpy as np

import kvevict

TOTAL, SINK, RECENT = 4096, 256, 512


def test_sink_and_recent() -> None:
    """The first and the last tokens, and nothing between."""
    kept = kvevict.Policy(f"sink_recent:{SINK}:{RECENT}").plan(TOTAL).to_indices()
    assert kept.tolist() == [*range(SINK), *range(TOTAL - RECENT, TOTAL)]


def test_uniform_middle() -> None:
    """A budget of 512 is four blocks of 128, spread over the middle."""
    plan = kvevict.Policy(f"sink_recent_uniform:{SINK}:{RECENT}:512").plan(TOTAL)
    assert plan.n_kept == SINK + RECENT + 512
    middle = [r for r in plan.ranges if SINK <= r[0] < TOTAL - RECENT]
    assert all(end - begin == 128 for begin, end in middle)


def test_stride() -> None:
    """Every second block of the middle."""
    plan = kvevict.Policy(f"sink_recent_uniform:{SINK}:{RECENT}:stride=2").plan(TOTAL)
    starts = [begin for begin, _ in plan.ranges if SINK <= begin < TOTAL - RECENT]
    assert np.diff(starts).tolist() == [256] * (len(starts) - 1)


def test_short_caches_are_left_alone() -> None:
    """Whatever fits stays."""
    assert kvevict.Policy(f"sink_recent:{SINK}:{RECENT}").plan(SINK + RECENT).n_kept == SINK + RECENT


def test_rows_move_in_place() -> None:
    """K and V hold the kept rows in front, in order."""
    k = np.arange(2 * 8 * 4, dtype=np.float32).reshape(1, 2, 8, 4)
    v = -k
    expected = k[:, :, [0, 1, 6, 7]].copy()
    n_rows = kvevict.evict_rows(k, v, 8, kvevict.Policy("sink_recent:2:2").plan(8))
    assert n_rows == 4
    assert np.array_equal(k[:, :, :4], expected)
    assert np.array_equal(v[:, :, :4], -expected)


def main() -> None:
    """Runs the checks, and prints the sets."""
    for name, check in sorted(globals().items()):
        if name.startswith("test_"):
            check()
            print(f"ok: {name}")
    for strategy in ("sink_recent:256:512", "sink_recent_uniform:256:512:512", "sink_recent_uniform:256:512:stride=2"):
        print(f"{strategy:40} {kvevict.Policy(strategy).plan(TOTAL)}")


if __name__ == "__main__":
    main()
