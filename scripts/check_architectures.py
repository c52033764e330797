#!/usr/bin/env python3
"""Holds each way to use a model against llama.cpp alone, for a tiny model of each architecture that llama.cpp knows, and
compares what came out with the table in data/models/architectures.json. Less than a minute. Exits with 1 for a wrong
number, a crash or another table, with 77 if there are no such models (scripts/make_architectures.sh says why).

usage: check_architectures.py                   all; what differs from the table is printed
       check_architectures.py --write           all; writes the table and docs/models.md
       check_architectures.py --only a,b,...    these architectures; their sentences may differ from the table's
       --program FILE                           the checking program (build/release/bin/check_architecture, built if not given)
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import models_page

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "data" / "models" / "architectures.json"
SECONDS = 300  # for one model
Row = dict[str, Any]


def make_models(names: list[str]) -> pathlib.Path:
    made = subprocess.run([ROOT / "scripts" / "make_architectures.sh", *names], check=False, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        sys.exit(made.returncode)
    return pathlib.Path(made.stdout.strip())


def build_program() -> pathlib.Path:
    build = ROOT / "build" / "release"
    built = subprocess.run(["cmake", "--build", build, "--target", "check_architecture"], check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(f"{built.stdout[-3000:]}\nkvevict: the checking program does not build")
    return build / "bin" / "check_architecture"


def plain_reason(verdict: str, model: pathlib.Path) -> str:
    """The sentence about any model: without the name of this one and of the strategy that was tried."""
    verdict = verdict.replace(str(model), "the model").replace("n/a", "the model")
    verdict = re.sub(r"cannot load \S*kvevict-architecture-\d+", "a session that was saved after an eviction cannot be loaded", verdict)
    return re.sub(r"^no: \w+ arranges", "no: the strategy arranges", verdict)


def check(program: pathlib.Path, model: pathlib.Path) -> Row:
    architecture, kind = model.stem.rsplit("-", 1)
    row: Row = {"name": architecture, "architecture": architecture, "experts": kind == "moe"}
    if row["experts"] and model.with_name(f"{architecture}-dense.gguf").exists():
        row["name"] += ", moe"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    try:
        ran = subprocess.run([program, model], check=False, capture_output=True, text=True, env=environment, timeout=SECONDS)
        said = json.loads(ran.stdout) if ran.returncode == 0 else {}
        why = ran.stderr.strip() or "the checking program died"
    except subprocess.TimeoutExpired:
        said, why = {}, f"not done after {SECONDS} s"
    row |= {"memory": said.get("memory", "unknown"), "positions": said.get("positions", "unknown")}
    row |= {column: plain_reason(said.get(column, f"WRONG: {why}"), model) for column in models_page.COLUMNS}
    for figure in ("largest_difference", "effect"):
        value = said.get(figure)
        row[figure] = float(f"{value:.0e}") if value else None
    return row


def complaints(rows: list[Row]) -> list[str]:
    """What must not be in any table."""
    found = []
    for row in rows:
        name = row["name"]
        found += [f"{name}, {column}: {row[column]}" for column in models_page.COLUMNS if row[column].startswith("WRONG")]
        says_something = row["effect"] and row["effect"] >= 4 * (row["largest_difference"] or 0)
        if row["one_shot"] == "yes" and not says_something:
            found.append(f"{name}: the eviction changes the logits by {row['effect']} of the largest, too little to see a mistake")
    return found


def differences(rows: list[Row], known: list[Row], with_sentences: bool) -> list[str]:
    def judged(row: Row) -> dict[str, str]:
        kept = {c: row[c] for c in ("memory", "positions", *models_page.COLUMNS)}
        return {c: text if with_sentences and not text.startswith("WRONG") else text.split(":")[0] for c, text in kept.items()}

    table = {(row["architecture"], row["experts"]): judged(row) for row in known}
    found = []
    for row in rows:
        before = table.pop((row["architecture"], row["experts"]), {})
        found += [f"{row['name']}, {column}: now \"{now}\", the table has \"{before.get(column, 'no such model')}\""
                  for column, now in judged(row).items() if now != before.get(column)]
    if with_sentences:
        found += [f"{architecture}: in the table, and no such model was made" for architecture, _ in table]
    return found


def write(rows: list[Row], version: str) -> None:
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = {"made_by": "scripts/check_architectures.py --write", "llama_cpp": f"llama-cpp-python {version}", "columns": list(models_page.COLUMNS)}
    TABLE.write_text(json.dumps(head)[:-1] + f',\n"architectures": [\n{lines}\n]}}\n', encoding="utf-8")
    (ROOT / "docs" / "models.md").write_text(models_page.page(json.loads(TABLE.read_text(encoding="utf-8"))), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--program", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs all architectures")
    folder = make_models(arguments.only)
    program = arguments.program or build_program()
    models = [model for model in sorted(folder.glob("*.gguf"))
              if not arguments.only or model.stem.rsplit("-", 1)[0] in arguments.only]
    if not models:
        sys.exit("kvevict: no model of these architectures was made")
    n_jobs = int(os.environ.get("KVEVICT_JOBS", "0")) or len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(n_jobs) as pool:
        rows = list(pool.map(lambda model: check(program, model), models))
    if arguments.write:
        write(rows, folder.name.rsplit("-", 1)[0])
    known = json.loads(TABLE.read_text(encoding="utf-8"))["architectures"] if TABLE.exists() else []
    found = complaints(rows) + differences(rows, known, with_sentences=not arguments.only)
    for column in models_page.COLUMNS:
        n_yes = sum(row[column] == "yes" for row in rows)
        n_wrong = sum(row[column].startswith("WRONG") for row in rows)
        print(f"  {column:9} {n_yes:3} yes, {len(rows) - n_yes - n_wrong:3} no, {n_wrong:3} WRONG")
    for sentence in found:
        print(f"  FAILED  {sentence}")
    print(f"{len(rows)} models of llama.cpp's architectures: {len(found)} complaints")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
