#!/usr/bin/env python3
"""Draws which tokens a strategy keeps.

python visualize_eviction.py --strategy sink_recent --save eviction_sink_recent.png
"""

from __future__ import annotations

import argparse

import _strategy
import matplotlib as mpl

import kvevict.plot


def main() -> None:
    """Draws the picture that the flags ask for."""
    parser = argparse.ArgumentParser(description="Draw which tokens a strategy keeps (no model needed)")
    parser.add_argument("--total_len", type=int, default=4096, help="tokens in the cache before the eviction")
    parser.add_argument("--n_layers", type=int, default=32, help="layers of the picture")
    parser.add_argument("--save", default="eviction.png", help="the picture: *.png, *.svg or *.pdf")
    _strategy.add_flags(parser, "sink_recent_uniform", recent=512, budget=512)
    flags = parser.parse_args()
    mpl.use("agg")
    policy = _strategy.policy_of(flags)
    try:
        plan = policy.plan(flags.total_len, n_layers=flags.n_layers)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    values = policy.values
    axes = kvevict.plot.heatmap(plan, sink_tokens=values.get("sink"), recent_tokens=values.get("recent"))
    axes.set_title(f"{policy.strategy}: {axes.get_title()}")
    axes.figure.savefig(flags.save, dpi=150)
    print(f"{policy.strategy}: keeps {plan.n_kept} of {plan.n_tokens} tokens ({plan.n_kept / plan.n_tokens:.1%})")
    print(f"saved {flags.save}")


if __name__ == "__main__":
    main()
