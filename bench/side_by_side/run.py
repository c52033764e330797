#!/usr/bin/env python3
"""kvevict beside its peers: prefill and decode of the same text, the same model, the same threads.

Each cell of the table (an engine in a variant, at a length) is a process of its own, and loading the model is in
none of its numbers. Within a round all engines take turns at each length. Rows that are in the output already are
not measured again, unless they failed, so a run that was stopped goes on.

usage: run.py --cell PROGRAM --model FILE.gguf --text FILE --output FILE.json
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import machine, vector_extensions, versions

N_TRAINED = 8192  # of SmolLM2; the middle length leaves room below it for what is decoded
ONCE_BEYOND = N_TRAINED  # longer prompts are measured once
BUDGET, SINK, RECENT = 1024, 256, 768
STRATEGY = f"sink_recent:{SINK}:{RECENT}"
PACKAGES = ("torch", "transformers", "kvpress", "openvino", "openvino-genai")
EVICTABLE = 256  # OpenVINO chooses among tokens between the first and the last ones: they need a place of their own


@dataclasses.dataclass(frozen=True)
class Cell:
    engine: str
    variant: str
    command: tuple[str, ...]
    longest: int = 1 << 30  # the longest prompt that the engine takes, or that is worth its time
    once: bool = False  # so slow that one round has to do


def cells_of(options: argparse.Namespace, length: int, ids: pathlib.Path) -> Iterator[Cell]:
    n_new, threads = str(options.new_tokens), str(options.threads)
    native = (str(options.model), str(options.text), str(length), n_new, threads)
    program, python = str(options.cell), str(options.venv / "bin" / "python")
    yield Cell("llama.cpp", "full", (program, "plain", *native))
    yield Cell("kvevict", "full", (program, "full", *native, "full"), N_TRAINED)
    yield Cell("kvevict", "full prefill, one eviction", (program, "full", *native, STRATEGY), N_TRAINED)
    yield Cell("kvevict", "bounded", (program, "bounded", *native, STRATEGY))
    torch = (python, str(HERE / "transformers_cell.py"), str(options.folder), str(ids), n_new, threads)
    keep = (str(BUDGET), str(SINK))
    native, other = ("bfloat16", "float32") if has_bfloat16() else ("float32", "bfloat16")
    yield Cell(f"transformers {native}", "full", (*torch, "full", native, *keep))
    yield Cell(f"transformers {native}", "kvpress StreamingLLM", (*torch, "streaming_llm", native, *keep), N_TRAINED)
    yield Cell(f"transformers {other}", "full", (*torch, "full", other, *keep), N_TRAINED, once=True)
    for mode, variant in (("full", "full"), ("evict", "cache eviction")):
        cell = (python, str(HERE / "openvino_cell.py"), str(options.model), str(ids), n_new, threads, mode)
        yield Cell("OpenVINO GenAI", variant, (*cell, str(BUDGET), str(SINK), str(RECENT - EVICTABLE)))


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16: which of the two types is the faster one in transformers follows from it."""
    return not {"avx512_bf16", "amx_tile"}.isdisjoint(vector_extensions())


def quiet_environment() -> dict[str, str]:
    return os.environ | {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


def measure(cell: Cell, limit: int) -> dict[str, Any]:
    environment = quiet_environment() | {"SIDE_BY_SIDE_LIMIT": str(limit)}  # the cell counts from the loaded model on
    done = subprocess.run(cell.command, capture_output=True, text=True, env=environment)
    if done.returncode == -signal.SIGALRM:
        return {"took_more_than": limit}
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        return {"failed": f"exit code {done.returncode}: {last}"}
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def make_venv(venv: pathlib.Path) -> None:
    if not (venv / "made").exists():
        print(f"==> installing the peers into {venv} (several GB)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = (venv / "bin" / "python", "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt")
        subprocess.run(pip, check=True)
        (venv / "made").touch()


def ids_of(options: argparse.Namespace, length: int) -> pathlib.Path:
    return pathlib.Path(options.work) / f"{options.model.stem}-{options.text.stem}-{length}.json"


def prepare(options: argparse.Namespace) -> None:
    """What all cells share, made once: the peers, the weights as transformers reads them, the tokens."""
    make_venv(options.venv)
    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.folder / "model.safetensors").exists():
        convert = (options.venv / "bin" / "python", HERE / "transformers_cell.py", "convert", options.model)
        subprocess.run((*convert, options.folder), check=True, env=quiet_environment())
    for length in options.lengths:
        if not ids_of(options, length).exists():
            ids = (options.cell, "ids", options.model, options.text, str(length))
            ids_of(options, length).write_text(subprocess.run(ids, check=True, capture_output=True, text=True).stdout)


def read_result(options: argparse.Namespace) -> dict[str, Any]:
    if options.output.exists():
        result: dict[str, Any] = json.loads(options.output.read_text())
        return result
    return {
        "created": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(options.venv / "bin" / "python", PACKAGES),
        "model": options.model.name,
        "text": options.text.name,
        "threads": options.threads,
        "new_tokens": options.new_tokens,
        "n_trained": N_TRAINED,
        "strategy": STRATEGY,
        "rows": [],
    }


def run(options: argparse.Namespace) -> None:
    result, begin = read_result(options), time.monotonic()
    result["rows"] = [row for row in result["rows"] if "failed" not in row]
    done = {(row["engine"], row["variant"], row["length"], row["round"]) for row in result["rows"]}
    for number in range(1, options.rounds + 1):
        for length in options.lengths:
            for cell in cells_of(options, length, ids_of(options, length)):
                key = (cell.engine, cell.variant, length, number)
                name = f"{cell.engine}, {cell.variant}"
                once = number > 1 and (cell.once or length > ONCE_BEYOND)
                if key in done or once or length > cell.longest or (options.only and options.only not in name):
                    continue
                if options.stop_after and time.monotonic() - begin > options.stop_after:
                    print("==> stopped by --stop_after; the same command goes on", file=sys.stderr)
                    return
                started = time.monotonic()
                values = measure(cell, options.limit)
                seconds = time.monotonic() - started
                print(f"{name}, {length} tokens, round {number}: {seconds:.1f} s {json.dumps(values)}", file=sys.stderr)
                row = dict(zip(("engine", "variant", "length", "round"), key, strict=True))
                result["rows"].append(row | {"shared": options.shared} | values)
                options.output.parent.mkdir(parents=True, exist_ok=True)
                options.output.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--cell", type=pathlib.Path, required=True, help="build/peers/bin/side_by_side_cell")
    parser.add_argument("--model", type=pathlib.Path, required=True, help="a GGUF file that every peer reads")
    parser.add_argument("--text", type=pathlib.Path, required=True, help="whose beginning is the prompt")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--venv", type=pathlib.Path, default=pathlib.Path(".deps/peers-venv"))
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/peers/work"))
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, N_TRAINED - 128, 32768])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new_tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=3600, help="seconds that a cell may take behind loading")
    parser.add_argument("--only", default="", help='only cells whose "engine, variant" has this in it')
    parser.add_argument("--stop_after", type=float, default=0, help="begin no cell after so many seconds")
    parser.add_argument(
        "--shared",
        action="store_true",
        help="others use the processors too: the rows count for processor seconds and memory alone",
    )
    parser.add_argument("--prepare", action="store_true", help="make what the cells need and stop")
    options = parser.parse_args()
    options.folder = options.work / options.model.stem
    for name in ("cell", "model", "text", "venv", "work", "folder"):
        setattr(options, name, getattr(options, name).absolute())
    prepare(options)
    if not options.prepare:
        run(options)


if __name__ == "__main__":
    main()
