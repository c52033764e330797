#!/usr/bin/env python3
"""Writes sections of docs/benchmarks.md from the JSON that the benchmarks print; leaves the rest of the file alone. Keeps
the measured rows beside it, without the machine's name.

usage: make_benchmark_docs.py --cache-evict FILE --plain-tensors FILE   bench/cache_evict and bench/side_by_side/plain_tensors.py
       make_benchmark_docs.py --overhead FILE --policies FILE           kvevict overhead and bench/policies
       make_benchmark_docs.py --busy FILE                               bench/busy.py
       make_benchmark_docs.py --cpu-attention FILE                      bench/cpu_attention.py
       make_benchmark_docs.py --peers FILE                              bench/side_by_side/run.py
"""

import argparse
import json
import pathlib
import statistics

from cpu_sections import ATTENTION_MARKS, BUSY_MARKS, attention_section, busy_section

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
PEERS_BEGIN, PEERS_END = "<!-- begin: side_by_side (generated) -->", "<!-- end: side_by_side -->"
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


def what_prefill_costs(measured):
    """A sentence from the ratios alone."""
    plain = [s["seconds_prefill"] for s in measured["plain"]]
    ratios = {True: [], False: []}
    for run in measured["runs"]:
        median = statistics.median_low(s["seconds_prefill"] for s in run["samples"])
        ratios[run["by_attention"]].append(median / statistics.median_low(plain))
    words = {True: "by attention, which need the matrix that flash attention never writes,", False: "by position"}
    costs = "; ".join(f"those {words[kind]} {min(r):.2f} to {max(r):.2f} times" for kind, r in sorted(ratios.items()) if r)
    return (f"A prefill with a strategy takes, of llama.cpp's own: {costs}. llama.cpp's own rounds scatter from {min(plain):.2f} to "
            f"{max(plain):.2f} s, so differences of that size say nothing.")


