#!/usr/bin/env python3
"""A document of 32,000 tokens, four times the trained context of the default model, answered with a bounded prefill, and the
peak memory of bounded and full prefill side by side at 8,000 tokens. Minutes."""

import re

import common

FACT = ("There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you about the "
        "important information there.\nThe pass key is 48213. Remember it. 48213 is the pass key.\n\n")
QUESTION = "\n\nWhat is the pass key? The pass key is"


def document(n_bytes):
    """About n_bytes / 4.4 tokens of a manual, the fact before it and the question behind it."""
    text = common.text("debian-policy.txt").read_text(encoding="utf-8")
    return FACT + text[10000 : 10000 + n_bytes] + QUESTION


def stat(output, pattern):
    return float(re.search(pattern, output).group(1))


def generate(text, *more):
    return common.run("generate", "-f", "-", "--max_new_tokens", 8, "--verbose", "--strategy", "sink_recent:128:384", *more, stdin=text)


def long_document(checks):
    text = document(134_000)
    refused = generate(text)
    checks.expect(refused.returncode == 2 and "--prefill bounded" in refused.stderr,
                  f"a full prefill is refused: {refused.stderr.strip()}")
    answered = generate(text, "--prefill", "bounded")
    checks.expect(answered.returncode == 0, f"a bounded one answers: {answered.stdout.strip()!r} {answered.stderr if answered.returncode else ''}")
    n_tokens = stat(answered.stderr, r"prompt tokens +(\d+)")
    checks.figure("tokens of the document", n_tokens)
    checks.figure("answer", answered.stdout.strip())
    checks.figure("resident MiB at the peak", stat(answered.stderr, r"resident memory +([\d.]+)"))
    checks.figure("seconds of prefill", stat(answered.stderr, r"prefill +([\d.]+) s"))
    checks.expect(n_tokens >= 32000, "the document has 32,000 tokens or more")
    checks.expect("48213" in answered.stdout, "the answer is the fact from the document's beginning")


def side_by_side(checks):
    text = document(31_000)
    for mode in ("full", "bounded"):
        output = generate(text, "--prefill", mode).stderr
        checks.figure(f"{mode}: prompt tokens", stat(output, r"prompt tokens +(\d+)"))
        checks.figure(f"{mode}: K and V MiB at the peak", stat(output, r"MiB now, ([\d.]+) MiB"))
        checks.figure(f"{mode}: resident MiB at the peak", stat(output, r"resident memory +([\d.]+)"))
        checks.figure(f"{mode}: seconds of prefill", stat(output, r"prefill +([\d.]+) s"))
    f = checks.figures
    checks.expect(f["full: prompt tokens"] >= 7000, "the prompt fills most of the trained context")
    checks.expect(f["bounded: K and V MiB at the peak"] * 4 < f["full: K and V MiB at the peak"], "bounded K and V peak below a quarter of full")
    checks.expect(f["bounded: resident MiB at the peak"] < f["full: resident MiB at the peak"], "bounded resident memory peaks below full")


def main():
    checks = common.Checks("long-document")
    long_document(checks)
    side_by_side(checks)
    checks.finish()


if __name__ == "__main__":
    main()
