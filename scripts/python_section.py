"""The section of docs/benchmarks.md on the Python package (bench/python). For make_benchmark_docs.py."""

import statistics

PYTHON_MARKS = ("<!-- begin: python (generated) -->", "<!-- end: python -->")
KINDS = {
    "dynamic": "DynamicCache, whole prompt",
    "dynamic_chunked": "DynamicCache, chunks of 512",
    "kvpress": "kvpress StreamingLLM, whole prompt",
    "evicting": "EvictingCache, whole prompt",
    "evicting_chunked": "EvictingCache, chunks of 512",
}
METHODS = {
    "index_select": "index_select, layer by layer",
    "index_select_all": "index_select, the copies alone",
    "in_place": "in place, `release=False`",
    "in_place_release": "in place, memory given back",
}
MIB = 2**20


def seconds(phase):
    return lambda row: row[phase]["processor"]


def peak(row):
    return row["peak_bytes"] - row["loaded_bytes"]


# What was aimed at: what is said of it, its value in a row, ours, whom it is held against, the lengths (None: each), and the
# ratio of their value to ours that is wanted at least: 2.5 times as much is 0.4 of it turned round.
GOALS = (
    ("peak memory", peak, "evicting_chunked", ("dynamic", "kvpress"), 4096, "at most 0.4", 1 / 0.4),
    ("prefill", seconds("prefill"), "evicting_chunked", ("dynamic", "kvpress"), None, "at most 0.8", 1 / 0.8),
    ("decoding", seconds("decode"), "evicting_chunked", ("dynamic",), None, "at least 1.5 times as fast", 1.5),
)
EVICTION_GOAL = 8


def cells_of(rows, *names):
    """The rows that were measured, by the values of these names, in the order of rounds."""
    cells = {}
    for row in sorted((row for row in rows if "failed" not in row), key=lambda row: row["round"]):
        cells.setdefault(tuple(row[name] for name in names), []).append(row)
    return cells


def ratios_of(theirs, ours, value):
    """Their value over ours, round by round where both have one."""
    by_round = {row["round"]: row for row in theirs}
    return [value(by_round[row["round"]]) / value(row) for row in ours if row["round"] in by_round]


def verdict(ratios, goal):
    if min(ratios) >= goal:
        return "reached"
    return "reached by the median only" if statistics.median(ratios) >= goal else "**falls short**"


def rounds_text(ratios):
    return "in one round" if len(ratios) == 1 else f"in {len(ratios)} rounds"


def two(values, digits, turn=lambda value: value):
    """Median, and the best in brackets: the least value, turned into what is shown."""
    return f"{turn(statistics.median(values)):,.{digits}f} ({turn(min(values)):,.{digits}f})"


def cache_table(measured):
    yield "| tokens | | prefill, s | processor s | peak, MiB above the model | decode, tokens/s | tokens a processor s | rows held | rounds |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    cells, n_new = cells_of(measured["rows"], "length", "kind"), measured["new_tokens"]
    failed = {(row["length"], row["kind"]): row["failed"] for row in measured["rows"] if "failed" in row}
    for length in sorted({row["length"] for row in measured["rows"]}):
        for kind, name in KINDS.items():
            rows = cells.get((length, kind))
            if not rows and (length, kind) in failed:
                yield f"| {length:,} | {name} | {failed[length, kind]} | – | – | – | – | – | 0 |"
            if not rows:
                continue

            def of(phase, clock, rows=rows):
                return [row[phase][clock] for row in rows]

            yield (f"| {length:,} | {name} | {two(of('prefill', 'wall'), 1)} | {two(of('prefill', 'processor'), 1)} | "
                   f"{two([peak(row) for row in rows], 0, lambda n: n / MIB)} | "
                   f"{two(of('decode', 'wall'), 1, lambda s: n_new / s)} | {two(of('decode', 'processor'), 1, lambda s: n_new / s)} | "
                   f"{rows[0]['held']:,} | {len(rows)} |")


def geometry_text(geometry):
    n_layers, n_heads, n_tokens, width = map(int, geometry.split("x"))
    return f"{n_layers}x2x[1,{n_heads},{n_tokens},{width}], {2 * n_layers * n_heads * n_tokens * width * 2 / MIB:,.0f} MiB"


def eviction_table(measured):
    yield "| cache | | ms | processor ms | resident before, MiB | at the peak | after | rounds |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    cells = cells_of(measured["evictions"], "geometry", "method")
    for geometry in dict.fromkeys(row["geometry"] for row in measured["evictions"]):
        for method, name in METHODS.items():
            rows = cells.get((geometry, method))
            if not rows:
                continue

            def resident(which, rows=rows):
                return statistics.median(row[f"{which}_bytes"] - row["start_bytes"] for row in rows) / MIB

            wall, processor = ([row["evict"][clock] * 1e3 for row in rows] for clock in ("wall", "processor"))
            yield (f"| {geometry_text(geometry)} | {name} | {two(wall, 1)} | {two(processor, 1)} | {resident('loaded'):,.0f} | "
                   f"{resident('peak'):,.0f} | {resident('resident'):,.0f} | {len(rows)} |")


