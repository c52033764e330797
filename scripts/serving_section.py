"""The section of docs/benchmarks.md on servers (bench/serving). For make_benchmark_docs.py."""

import statistics

SERVING_MARKS = ("<!-- begin: serving (generated) -->", "<!-- end: serving -->")


def cells_of(measured):
    cells = {}
    for row in sorted(measured["rows"], key=lambda r: (r["history"], r["clients"])):
        cells.setdefault((row["history"], row["clients"]), {}).setdefault(row["variant"], []).append(row)
    return cells


def median(rows, phase, *path):
    def value(row):
        found = row[phase]
        for name in path:
            found = found[name]
        return found
    return statistics.median(value(row) for row in rows)


def rate(rows, phase):
    """Tokens of answers a second, all clients together, from the first request to the last token: the median round."""
    return statistics.median(row[phase]["made"] / row[phase]["wall"] for row in rows)


def ratio(peer, ours, phase):
    """Ours over the peer's in the same round: median and least."""
    theirs = {row["round"]: row for row in peer}
    ratios = [(row[phase]["made"] / row[phase]["wall"]) / (theirs[row["round"]][phase]["made"] / theirs[row["round"]][phase]["wall"])
              for row in ours if row["round"] in theirs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f})" if ratios else "–"


def row_text(history, n_clients, variant, rows, peer):
    begin = f"| {history:,} | {n_clients} | {variant} | "
    failed = [row[phase]["failed"] for row in rows for phase in ("cold", "warm") if "failed" in row[phase]]
    if failed:
        return begin + f"{failed[0][:80]} |" + " – |" * 9
    text = begin
    for phase in ("cold", "warm"):
        text += (f"{rate(rows, phase):.1f} | {ratio(peer, rows, phase) if peer and rows is not peer else '1'} | "
                 f"{median(rows, phase, 'first', 'median'):.1f} / {median(rows, phase, 'first', 'max'):.1f} | "
                 f"{1000 * median(rows, phase, 'between', 'median'):.0f} / {1000 * median(rows, phase, 'between', 'p95'):.0f} | ")
    return text + f"{statistics.median(row['kv_bytes'] for row in rows) / 2**20:,.0f} | {statistics.median(row['peak_bytes'] for row in rows) / 2**20:,.0f} |"


def endless_lines(measured):
    yield ""
    yield ("One conversation of 200 turns, the whole history sent with every turn (`bench/serving/endless.py`), both servers with 1,024 cells; "
           "llama-server with `--context-shift --keep 40`:")
    yield ""
    yield "| server | turns answered | then | history of the last turn, tokens | of them decoded | processor ms a token, turns 11 to 20 | the last 10 turns | resident, MiB |"
    yield "|---|---:|---|---:|---:|---:|---:|---:|"
    for name, one in measured.items():
        turns = one["turns"]

        def cost(some):
            return statistics.median(1000 * t["processor"] / (t["decoded"] + t["made"]) for t in some)
        end = one.get("failed", "–").split(":")[0]
        yield (f"| {name} | {len(turns)} | {end} | {turns[-1]['prompt']:,} | {turns[-1]['decoded']} | {cost(turns[10:20]):.1f} | {cost(turns[-10:]):.1f} | "
               f"{one['resident_bytes'] / 2**20:,.0f} |")


def goal_lines(measured):
    """What was aimed at where clients have 2,000 to 6,000 tokens of history: twice llama-server's tokens a second, a quarter of its K and V."""
    for (history, n_clients), variants in cells_of(measured).items():
        peer = [row for row in variants.get("llama-server", []) if all("failed" not in row[phase] for phase in ("cold", "warm"))]
        if n_clients != 8 or not 2000 <= history <= 6000 or not peer:
            continue
        for variant, rows in variants.items():
            if variant in ("llama-server", "kvevict full"):
                continue
            share = statistics.median(row["kv_bytes"] for row in rows) / statistics.median(row["kv_bytes"] for row in peer)
            speeds = []
            for phase in ("cold", "warm"):
                times = rate(rows, phase) / rate(peer, phase)
                speeds.append(f"{phase} {times:.2f} times as many tokens a second ({'reached' if times >= 2 else '**falls short**'})")
            yield (f"- {n_clients} clients, {history:,} tokens, {variant}: {', '.join(speeds)}, in {share:.2f} of the K and V "
                   f"({'reached' if share <= 0.25 else '**falls short**'}). The goals are 2 and 0.25.")


def machine_lines(measured):
    """A table of its own for each machine: numbers of two are not held against each other."""
    machine = measured["machine"]
    yield f"{machine['processors']} processors ({', '.join([machine['cpu'], *machine['vectors']])}), {measured['created']}, up to {measured['new_tokens']} new tokens:"
    yield ""
    yield "| history | clients | server | cold, tokens/s | ratio | first, s | between, ms | warm, tokens/s | ratio | first, s | between, ms | K and V, MiB | peak resident, MiB |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (history, n_clients), variants in cells_of(measured).items():
        for variant, rows in variants.items():
            yield row_text(history, n_clients, variant, rows, variants.get("llama-server"))
    yield ""
    yield from goal_lines(measured)


def serving_section(machines, endless):
    yield SERVING_MARKS[0]
    yield "## A server for many conversations (`bench/serving`)"
    yield ""
    yield ("SmolLM2-135M-Instruct.Q8_0.gguf; clients that all ask at once, each with a history of its own, greedy. "
           "Cold: the history is new. Warm: the whole history again, with the answer and a new "
           "message behind it. Tokens a second: of all answers together, from the first request to the last token, so that prompts are in it. The ratio "
           "is to llama-server in the same round: median (least). First: seconds to the first text, median / slowest client. Between: ms between two pieces of text, "
           "median / 95 %. K and V: what the settings reserve. Medians of the rounds; all variants take turns in each. llama-server with `-np CLIENTS -c` as many cells as the "
           "histories need, `kvevict serve` with `--parallel CLIENTS` and the strategy named, `full`: without eviction.")
    for measured in machines:
        yield ""
        yield from machine_lines(measured)
    if endless:
        yield from endless_lines(endless)
    yield SERVING_MARKS[1]
