#!/usr/bin/env python3
"""Says of small models with random weights, one of each family, whether an EvictingCache is right with them.

    python verify_families.py                 six families of different kinds
    python verify_families.py phi3 gpt_neox   these
    python verify_families.py --all           all that the tests know

With the transformers that is installed; no model is downloaded. Ends with 1 if one is off.
"""

from __future__ import annotations

import argparse
import sys

import _families
import transformers

from kvevict.transformers import verify


def main(arguments: list[str] | None = None) -> int:
    """Prints a line for each family; how many are off, at most 1."""
    parser = argparse.ArgumentParser(description="Hold an EvictingCache against an explicit mask, family by family")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(_families.FAMILIES))
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--strategy", default="sink_recent:4:12", help="one that goes by position")
    flags = parser.parse_args(arguments)
    for name in flags.families:
        if name not in _families.FAMILIES:
            parser.error(f'there is no family "{name}": one of {", ".join(_families.FAMILIES)}')
    transformers.logging.set_verbosity_error()
    n_off = 0
    for family in list(_families.FAMILIES) if flags.all else flags.families or _families.ORDINARY:
        try:
            found = verify(_families.tiny(family), flags.strategy)
        except ValueError as error:
            parser.error(str(error))
        print(f"{family:14} {found}", flush=True)
        n_off += not found
    return min(n_off, 1)


if __name__ == "__main__":
    sys.exit(main())