def cache_goals(measured):
    cells = cells_of(measured["rows"], "length", "kind")
    for what, value, ours, others, at_length, words, goal in GOALS:
        for length in sorted({key[0] for key in cells}) if at_length is None else [at_length]:
            for other in others:
                begin = f"- {what.capitalize()} at {length:,} tokens, {KINDS[ours]}, against {KINDS[other]}: "
                ratios = ratios_of(cells.get((length, other), ()), cells.get((length, ours), ()), value)
                if not ratios:
                    yield f"{begin}not measured. The goal is {words}: not shown."
                elif "at most" in words:
                    yield (f"{begin}{1 / statistics.median(ratios):.2f} of it, {1 / min(ratios):.2f} at the most, {rounds_text(ratios)}. "
                           f"The goal is {words}: {verdict(ratios, goal)}.")
                else:
                    yield (f"{begin}{statistics.median(ratios):.2f} times as fast, {min(ratios):.2f} at the least, {rounds_text(ratios)}. "
                           f"The goal is {words}: {verdict(ratios, goal)}.")


def eviction_goals(measured):
    cells = cells_of(measured.get("evictions", ()), "geometry", "method")
    geometries = list(dict.fromkeys(key[0] for key in cells))
    if not geometries:
        yield f"- Eviction without release against index_select: not measured. The goal is at least {EVICTION_GOAL} times as fast: not shown."
    for geometry in geometries:
        ours = cells.get((geometry, "in_place"), ())
        ratios = ratios_of(cells.get((geometry, "index_select"), ()), ours, seconds("evict"))
        copies = ratios_of(cells.get((geometry, "index_select_all"), ()), ours, seconds("evict"))
        if ratios:
            beside = f" ({statistics.median(copies):.1f} times where its old tensors stay)" if copies else ""
            yield (f"- Eviction without release, {geometry_text(geometry)}, against index_select layer by layer: "
                   f"{statistics.median(ratios):.1f} times as fast, {min(ratios):.1f} at the least, {rounds_text(ratios)}{beside}. "
                   f"The goal is at least {EVICTION_GOAL}: {verdict(ratios, EVICTION_GOAL)}.")


def words_against(measured):
    """Where the others are better, which no goal says."""
    cells = cells_of(measured["rows"], "length", "kind")
    for what, value in (("prefill", seconds("prefill")), ("decoding", seconds("decode"))):
        for ours in ("evicting", "evicting_chunked"):
            found = []
            for (length, kind), rows in cells.items():
                ratios = ratios_of(rows, cells.get((length, ours), ()), value)
                if not kind.startswith("evicting") and ratios and statistics.median(ratios) < 1:
                    found.append(f"{KINDS[kind]} at {length:,} tokens ({1 / statistics.median(ratios):.2f} times as fast)")
            if found:
                yield f"- Faster in {what} than {KINDS[ours]}: {'; '.join(found)}."


def head(measured):
    machine, threads = measured.get("machine", {}), measured.get("threads", 1)
    where = f"{machine.get('processors', '?')} processors ({', '.join([machine.get('cpu', '?'), *machine.get('vectors', ())])})"
    versions = measured.get("versions", {})
    ours, peers = versions.get("kvevict", {}), versions.get("kvpress", {})
    texts = [f"{where}, of which each process uses {threads}, {measured.get('created', 'no date')}; float32, SDPA; budget "
             f"`{measured.get('strategy', 'sink_recent:256:512')}`, for kvpress as many tokens by its ratio; "
             f"{measured['new_tokens']} tokens decoded behind the prompt, decode slack {measured.get('slack', 64)}."]
    if measured.get("model"):
        texts.append(f"{measured['model']}, its weights dequantised.")
    if ours:
        texts.append(f"transformers {ours['transformers']} on PyTorch {ours['torch']}; "
                     + (f"kvpress {peers['kvpress']} on transformers {peers['transformers']}." if peers else "without kvpress."))
    texts.append("Each cell is a process of its own; what loading the model and a first short call take is in none of its numbers. In a round "
                 "all take turns, and each round begins with another. Medians, in brackets the best. Goals are judged round by round, by "
                 "processor seconds (of all threads) and by peaks of resident memory: *reached* is said if every round does.")
    return " ".join(texts)


def python_section(measured):
    yield PYTHON_MARKS[0]
    yield "## The Python package beside DynamicCache and kvpress (`bench/python`)"
    yield ""
    yield head(measured)
    yield ""
    yield from cache_table(measured)
    yield ""
    if measured.get("evictions"):
        yield ("Rows evicted once from a full DynamicCache, bfloat16, 256 + 512 + 512 of the middle kept. Resident memory is that above the "
               "process before the cache was made. index_select layer by layer lets go of a layer's old tensors before the next one, as caches in Python "
               "do; \"the copies alone\" leaves that out of its time, as `release=False` does.")
        yield ""
        yield from eviction_table(measured)
        yield ""
    yield from cache_goals(measured)
    yield from eviction_goals(measured)
    yield from words_against(measured)
    yield ""
    yield "Measure it anew: `scripts/bench_python.sh`."
    yield PYTHON_MARKS[1]
