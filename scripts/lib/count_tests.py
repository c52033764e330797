#!/usr/bin/env python3
"""Counts test cases in the log of `ctest --verbose`: prints "PASSED FAILED SKIPPED", and what failed on standard error.

A test of ctest that runs a GoogleTest program is as many cases as began in it. A case that did not end well has failed, and so has a
program whose cases all ended well but which itself did not. Any other test of ctest is one case.
"""

import collections
import re
import sys

RESULT = re.compile(r"^ *\d+/\d+ Test +#(\d+): (\S+) \.+ *(Passed|\*\*\*\S+)")
LINE = re.compile(r"^(\d+): (.*)")
N_SHOWN = 60  # the last lines of a failed test


def main():
    began, ended_well, skipped = (collections.defaultdict(set) for _ in range(3))
    lines = collections.defaultdict(list)
    n_passed = n_failed = n_skipped = 0
    for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
        if match := LINE.match(line):
            test, text = match.groups()
            lines[test].append(text)
            for mark, cases in (("[ RUN      ] ", began), ("[       OK ] ", ended_well), ("[  SKIPPED ] ", skipped)):
                if mark in text:
                    cases[test].update(re.findall(r"^\w[\w/]*\.[\w/]+", text.split(mark)[1]))
        elif match := RESULT.match(line):
            test, name, result = match.groups()
            failed = began[test] - ended_well[test] - skipped[test]
            if result == "***Skipped":
                n_skipped += 1
            elif result != "Passed" and not failed:
                failed = {name}
            if not began[test] and result == "Passed":
                n_passed += 1
            n_passed += len(ended_well[test])
            n_skipped += len(skipped[test])
            n_failed += len(failed)
            if failed:
                print("\n".join(lines[test][-N_SHOWN:] + [f"FAILED ({result.strip('*')}): {case}" for case in sorted(failed)]),
                      file=sys.stderr)
    print(n_passed, n_failed, n_skipped)


main()
