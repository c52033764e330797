#!/usr/bin/env python3
"""Compares results files: scores, memory and speed of each run against the first.

python compare_strategies.py results/sr_narrativeqa.json results/sru_narrativeqa.json --plot
"""

from __future__ import annotations

import argparse

import _program


def main() -> None:
    """Hands the files to ``kvevict compare``."""
    parser = argparse.ArgumentParser(description="Compare results files")
    parser.add_argument("files", nargs="+", help="results files, all of whose runs are compared")
    parser.add_argument("--plot", nargs="?", const="comparison.png", help="also draw them (comparison.png)")
    parser.add_argument("--format", default="table", choices=["table", "markdown", "csv", "json"])
    flags = parser.parse_args()
    plot = ["--plot", flags.plot] if flags.plot else []
    print(_program.run("compare", *flags.files, "--format", flags.format, *plot), end="")


if __name__ == "__main__":
    main()
