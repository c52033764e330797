#!/usr/bin/env python3
"""Checks that what README.md shows of the examples is what is compiled and tested: each fenced block of C++ or C stands
verbatim, line by line, in the example that the text before it names, and each example from 03 on is named.

usage: readme.py PROJECT_FOLDER
"""

import pathlib
import re
import sys

BLOCK = re.compile(r"^```(cpp|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"examples/\w+\.cc?\b")


def breaches(root):
    text = (root / "README.md").read_text()
    blocks = list(BLOCK.finditer(text))
    if not blocks:
        yield "README.md shows no example"
    for block in blocks:
        line = text.count("\n", 0, block.start()) + 1
        names = NAME.findall(text[: block.start()])
        if not names:
            yield f"README.md:{line}: no example is named before this block"
            continue
        path = root / names[-1]
        if not path.is_file():
            yield f"README.md:{line}: there is no {names[-1]}"
        elif "\n" + block[2] not in "\n" + path.read_text():
            yield f"README.md:{line}: the block is not a part of {names[-1]}"
    for path in sorted((root / "examples").glob("*.c*")):
        if path.stem[:2] > "02" and f"examples/{path.name}" not in text:
            yield f"README.md does not name examples/{path.name}"


def main():
    found = list(breaches(pathlib.Path(sys.argv[1])))
    for breach in found:
        print(breach)
    print(f"{len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
