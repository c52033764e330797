#!/usr/bin/env python3
"""Writes sections of docs/benchmarks.md from the JSON that the benchmarks print; leaves the rest of the file alone. Keeps
the measured rows beside it, without the machine's name.

usage: make_benchmark_docs.py --cache-evict FILE --plain-tensors FILE   bench/cache_evict and bench/side_by_side/plain_tensors.py
       make_benchmark_docs.py --overhead FILE --policies FILE           kvevict overhead and bench/policies
       make_benchmark_docs.py --busy FILE                               bench/busy.py
       make_benchmark_docs.py --cpu-attention FILE                      bench/cpu_attention.py
       make_benchmark_docs.py --peers FILE                              bench/side_by_side/run.py
       make_benchmark_docs.py --serving FILE... --endless FILE           bench/serving/run.py and bench/serving/endless.py
       make_benchmark_docs.py --python FILE                             bench/python/run.py
"""

import argparse
import collections
import json
import pathlib
import statistics

from cpu_sections import ATTENTION_MARKS, BUSY_MARKS, attention_section, busy_section
from peers_section import PEERS_BEGIN, PEERS_END, peers_section
from python_section import PYTHON_MARKS, python_section
from serving_section import SERVING_MARKS, serving_section

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Looked into on 2026-11-28, on the same kind of machine: two processors, shared with other work.
SLOW_ROWS = (
    "Two kinds of rows were looked into. A ratio well below 1 for ranges of whole rows on two threads (0.75 once, for "
    "32x[1,8,16384,128] with 512 of the middle) is scatter: when another program holds one of the two processors, whichever "
    "of the two is timed just then does half as much. Five more runs of that row gave 0.94 to 1.18, with memmove itself between 1.4 and "
    "14.2 GB/s.",
    "",
    "Where the sequence is innermost the ratio of 0.44 is real, and the pattern's and not the program's. A lane is 32 KiB, of which 1 KiB "
    "moves: every piece lies in other pages, and a processor's prefetching stops at the end of a page. A loop of memmove "
    "over such pieces and nothing else got 0.51 to 0.57 of one piece in three runs (0.66 in huge pages), the eviction 0.45 to 0.49. "
    "Fetching the next lane's lines ahead gained nothing.",
)
BEGIN, END = "<!-- begin: cache_evict (generated) -->", "<!-- end: cache_evict -->"
OVERHEAD_BEGIN, OVERHEAD_END = "<!-- begin: overhead (generated) -->", "<!-- end: overhead -->"
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
    yield from SLOW_ROWS
    yield ""
    yield from evict_table(rows, beside)
    yield ""
    for name, what in (("owned/evict", "evict, pages given back"), ("owned/evict_and_rerotate", "the same, then keys rotated to packed positions")):
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


def overhead_table(measured):
    def of(samples, key):
        values = [s[key] for s in samples]
        return statistics.median_low(values), min(values)

    n_new = measured["new_tokens"]
    plain_prefill, plain_decode = of(measured["plain"], "seconds_prefill"), of(measured["plain"], "seconds_decode")
    plain_memory = of(measured["plain"], "resident_bytes")
    yield "| strategy | positions | prefill, s | ratio | decide, ms | move, ms | memory, MiB | KV after, MiB | decode, tokens/s | ratio |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    yield f"| llama.cpp alone | – | {plain_prefill[0]:.3f} ({plain_prefill[1]:.3f}) | 1 | – | – | {plain_memory[0] / 2**20:.1f} | – | {n_new / plain_decode[0]:.1f} ({n_new / plain_decode[1]:.1f}) | 1 |"
    for run in measured["runs"]:
        samples = run["samples"]
        prefill, decode = of(samples, "seconds_prefill"), of(samples, "seconds_decode")
        decide, move = of(samples, "seconds_decide"), of(samples, "seconds_move")
        memory, kv = of(samples, "resident_bytes"), of(samples, "kv_bytes_after")
        yield (f"| `{run['run']['name']}` | {run['positions']} | {prefill[0]:.3f} ({prefill[1]:.3f}) | {prefill[0] / plain_prefill[0]:.2f} | "
               f"{1e3 * decide[0]:.3f} ({1e3 * decide[1]:.3f}) | {1e3 * move[0]:.1f} ({1e3 * move[1]:.1f}) | {memory[0] / 2**20:.1f} | "
               f"{kv[0] / 2**20:.1f} | {n_new / decode[0]:.1f} ({n_new / decode[1]:.1f}) | {plain_decode[0] / decode[0]:.2f} |")


KIND_OF = {
    "keydiff": "by keys",
    "h2o": "by the attention of all queries, whose matrix flash attention never writes,",
    "snapkv": "by the attention of the last queries",
    "tova": "by the attention of the last queries",
}


def what_prefill_costs(measured):
    """A sentence from the ratios alone."""
    plain = [s["seconds_prefill"] for s in measured["plain"]]
    ratios = collections.defaultdict(list)
    for run in measured["runs"]:
        median = statistics.median_low(s["seconds_prefill"] for s in run["samples"])
        ratios[KIND_OF.get(run["run"]["name"].split(":")[0], "by position")].append(median / statistics.median_low(plain))
    spans = {kind: sorted({f"{min(r):.2f}", f"{max(r):.2f}"}) for kind, r in ratios.items()}
    costs = "; ".join(f"those {kind} {' to '.join(span)} times" for kind, span in spans.items())
    return (f"A prefill with a strategy takes, of llama.cpp's own: {costs}. llama.cpp's own rounds scatter from {min(plain):.2f} to "
            f"{max(plain):.2f} s, so differences of that size say nothing. snapkv and tova go on reading the attention of the newest queries "
            "while tokens are decoded, for the next eviction: that costs most of what the smaller cache saves. keydiff copies the keys into "
            "memory that is new to the process each time; where the host of a virtual machine has to find it first, that takes longer than "
            "the rest of the decision, which the best round shows.")


