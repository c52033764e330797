#!/usr/bin/env python3
"""Writes the section of docs/benchmarks.md on bench/cache_evict from the JSON that it and bench/side_by_side.py
print; leaves the rest of the file alone. Keeps the measured rows beside it, without the machine's name.

usage: make_benchmark_docs.py --cache-evict FILE --side-by-side FILE
"""

import argparse
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- begin: cache_evict (generated) -->", "<!-- end: cache_evict -->"
HEAD = "# Benchmarks\n\nNumbers of one machine each, beside what they are held against in the same run.\n"


def rows_of(measured):
    """Benchmark's rows by case, without the decorations that Google Benchmark puts on a name."""
    rows = {}
    for row in measured["benchmarks"]:
        name = row["name"].split("/iterations:")[0].removesuffix("/manual_time")
        rows[name] = row
    return rows


def evict_table(rows, beside):
    selects = (beside.get("index_select") or {}) if beside else {}
    yield "| layers x K, V | kept | threads | moved, MB | GB/s | memmove, GB/s | ratio | index_select, ms (memory reused) | ours, ms | times faster | extra bytes, ours | index_select's copy |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, row in rows.items():
        if not name.startswith("evict/"):
            continue
        _, geometry, plan, threads = name.split("/")
        select = selects.get(f"{geometry}/{plan}/{threads}")
        ours = row["best_ms"]
        beside_cells = (f"{select['best_ms']:.1f} ({select['best_ms_memory_reused']:.1f}) | {ours:.1f} | "
                        f"{select['best_ms'] / ours:.1f} ({select['best_ms_memory_reused'] / ours:.1f})" if select
                        else f"– | {ours:.1f} | –")
        copy = f"{select['second_copy_bytes']:,}" if select else "–"
        yield (f"| {geometry} | {plan} | {threads.split(':')[1]} | {row['MB_moved']:.0f} | {row['GB_per_s']:.1f} | "
               f"{row['memmove_GB_per_s']:.1f} | {row['ratio_to_memmove']:.2f} | {beside_cells} | "
               f"{row['extra_bytes']:,.0f} | {copy} |")


def section(measured, beside):
    rows = rows_of(measured)
    context = measured["context"]
    yield BEGIN
    yield "## Eviction in place of plain K/V tensors (`bench/cache_evict`)"
    yield ""
    yield (f"{context['num_cpus']} processors at {context['mhz_per_cpu']} MHz, last cache "
           f"{max(cache['size'] for cache in context['caches']) // 2**20} MiB, load {context['load_avg'][0]:.1f} at the "
           f"start, {context['date'][:10]}. bf16; a geometry's name is the order in memory. Every time is the best of its "
           "iterations; memmove is one piece of as many bytes in the same memory on as many threads, taking turns with "
           "the eviction. `alternate` keeps every second row: the worst case. index_select allocates its result, in "
           "memory new from the system (in brackets: in memory that the allocator hands out again), and copies nothing "
           "back; the time to free the old tensors is left out. "
           "Extra bytes are the records of what the rows are (16 bytes for each range that is kept) and, where several "
           "threads share a lane, 256 KiB of stash for each.")
    yield ""
    if context["load_avg"][0] > context["num_cpus"]:
        yield ("The machine was busy with other work meanwhile: rows of several threads scatter, those of one thread less.")
        yield ""
    yield ("Ranges of whole rows move as fast as memmove. Where the sequence is innermost a range is a piece of some "
           "hundred elements for each element of a row, and in the worst case a single one; alternate rows read every "
           "second piece of memory, which drags the others along. Both are below memmove and above index_select.")
    yield ""
    yield from evict_table(rows, beside)
    yield ""
    for name, what in (("owned/evict", "evict, pages given back"), ("owned/evict_and_rerotate", "the same, then keys turned to packed positions")):
        if name in rows:
            row = rows[name]
            yield (f"- A cache that owns its memory, 32x[1,8,16384,128], 256+512 kept ({what}): {row['best_ms']:.1f} ms; "
                   f"resident {row['resident_MB_before']:,.0f} MB before, {row['resident_MB_after']:,.0f} MB after.")
    plan = rows.get("plan/1048576_tokens")
    if plan:
        loop = beside and beside["plan_1048576_tokens_ms"] * 1e3
        against = f"; the obvious Python loop {loop / 1e3:,.0f} ms, {loop / plan['real_time']:,.0f} times as long" if loop else ""
        yield f"- A plan for 1,048,576 tokens (sink 256, recent 512, 512 blocks of the middle): {plan['real_time']:.1f} µs{against}."
    if beside and beside.get("torch"):
        yield f"- PyTorch {beside['torch']}."
    yield "- CUDA: compiled for sm_80, sm_90 and sm_100, never run: no GPU could be had, so there is no number for it."
    yield END


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache-evict", type=pathlib.Path, required=True)
    parser.add_argument("--side-by-side", type=pathlib.Path)
    arguments = parser.parse_args()
    measured = json.loads(arguments.cache_evict.read_text())
    for private in ("host_name", "executable"):
        measured["context"].pop(private, None)
    beside = json.loads(arguments.side_by_side.read_text()) if arguments.side_by_side else None
    out = ROOT / "docs" / "benchmarks.md"
    text = out.read_text() if out.exists() else HEAD
    new = "\n".join(section(measured, beside))
    if BEGIN in text:
        text = text[: text.index(BEGIN)] + new + text[text.index(END) + len(END):]
    else:
        text = text.rstrip("\n") + "\n\n" + new + "\n"
    out.write_text(text)
    data = ROOT / "docs" / "benchmarks"
    data.mkdir(parents=True, exist_ok=True)
    (data / "cache_evict.json").write_text(json.dumps({"cache_evict": measured, "side_by_side": beside}, indent=1) + "\n")


if __name__ == "__main__":
    main()
