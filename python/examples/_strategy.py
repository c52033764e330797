"""The strategy flags that the scripts share."""

from __future__ import annotations

import argparse

import kvevict


def add_flags(parser: argparse.ArgumentParser, strategy: str, recent: int, budget: int) -> None:
    """Adds ``--strategy`` and the numbers that go with it."""
    parser.add_argument(
        "--strategy", default=strategy, help="sink_recent, sink_recent_uniform or another, with values if you like"
    )
    parser.add_argument("--sink_tokens", type=int, default=256, help="first tokens, always kept")
    parser.add_argument("--recent_tokens", type=int, default=recent, help="last tokens, always kept")
    parser.add_argument(
        "--middle_budget", type=int, default=budget, help="most tokens between them (sink_recent_uniform)"
    )
    parser.add_argument("--uniform_stride", type=int, default=0, help="every N-th middle block instead of a budget")
    parser.add_argument("--block_n", type=int, default=128, help="tokens of a block")


def policy_of(flags: argparse.Namespace) -> kvevict.Policy:
    """The strategy that the flags name; ends the program with the library's sentence if there is none."""
    text = flags.strategy
    if ":" not in text and text in ("sink_recent", "sink_recent_uniform"):
        text += f":{flags.sink_tokens}:{flags.recent_tokens}"
        if text.startswith("sink_recent_uniform"):
            stride = f":stride={flags.uniform_stride}" if flags.uniform_stride else ""
            text += f":{flags.middle_budget}:block={flags.block_n}{stride}"
    try:
        return kvevict.Policy(text)
    except ValueError as error:
        raise SystemExit(str(error)) from error