def overhead_section(measured, policies):
    machine = measured["machine"]
    yield OVERHEAD_BEGIN
    yield "## What a strategy costs (`kvevict overhead`, `bench/policies`)"
    yield ""
    yield (f"{machine.get('processors', '?')} processors ({machine.get('cpu', '?')}), {measured['created'][:10]}; default model, a prompt of "
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


PEER_ORDER = ("llama.cpp", "kvevict", "transformers", "OpenVINO")

# What was aimed at: kvevict's variants, the phase, the length that is meant, the peers it is held against, times at least.
PEER_GOALS = (
    (("bounded",), "prefill", 8192, "transformers", 1.8),
    (("bounded",), "prefill", 32768, "transformers", 8),
    (("full prefill, one eviction", "bounded"), "decode", 8192, "llama.cpp", 3),
    (("full prefill, one eviction", "bounded"), "decode", 8192, "transformers", 15),
)


def peer_cells(measured):
    """The rows of each cell, rounds in order, by length, engine and variant."""
    cells = {}
    for row in sorted(measured["rows"], key=lambda row: (row["length"], PEER_ORDER.index(row["engine"].split()[0]))):
        cells.setdefault((row["length"], row["engine"], row["variant"]), []).append(row)
    return cells


def peer_row(key, rows, n_new):
    length, engine, variant = key
    begin = f"| {length:,} | {engine} | {variant} | "
    done = [row for row in rows if "prefill" in row]
    if not done:
        reason = rows[0].get("failed") or f"took more than {rows[0]['took_more_than']:.0f} s"
        return begin + f"{reason} | – | – | – | – | {len(rows)} |"

    def rate(phase, n):
        seconds = [row[phase]["wall"] for row in done if not row["shared"]]
        return f"{n / statistics.median(seconds):.1f} ({n / min(seconds):.1f})" if seconds else "–"

    def processor(phase, n):
        return f"{1000 * statistics.median(row[phase]['processor'] for row in done) / n:.2f}"

    peak = statistics.median(row["peak_bytes"] for row in done) / 2**20
    note = "" if not done[0]["shared"] else ", shared"
    return begin + (f"{rate('prefill', length)} | {rate('decode', n_new)} | {processor('prefill', length)} | "
                    f"{processor('decode', n_new)} | {peak:,.0f} | {len(done)}{note} |")


def peer_ratio(ours, peer, phase):
    """How many times as long the peer took, round by round where both have one: median, least, rounds, and the words
    that a reader needs with them. None if there is no such round."""
    by_round = {row["round"]: row for row in peer if "prefill" in row or ("took_more_than" in row and phase == "prefill")}
    pairs = [(row, by_round[row["round"]]) for row in ours if row["round"] in by_round and "prefill" in row]
    if not pairs:
        return None
    shared = any(row["shared"] for pair in pairs for row in pair)
    clock = "processor" if shared else "wall"
    ratios = [theirs[phase][clock] / mine[phase][clock] if "prefill" in theirs else
              theirs["took_more_than"] / mine[phase]["wall"] for mine, theirs in pairs]
    words = "more than " if any("took_more_than" in theirs for _, theirs in pairs) else ""
    return statistics.median(ratios), min(ratios), len(ratios), words, " (by processor seconds: the machine was shared)" if shared else ""


def peer_goals(measured):
    cells = peer_cells(measured)
    for variants, phase, meant, engine, goal in PEER_GOALS:
        lengths = [length for length, _, _ in cells if 0.9 * meant <= length <= meant]
        peers = sorted({key[1] for key in cells if key[1].startswith(engine)})  # also those without a row of this length
        for variant in variants if lengths else ():
            for peer in peers:
                ratio = peer_ratio(cells.get((lengths[0], "kvevict", variant), []),
                                   cells.get((lengths[0], peer, "full"), []), phase)
                if ratio is None:
                    yield (f"- {phase.capitalize()} at {lengths[0]:,} tokens, kvevict {variant} against {peer} in full: not measured. "
                           f"The goal is {goal}: not shown.")
                    continue
                median, least, n_rounds, more, clock = ratio
                verdict = ("reached" if least >= goal else "reached by the median only" if median >= goal else
                           "not shown" if more else "**falls short**")
                yield (f"- {phase.capitalize()} at {lengths[0]:,} tokens, kvevict {variant} against {peer} in full: "
                       f"{more}{median:.2f} times as fast, {f'{least:.2f} at the least' if n_rounds > 1 else 'in one round'}{clock}. The goal is {goal}: {verdict}.")


def peer_estimates(measured):
    """A prefill of n tokens takes a*n + b*n*n: what engines that were not measured at the longest length would take."""
    cells = peer_cells(measured)
    lengths = sorted({key[0] for key in cells})
    if len(lengths) < 3:
        return
    short, middle, longest = lengths[0], lengths[1], lengths[-1]

    def seconds(length, engine, variant):
        rows = cells.get((length, engine, variant), [])
        return min((row["prefill"]["wall"] for row in rows if "prefill" in row and not row["shared"]), default=None)

    ours, estimates = seconds(longest, "kvevict", "bounded"), []
    for engine in sorted({key[1] for key in cells}):
        at_short, at_middle = seconds(short, engine, "full"), seconds(middle, engine, "full")
        if engine == "kvevict" or (longest, engine, "full") in cells or not (ours and at_short and at_middle):
            continue
        b = (at_middle / middle - at_short / short) / (middle - short)
        estimate = longest * (at_short / short + b * (longest - short))
        estimates.append(f"{engine} about {estimate:.0f} s, {estimate / ours:.1f} times kvevict's bounded {ours:.0f} s")
    if estimates:
        yield (f"- Estimated, not measured: by a parabola through its best times for {short:,} and {middle:,} tokens, a prefill of "
               f"{longest:,} tokens in full would take {'; '.join(estimates)}. Rough, and no evidence for a goal: caches that outgrow "
               "the processor's own make it more.")


def peer_words(measured):
    """What the figures say, also where they speak against kvevict."""
    cells = peer_cells(measured)
    lengths = sorted({key[0] for key in cells})
    for phase in ("prefill", "decode"):
        for length in lengths:
            faster = []
            for key, rows in cells.items():
                ratio = peer_ratio(cells.get((length, "kvevict", "bounded"), []), rows, phase)
                if key[0] == length and key[1] not in ("kvevict", "llama.cpp") and ratio and not ratio[3] and ratio[0] < 1:
                    faster.append(f"{key[1]}, {key[2]} ({1 / ratio[0]:.2f} times as fast)")
            if faster:
                yield f"- At {length:,} tokens faster in {phase} than kvevict bounded: {'; '.join(faster)}."
    yield from peer_estimates(measured)
    peaks = {key: max(row["peak_bytes"] for row in rows if "prefill" in row) / 2**20 for key, rows in cells.items()
             if any("prefill" in row for row in rows)}
    bounded = sorted(peak for key, peak in peaks.items() if key[1:] == ("kvevict", "bounded"))
    if bounded:
        common = max(key[0] for key in peaks if key[1] not in ("kvevict", "llama.cpp"))
        others = "; ".join(f"{key[1]}, {key[2]}: {peak:,.0f} MiB" for key, peak in peaks.items()
                           if key[0] == common and key[1:] != ("kvevict", "bounded"))
        yield (f"- Memory: kvevict bounded takes {bounded[-1]:.0f} MiB or less, whatever the length. "
               f"At {common:,} tokens {others}.")


def peers_section(measured):
    machine, versions = measured["machine"], measured["versions"]
    threads, n_new = measured["threads"], measured["new_tokens"]
    yield PEERS_BEGIN
    yield "## Beside other engines (`bench/side_by_side`)"
    yield ""
    yield (f"{machine['processors']} processors ({machine['cpu']}, {', '.join(machine['vectors'])}), {threads} threads, "
           f"{measured['created']}; {measured['model']} in every engine, the beginning of {measured['text']} as the prompt, "
           f"{n_new} tokens decoded behind it. Budget: `{measured['strategy']}`, and as many tokens for the others that evict. "
           "Each cell is a process of its own, and loading the model is in none of its numbers. In a round the engines take turns; a run may be done in "
           "several sittings, between which this machine's speed changed by up to half, so one round is a hint and not a proof. "
           "Medians, in brackets the best. Processor seconds are those of all threads, for 1,000 tokens. "
           "Rows marked shared were measured while other work ran: they have no wall time, and contention makes their processor seconds more. "
           "Peak: all resident memory of the process after loading, weights and libraries included.")
    yield ""
    yield (f"transformers {versions['transformers']} on PyTorch {versions['torch']} has the weights of the GGUF file, dequantised "
           "(SDPA, the whole prompt in one call). "
           "This processor has no instructions for bfloat16, so float32 is the faster of the two, and the one to be held against. "
           f"kvpress {versions['kvpress']} evicts once after a full prefill. "
           f"OpenVINO GenAI {versions['openvino-genai']} reads the GGUF file itself and needs no conversion; its cache eviction "
           "(by scores) works on blocks."
           if "avx512_bf16" not in machine["vectors"] and "amx_tile" not in machine["vectors"] else
           f"transformers {versions['transformers']} on PyTorch {versions['torch']} has the weights of the GGUF file, dequantised "
           f"(SDPA, the whole prompt in one call). kvpress {versions['kvpress']} evicts once after a full prefill. "
           f"OpenVINO GenAI {versions['openvino-genai']} reads the GGUF file itself; its cache eviction (by scores) works on blocks.")
    yield ""
    yield (f"The model was trained on {measured['n_trained']:,} tokens. Beyond that a full cache is a timing and nothing else: the text "
           "that comes out is of no use, and kvevict refuses to run it. Prompts beyond it are measured once.")
    yield ""
    yield ("| prompt tokens | engine | variant | prefill, tokens/s | decode, tokens/s | prefill, processor s | decode, processor s | "
           "peak, MiB | rounds |")
    yield "|---:|---|---|---:|---:|---:|---:|---:|---:|"
    for key, rows in peer_cells(measured).items():
        yield peer_row(key, rows, n_new)
    yield ""
    yield from peer_goals(measured)
    yield ""
    yield from peer_words(measured)
    yield ""
    yield "Measure it anew: `scripts/bench_peers.sh`."
    yield PEERS_END


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
    arguments = parser.parse_args()
    if bool(arguments.overhead) != bool(arguments.policies):
        parser.error("--overhead needs --policies beside it, and the other way round")
    if not (arguments.cache_evict or arguments.overhead or arguments.busy or arguments.cpu_attention or arguments.peers):
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
    if arguments.peers:
        peers = json.loads(arguments.peers.read_text())
        put_section(peers_section(peers), PEERS_BEGIN, PEERS_END)
        keep_rows("side_by_side.json", peers)


if __name__ == "__main__":
    main()
