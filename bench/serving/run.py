#!/usr/bin/env python3
"""kvevict serve beside llama-server: clients with long histories who all ask at once, a first turn (the history is new) and a
second one (the whole history again, and a new message behind it). In each round the servers take turns in every cell, each a
process of its own. Rows that are in the output already are not measured again.

usage: run.py --program kvevict --peer llama-server --model FILE.gguf --text FILE --output FILE.json
"""

import argparse
import datetime
import http.client
import json
import pathlib
import statistics
import sys
from typing import Any

import client
import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from machine import machine

BUDGETS = {500: "sink_recent:16:240", 2000: "sink_recent:64:384", 6000: "sink_recent:64:960"}
CHUNKS = {500: 128, 2000: 256, 6000: 512}  # so that budget and chunk are at most a quarter of the history, but for the shortest
FOLLOW_UP = "Go on: write the next paragraph of this text in the same style, as long as you can."
MARGIN = 400  # tokens of a history beyond its text: two answers, two questions, the template


class Texts:
    """Pieces of a text of a given length in tokens; no two clients have the same one."""

    def __init__(self, text: pathlib.Path, port: int) -> None:
        self.words = text.read_text(encoding="utf-8", errors="replace").split(" ")
        sample = " ".join(self.words[:4000])
        _, tokens = client.post(port, "/tokenize", {"content": sample})
        self.words_of_a_token = 4000 / len(tokens["tokens"])

    def history(self, number: int, n_tokens: int) -> list[client.Message]:
        n_words = int(n_tokens * self.words_of_a_token)
        begin = (number * n_words) % (len(self.words) - n_words)
        text = " ".join(self.words[begin : begin + n_words])
        return [{"role": "user", "content": f"Text {number}: {text}\n\n{FOLLOW_UP}"}]


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {"median": statistics.median(ordered), "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], "max": ordered[-1]}


def summary(answers: list[client.Answer], processor_seconds: float) -> dict[str, Any]:
    failed = [a.failed for a in answers if a.failed]
    if failed:
        return {"failed": failed[0], "n_failed": len(failed)}
    wall = max(a.ended for a in answers) - min(a.started for a in answers)
    between = [b - a for answer in answers for a, b in zip(answer.pieces, answer.pieces[1:], strict=False)]
    return {
        "wall": wall,
        "processor": processor_seconds,
        "made": sum(a.n_tokens for a in answers),
        "prompt": sum(int(a.usage["prompt_tokens"]) for a in answers),
        "cached": sum(int((a.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)) for a in answers),
        "first": spread([a.pieces[0] - a.started for a in answers if a.pieces]),
        "between": spread(between),
    }


def kv_bytes_of(server: servers.Server, port: int) -> int:
    if server.kv_bytes:
        return server.kv_bytes
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith("kvevict_kv_bytes "):
            return int(float(line.split()[1]))
    return 0


def measure(server: servers.Server, n_clients: int, n_history: int, n_new: int, text: pathlib.Path) -> dict[str, Any]:
    row: dict[str, Any] = {}
    with servers.running(server) as server_is:
        texts = Texts(text, server_is.port)
        histories = [texts.history(i, n_history) for i in range(n_clients)]
        named = server.name == "kvevict"
        extras: list[dict[str, Any]] = [{"kvevict": {"conversation": f"client-{i}"}} if named else {} for i in range(n_clients)]
        for phase in ("cold", "warm"):
            before = server_is.processor_seconds()
            answers = client.ask_all(server_is.port, histories, n_new, extras)
            row[phase] = summary(answers, server_is.processor_seconds() - before)
            for history, answer in zip(histories, answers, strict=True):
                history += [{"role": "assistant", "content": answer.text}, {"role": "user", "content": FOLLOW_UP}]
        row["resident_bytes"], row["peak_bytes"] = server_is.status("VmRSS"), server_is.status("VmHWM")
        row["kv_bytes"] = kv_bytes_of(server, server_is.port)
    return row


def variants(options: argparse.Namespace, n_clients: int, n_history: int) -> list[tuple[str, servers.Server]]:
    n_context = 3 * n_history // 2 + MARGIN + 2 * options.new_tokens  # some pieces have more tokens than their length says
    budget = ("--strategy", BUDGETS[n_history], "--chunk", str(CHUNKS[n_history]))
    return [
        ("llama-server", servers.llama_server(options.peer, options.model, n_clients, n_context)),
        ("kvevict full", servers.kvevict(options.program, options.model, n_clients, "--strategy", "full")),
        (f"kvevict {BUDGETS[n_history]}", servers.kvevict(options.program, options.model, n_clients, *budget)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("program", "peer", "model", "text", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--clients", default="1,4,8,16")
    parser.add_argument("--histories", default="500,2000,6000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new-tokens", type=int, default=64)
    options = parser.parse_args()
    measured: dict[str, Any] = {"created": datetime.date.today().isoformat(), "machine": machine(), "new_tokens": options.new_tokens, "rows": []}
    if options.output.exists():
        measured = json.loads(options.output.read_text())
    done = {(r["round"], r["clients"], r["history"], r["variant"]) for r in measured["rows"]}
    for round_number in range(options.rounds):
        for n_history in (int(n) for n in options.histories.split(",")):
            for n_clients in (int(n) for n in options.clients.split(",")):
                for variant, server in variants(options, n_clients, n_history):
                    key = (round_number, n_clients, n_history, variant)
                    if key in done:
                        continue
                    row = measure(server, n_clients, n_history, options.new_tokens, options.text)
                    print(*key, row, flush=True)
                    measured["rows"].append(dict(zip(("round", "clients", "history", "variant"), key, strict=True)) | row)
                    options.output.parent.mkdir(parents=True, exist_ok=True)
                    options.output.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
