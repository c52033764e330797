"""The section of docs/benchmarks.md on the peers (bench/side_by_side/run.py). For make_benchmark_docs.py."""

import statistics

PEERS_BEGIN, PEERS_END = "<!-- begin: side_by_side (generated) -->", "<!-- end: side_by_side -->"
PEER_ORDER = ("llama.cpp", "kvevict", "transformers", "OpenVINO")

# What was aimed at: kvevict's variants, the phase, the length that is meant, the peers it is held against, times at least.
PEER_GOALS = (
    (("bounded",), "prefill", 8192, "transformers", 1.8),
    (("bounded",), "prefill", 32768, "transformers", 8),
    (("full prefill, one eviction", "bounded"), "decode", 8192, "llama.cpp", 3),
    (("full prefill, one eviction", "bounded"), "decode", 8192, "transformers", 15),
)


def has_bfloat16(measured):
    return not {"avx512_bf16", "amx_tile"}.isdisjoint(measured["machine"]["vectors"])


def slower_type(measured):
    """transformers in the type that the processor computes more slowly: measured once, and no goal is held against it."""
    return f"transformers {'float32' if has_bfloat16(measured) else 'bfloat16'}"


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
        peers = sorted({key[1] for key in cells if key[1].startswith(engine) and key[1] != slower_type(measured)})  # also those without a row of this length
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
    if "amx_tile" in measured["machine"]["vectors"]:
        yield ("- This processor has AMX. PyTorch and OpenVINO multiply the matrices of attention by it, too; ggml's flash attention for CPUs computes "
               "in float32 without it, and takes about half of kvevict's time in a bounded prefill here, all matrices of weights together (by AMX) a quarter.")
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
           f"This processor {'computes in' if has_bfloat16(measured) else 'has no instructions for'} bfloat16, so "
           f"{'bfloat16' if has_bfloat16(measured) else 'float32'} is taken to be the faster of the two, and the one that goals are held against. "
           f"kvpress {versions['kvpress']} evicts once after a full prefill. "
           f"OpenVINO GenAI {versions['openvino-genai']} reads the GGUF file itself and needs no conversion; its cache eviction "
           "(by scores) works on blocks.")
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
