#!/usr/bin/env python3
"""Regenerates data/jieba from an unpacked source of the PyPI package jieba 0.42.1.

usage: make_jieba_data.py FOLDER_OF_JIEBA_SOURCE
"""
import hashlib
import json
import pathlib
import runpy
import shutil
import sys

DICTIONARY_SHA256 = "7197c3211ddd98962b036cdf40324d1ea2bfaa12bd028e68faa70111a88e12a8"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    package = pathlib.Path(sys.argv[1]) / "jieba"
    target = pathlib.Path(__file__).resolve().parent.parent / "data" / "jieba"
    target.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((package / "dict.txt").read_bytes()).hexdigest()
    if digest != DICTIONARY_SHA256:
        sys.exit(f"{package}/dict.txt has the checksum {digest}, jieba 0.42.1's is {DICTIONARY_SHA256}")
    shutil.copyfile(package / "dict.txt", target / "dict.txt")
    tables = {
        name: runpy.run_path(str(package / "finalseg" / f"prob_{name}.py"))["P"]
        for name in ("start", "trans", "emit")
    }
    text = json.dumps(tables, ensure_ascii=False, sort_keys=True, indent=0)
    (target / "hmm.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
