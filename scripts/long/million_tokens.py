#!/usr/bin/env python3
"""Streams 1,000,000 tokens of real text through a budget of 1,024 tokens of the default model, and checks that nothing grows.

usage: million_tokens.py [N_TOKENS] [CHUNK]

Goes on where an earlier run of it was cut off: the checkpoint and a line for every chunk are kept under results/long. Two hours.
Checked, from the lines of the program (cells are llama.cpp's own count of occupied ones):
  - cells in use never above budget + chunk;
  - resident memory at the end within 1 % of that after the first 20,000 tokens (a process that goes on from a checkpoint holds some
    20 MiB more for its first 20,000 tokens: what reading it has freed is handed out again by and by);
  - median processor time of a chunk in the last tenth at most 1.05 of that in the first tenth, after 20,000 tokens of warm-up, both
    as shares of a fresh process's.
A machine's own speed may change over hours (its neighbours, its temperature). So the stream is stopped every ten minutes for a
control, a fresh process over the first chunks of the same text, and the times are compared as shares of the nearest control's, too;
these decide.
"""

import json
import signal
import statistics
import subprocess
import sys

import common

CONTROL_EVERY = 600  # seconds
WARM_UP = 20000
BUDGET = 1024


def stream_words(n_tokens, chunk):
    words = [common.PROGRAM, "stream", common.text("million.txt"), "--json", "--total_tokens", n_tokens, "--chunk", chunk,
             "--report_every", chunk, "--strategy", f"sink_recent:4:{BUDGET - 4}"]
    return [str(w) for w in words]


def control_seconds(chunk):
    """Median processor seconds of a chunk of a fresh process once its cache is full."""
    n_first = (BUDGET // chunk + 2) * chunk
    lines = subprocess.run(stream_words(n_first + 4 * chunk, chunk), capture_output=True, text=True, check=True).stdout.splitlines()
    reports = [json.loads(line) for line in lines]
    return statistics.median(b["cpu_seconds"] - a["cpu_seconds"] for a, b in zip(reports, reports[1:]) if a["tokens_seen"] >= n_first)


def stream(n_tokens, chunk, lines_file, checkpoint):
    def note(record):
        with open(lines_file, "a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")

    note({"control": control_seconds(chunk)})
    note({"process": "start"})
    with open(lines_file, "a", encoding="utf-8") as out:
        process = subprocess.Popen(stream_words(n_tokens, chunk) + ["--checkpoint", str(checkpoint), "--checkpoint_every", "10000"], stdout=out)
    while True:
        try:
            code = process.wait(timeout=CONTROL_EVERY)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGSTOP)
            try:
                note({"control": control_seconds(chunk)})
            finally:
                process.send_signal(signal.SIGCONT)
    note({"control": control_seconds(chunk)})
    return code


def read_processes(lines_file):
    """The reports of each process, those lost behind its last checkpoint replaced by the next one's."""
    processes = []
    if not lines_file.exists():
        return processes
    for line in open(lines_file, encoding="utf-8"):
        try:
            report = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that a kill cut short
        if "control" in report:
            continue
        if "process" in report:
            processes.append([])
        else:
            processes[-1].append(report)
    for earlier, later in zip(processes, processes[1:]):
        if later:
            earlier[:] = [r for r in earlier if r["tokens_seen"] < later[0]["tokens_seen"]]
    return [p for p in processes if p]


def chunk_seconds(processes, chunk):
    """(tokens seen, processor seconds) of every whole chunk but the first of a process."""
    for reports in processes:
        for before, after in zip(reports, reports[1:]):
            if after["tokens_seen"] - before["tokens_seen"] == chunk:
                yield after["tokens_seen"], after["cpu_seconds"] - before["cpu_seconds"]


def controls(lines_file):
    """(tokens seen by then, the control's seconds), in the order of time."""
    n_seen = 0
    for line in open(lines_file, encoding="utf-8"):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        n_seen = record.get("tokens_seen", n_seen)
        if "control" in record:
            yield n_seen, record["control"]


def main():
    n_tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chunk = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    common.RESULTS.mkdir(parents=True, exist_ok=True)
    stem = f"stream-{n_tokens}-{chunk}"
    lines_file, checkpoint = common.RESULTS / f"{stem}.jsonl", common.RESULTS / f"{stem}.kvevict"
    checks = common.Checks(stem)
    if any(report["tokens_seen"] == n_tokens for reports in read_processes(lines_file) for report in reports):
        lines_file.unlink()  # an earlier run came to its end: this is another
        checkpoint.unlink(missing_ok=True)
    checks.expect(stream(n_tokens, chunk, lines_file, checkpoint) == 0, "the stream ran to its end")
    judge(checks, n_tokens, chunk, lines_file)
    checks.finish()


def judge(checks, n_tokens, chunk, lines_file):
    processes = read_processes(lines_file)
    reports = [r for p in processes for r in p]
    last = processes[-1]
    warm = next((r for r in reports if r["tokens_seen"] >= WARM_UP), reports[0])
    resident = last[-1]["resident_bytes"] / warm["resident_bytes"]
    seconds = list(chunk_seconds(processes, chunk))
    span = n_tokens - WARM_UP
    known = list(controls(lines_file))

    def tenth(is_in, share_of=lambda n: 1.0):
        return statistics.median(s / share_of(n) for n, s in seconds if is_in(n))

    def nearest_control(n):
        return min(known, key=lambda control: abs(control[0] - n))[1]

    def is_first(n):
        return WARM_UP < n <= WARM_UP + span / 10

    def is_last(n):
        return n > n_tokens - span / 10

    first, final = tenth(is_first), tenth(is_last)
    first_share, final_share = tenth(is_first, nearest_control), tenth(is_last, nearest_control)

    checks.figure("tokens seen", reports[-1]["tokens_seen"])
    checks.figure("processes", len(processes))
    checks.figure("most cells in use", max(r["cells_used"] for r in reports))
    checks.figure("resident MiB after warm-up", round(warm["resident_bytes"] / 2**20, 2))
    checks.figure("resident MiB at the end", round(last[-1]["resident_bytes"] / 2**20, 2))
    checks.figure("processor seconds a chunk, first tenth", round(first, 3))
    checks.figure("processor seconds a chunk, last tenth", round(final, 3))
    checks.figure("median tokens a second", round(statistics.median(r["tokens_per_second"] for r in reports), 1))
    checks.figure("perplexity of the last window", round(reports[-1]["perplexity"], 3))
    checks.figure("packs", sum(p[-1]["packs"] for p in processes))
    checks.expect(reports[-1]["tokens_seen"] == n_tokens, f"{n_tokens} tokens were streamed")
    checks.expect(all(r["cells_used"] <= BUDGET + chunk for r in reports), f"never more than {BUDGET + chunk} cells in use")
    checks.expect(abs(resident - 1) <= 0.01, f"resident memory at the end is {resident:.4f} of that after the warm-up (within 1 %)")
    checks.figure("the same as a share of a fresh process's, first tenth", round(first_share, 3))
    checks.figure("the same as a share of a fresh process's, last tenth", round(final_share, 3))
    ends_at = f"ends at {final / first:.3f} of its beginning; against fresh processes of the same time at {final_share / first_share:.3f}"
    checks.expect(final_share / first_share <= 1.05, f"a chunk's median processor time {ends_at} (this at most 1.05)")


if __name__ == "__main__":
    main()
