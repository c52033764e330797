"""The sections of docs/benchmarks.md on the CPU: beside other programs (bench/busy.py), and with and without flash
attention (bench/cpu_attention.py). For make_benchmark_docs.py."""

import statistics

BUSY_MARKS = ("<!-- begin: busy (generated) -->", "<!-- end: busy -->")
ATTENTION_MARKS = ("<!-- begin: cpu_attention (generated) -->", "<!-- end: cpu_attention -->")
THEIRS, OURS, ASLEEP, ONE = "llama.cpp's threads", "kvevict", "sleeping at once", "one thread"


def median(samples, key):
    return statistics.median_low(s[key] for s in samples)


def counted(rounds):
    return "one round" if rounds == 1 else f"{rounds} rounds"


def busy_speeds(measured):
    """(neighbours, phase) -> way -> median tokens/s, and wall and processor seconds of the run."""
    speeds = {}
    for case in measured["cases"]:
        row = {key: median(case["samples"], key) for key in ("tokens_per_second", "wall", "processor")}
        speeds.setdefault((case["neighbours"], case["phase"]), {})[case["way"]] = row
    return speeds


def busy_section(measured):
    begin, end = BUSY_MARKS
    yield begin
    yield "## Beside other programs (`bench/busy.py`)"
    yield ""
    phases = measured["phases"]
    yield (f"{measured['processors']} processors ({measured['cpu']}), {measured['created']}, default model, {counted(measured['rounds'])} in which all ways "
           "take turns; medians. A neighbour is a program that computes without a pause. "
           f"Prefill: {phases['prefill'][0]:,} tokens; decode: {phases['decode'][1]} tokens behind {phases['decode'][0]}. "
           "llama.cpp's threads: one for each core, whatever else runs; sleeping at once: the same with `--poll 0`. In brackets: wall and "
           "processor seconds of the whole run, with loading the model.")
    yield ""
    ways = (THEIRS, OURS, ASLEEP, ONE)
    yield "| neighbours | phase | " + " | ".join(f"{way}, tokens/s" for way in ways) + " | ours to llama.cpp's | ours to the better of the last two |"
    yield "|---:|---|" + "---:|" * (len(ways) + 2)
    for (n, phase), rows in busy_speeds(measured).items():
        cells = [f"{rows[way]['tokens_per_second']:.1f} ({rows[way]['wall']:.1f}, {rows[way]['processor']:.1f})" for way in ways]
        ours = rows[OURS]["tokens_per_second"]
        best = max(rows[ASLEEP]["tokens_per_second"], rows[ONE]["tokens_per_second"])
        yield f"| {n} | {phase} | " + " | ".join(cells) + f" | {ours / rows[THEIRS]['tokens_per_second']:.2f} | {ours / best:.2f} |"
    yield ""
    yield from busy_words(measured)
    yield end


def busy_words(measured):
    speeds = busy_speeds(measured)
    quiet, busy = [], []
    for (n, phase), rows in speeds.items():
        ours, theirs = rows[OURS]["tokens_per_second"], rows[THEIRS]["tokens_per_second"]
        best = max(rows[ASLEEP]["tokens_per_second"], rows[ONE]["tokens_per_second"])
        if n == 0 and ours < 0.97 * theirs:
            quiet.append(f"{phase} loses {100 * (1 - ours / theirs):.0f} %")
        if n > 0 and ours * 1.3 < best:
            busy.append(f"{phase} beside {n}: {ours / best:.2f}")
    yield ("Goal: at most 3 % lost alone" + (" (missed: " + ", ".join(quiet) + ")" if quiet else " (held)")
           + ", and beside others at least 1 / 1.3 of the better of threads that sleep at once and a single thread"
           + (" (missed: " + ", ".join(busy) + ")." if busy else " (held)."))


def attention_section(measured):
    begin, end = ATTENTION_MARKS
    yield begin
    yield "## Attention and element types on a CPU (`bench/cpu_attention.py`)"
    yield ""
    lengths = sorted({case["tokens"] for case in measured["cases"]})
    yield (f"Default model, {measured['created']}, a processor with {', '.join(measured['instructions']) or 'neither AVX2 nor AVX-512'}; "
           f"{counted(measured['rounds'])} in turn, medians: prefill / decode behind it, tokens per second.")
    yield ""
    yield "| | " + " | ".join(f"{n:,} tokens" for n in lengths) + " |"
    yield "|---|" + "---:|" * len(lengths)
    cells = {(case["way"], case["tokens"]): case["samples"] for case in measured["cases"]}
    for way in dict.fromkeys(case["way"] for case in measured["cases"]):
        row = [f"{median(cells[way, n], 'prefill'):.0f} / {median(cells[way, n], 'decode'):.1f}" for n in lengths]
        yield f"| {way} | " + " | ".join(row) + " |"
    yield ""
    best = {n: max((way for way, tokens in cells if tokens == n and ", f16," in way), key=lambda way, n=n: median(cells[way, n], "prefill"))
            for n in lengths}
    yield ("Fastest prefill with f16: " + "; ".join(f"{n:,} tokens: {best[n]}" for n in lengths) + ". The default is flash attention with 512 tokens at "
           "once, which also needs no memory for a matrix of attention; `--flash_attention off` is there where decoding counts more.")
    yield end