def overhead_section(measured, policies):
    machine = measured["machine"]
    yield OVERHEAD_BEGIN
    yield "## What a strategy costs (`kvevict overhead`, `bench/policies`)"
    yield ""
    yield (f"{machine.get('processors', '?')} processors ({machine.get('cpu', '?')}), {measured['created'][:10]}; {measured['runs'][0]['run']['model']['file']}, a prompt of "
           f"{measured['prompt_tokens']:,} tokens in full, one eviction, {measured['new_tokens']} tokens decoded behind it; "
           f"{len(measured['plain'])} rounds in which llama.cpp alone and all strategies take turns. Medians, in brackets the best; "
           "ratios are to llama.cpp's own calls in the same run (prefill: lower is better; decode: higher is better). Decide: the plan, with gathering "
           "the attention where it is asked for; move: the kept rows into a cache of the right size; memory: by which the process has grown "
           "before or after the eviction, where it is more (medians).")
    yield ""
    yield from overhead_table(measured)
    yield ""
    yield what_prefill_costs(measured)
    yield ""
    yield "The plan alone, without a model, 30 layers (those by attention: with the scores at hand):"
    yield ""
    rows = rows_of(policies)
    lengths = sorted({int(name.split("/")[2]) for name in rows if name.startswith("plan/")})
    yield "| strategy | " + " | ".join(f"first plan of {n:,} tokens, ms" for n in lengths) + " | the next chunk of 512 in a full cache, ms |"
    yield "|---|" + "---:|" * (len(lengths) + 1)
    unit = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
    ms = {name: row["real_time"] * unit[row["time_unit"]] for name, row in rows.items()}
    for name in [n.split("/")[1] for n in rows if n.startswith("step/")]:
        cells = [f"{ms[f'plan/{name}/{n}']:.4f}" if f"plan/{name}/{n}" in ms else "–" for n in lengths]
        yield f"| `{name}` | " + " | ".join(cells) + f" | {ms[f'step/{name}']:.4f} |"
    yield OVERHEAD_END


def put_section(lines, begin, end):
    out = ROOT / "docs" / "benchmarks.md"
    text = out.read_text() if out.exists() else HEAD
    new = "\n".join(lines)
    if begin in text:
        text = text[: text.index(begin)] + new + text[text.index(end) + len(end):]
    else:
        text = text.rstrip("\n") + "\n\n" + new + "\n"
    out.write_text(text)


def keep_rows(name, rows):
    data = ROOT / "docs" / "benchmarks"
    data.mkdir(parents=True, exist_ok=True)
    (data / name).write_text(json.dumps(rows, indent=1) + "\n")


def read_rows(path):
    """What Google Benchmark printed, without the machine's name."""
    measured = json.loads(path.read_text())
    for private in ("host_name", "executable"):
        measured["context"].pop(private, None)
    return measured


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache-evict", type=pathlib.Path)
    parser.add_argument("--plain-tensors", type=pathlib.Path)
    parser.add_argument("--overhead", type=pathlib.Path)
    parser.add_argument("--policies", type=pathlib.Path)
    parser.add_argument("--busy", type=pathlib.Path)
    parser.add_argument("--cpu-attention", type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path)
    parser.add_argument("--serving", type=pathlib.Path, nargs="+", help="one file for each machine")
    parser.add_argument("--endless", type=pathlib.Path)
    parser.add_argument("--python", type=pathlib.Path)
    arguments = parser.parse_args()
    if bool(arguments.overhead) != bool(arguments.policies):
        parser.error("--overhead needs --policies beside it, and the other way round")
    if not any(value for name, value in vars(arguments).items() if name not in ("plain_tensors", "endless")):
        parser.error("nothing to write: name what was measured")
    if arguments.cache_evict:
        measured = read_rows(arguments.cache_evict)
        beside = json.loads(arguments.plain_tensors.read_text()) if arguments.plain_tensors else None
        put_section(section(measured, beside), BEGIN, END)
        keep_rows("cache_evict.json", {"cache_evict": measured, "plain_tensors": beside})
    if arguments.busy:
        busy = json.loads(arguments.busy.read_text())
        put_section(busy_section(busy), *BUSY_MARKS)
        keep_rows("busy.json", busy)
    if arguments.cpu_attention:
        attention = json.loads(arguments.cpu_attention.read_text())
        put_section(attention_section(attention), *ATTENTION_MARKS)
        keep_rows("cpu_attention.json", attention)
    if arguments.overhead:
        overhead, policies = json.loads(arguments.overhead.read_text()), read_rows(arguments.policies)
        put_section(overhead_section(overhead, policies), OVERHEAD_BEGIN, OVERHEAD_END)
        keep_rows("overhead.json", {"overhead": overhead, "policies": policies})
    if arguments.serving:
        serving = [json.loads(file.read_text()) for file in arguments.serving]
        endless = json.loads(arguments.endless.read_text()) if arguments.endless else None
        put_section(serving_section(serving, endless), *SERVING_MARKS)
        keep_rows("serving.json", {"serving": serving, "endless": endless})
    if arguments.peers:
        peers = json.loads(arguments.peers.read_text())
        put_section(peers_section(peers), PEERS_BEGIN, PEERS_END)
        keep_rows("side_by_side.json", peers)
    if arguments.python:
        python = json.loads(arguments.python.read_text())
        put_section(python_section(python), *PYTHON_MARKS)
        keep_rows("python.json", python)


if __name__ == "__main__":
    main()
