#!/usr/bin/env python3
"""Checks that what README.md shows of the examples is what is compiled and tested: each fenced block of C++ or C stands
verbatim, line by line, in the example that the text before it names, and each example from 03 on is named. So it is with
those blocks of docs/ whose paragraph in front names an example in brackets.

usage: readme.py PROJECT_FOLDER
"""

import pathlib
import re
import sys

BLOCK = re.compile(r"^```(cpp|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"examples/\w+\.cc?\b")
BRACKETS = re.compile(r"\(\[(examples/\w+\.cc?)\][^\n]*\):$")  # of the paragraph in front of a block


def breach_of(root, page, line, block, name):
    path = root / name
    if not path.is_file():
        return f"{page}:{line}: there is no {name}"
    if "\n" + block not in "\n" + path.read_text():
        return f"{page}:{line}: the block is not a part of {name}"
    return None


def breaches_of_docs(root):
    n_blocks = 0
    for page in sorted((root / "docs").glob("*.md")):
        text = page.read_text()
        for block in BLOCK.finditer(text):
            named = BRACKETS.search(text[: block.start()].rstrip())
            if not named:
                continue
            n_blocks += 1
            yield breach_of(root, f"docs/{page.name}", text.count("\n", 0, block.start()) + 1, block[2], named[1])
    if n_blocks == 0:
        yield "docs/ shows no example"


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
        else:
            yield breach_of(root, "README.md", line, block[2], names[-1])
    for path in sorted((root / "examples").glob("*.c*")):
        if path.stem[:2] > "02" and f"examples/{path.name}" not in text:
            yield f"README.md does not name examples/{path.name}"


def main():
    root = pathlib.Path(sys.argv[1])
    found = [breach for breach in [*breaches(root), *breaches_of_docs(root)] if breach]
    for breach in found:
        print(breach)
    print(f"{len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
