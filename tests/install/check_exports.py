#!/usr/bin/env python3
"""Checks that shared libraries show what the public headers declare, and nothing else.

usage: check_exports.py HEADER_FOLDER LIBRARY…
"""

import pathlib
import re
import subprocess
import sys

# shown to the second library alone: a thread has one last error
BETWEEN_LIBRARIES = {"kvevict::c::status_of_current_exception"}
ABOUT_A_TYPE = re.compile(r"^(typeinfo for|typeinfo name for|vtable for|VTT for) ")


def shown_names(library):
    """The qualified name of every symbol, without parameters."""
    listing = subprocess.run(["nm", "-DC", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        symbol = line.split(" ", 2)[2]
        yield ABOUT_A_TYPE.sub("", symbol).split("(")[0]


def main():
    headers = "\n".join(path.read_text() for path in pathlib.Path(sys.argv[1]).glob("*.h"))
    declared = set(re.findall(r"\w+", headers)) - {"Impl"}
    c_functions = set(re.findall(r"\b(kvevict_\w+)\(", headers))
    shown = {name for library in sys.argv[2:] for name in shown_names(library)}
    breaches = [f"{name} is shown, and no public header declares it" for name in sorted(shown - BETWEEN_LIBRARIES)
                if not set(re.findall(r"\w+", name.split("[")[0])) <= declared]
    if len(sys.argv) > 3:  # both libraries
        breaches += [f"{name} is declared and not shown" for name in sorted(c_functions - shown)]
    print("\n".join(breaches + [f"{len(shown)} names are shown, {len(breaches)} breaches"]))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
