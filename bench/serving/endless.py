#!/usr/bin/env python3
"""One conversation of 200 turns, its whole history sent with every turn as OpenAI's clients do: by llama-server with context
shift, and by kvevict serve in as many cells. Prints a part of what was said, where the peer stops, and what a turn costs here at the
beginning and at the end.

usage: endless.py --program kvevict --peer llama-server --model FILE.gguf [--turns 200] [--output FILE.json]
"""

import argparse
import json
import pathlib
import statistics
from typing import Any

import client
import servers

N_CELLS = 1024
STRATEGY = "sink_recent:40:472"  # with a chunk of 512: as many cells as the peer's context
SYSTEM = "You are a patient storyteller. Answer in one or two sentences."
TOPICS = ("the harbour at dawn", "a broken clock", "the price of bread", "an old map", "the river in flood", "a letter from abroad",
          "the night train", "a missing key", "the winter market", "a bridge of stone")  # fmt: skip


def refusal(failed: str) -> str:
    """A status and the server's own sentence, out of the body of its error."""
    status, _, body = failed.partition(": ")
    try:
        return f"{status}: {json.loads(body)['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return failed


def show(server: servers.Server, number: int, question: str, answer: client.Answer, cached: int) -> None:
    """A turn as a reader may want to see it: the first two, and every twentieth."""
    prompt = answer.usage["prompt_tokens"]
    print(f"  turn {number}")
    print(f"    user       {question}")
    print(f"    {'assistant':10} {' '.join(answer.text.split())} …")
    print(f"    {server.name}: sent {prompt} tokens of history, {cached} of them known from before, {prompt - cached} decoded", flush=True)


def converse(server: servers.Server, n_turns: int, n_new: int) -> dict[str, Any]:
    """Turns until one fails: what each cost."""
    print(f"{server.name}: {' '.join(server.words[1:])}", flush=True)
    messages = [{"role": "system", "content": SYSTEM}]
    turns: list[dict[str, Any]] = []
    with servers.running(server) as it:
        for n in range(n_turns):
            question = f"Story {n + 1}: tell me something about {TOPICS[n % len(TOPICS)]}."
            messages.append({"role": "user", "content": question})
            before = it.processor_seconds()
            answer = client.ask(it.port, messages, n_new, {})
            if answer.failed:
                print(f"  turn {n + 1}\n    user       {question}\n    {server.name}: {refusal(answer.failed)}", flush=True)
                return {"turns": turns, "failed": answer.failed, "resident_bytes": it.status("VmRSS")}
            cached = int((answer.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))
            turns.append(
                {
                    "prompt": answer.usage["prompt_tokens"],
                    "decoded": answer.usage["prompt_tokens"] - cached,
                    "made": answer.n_tokens,
                    "processor": it.processor_seconds() - before,
                    "wall": answer.ended - answer.started,
                }
            )
            messages.append({"role": "assistant", "content": answer.text})
            if n < 2 or (n + 1) % 20 == 0:
                show(server, n + 1, question, answer, cached)
            if (n + 1) % 20 == 0:
                each = [1000 * t["processor"] / (t["decoded"] + t["made"]) for t in turns[-20:]]
                print(f"    {server.name}: {statistics.median(each):.1f} ms of processor time a token (median of the last 20 turns)", flush=True)
        return {"turns": turns, "resident_bytes": it.status("VmRSS")}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("program", "peer", "model"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    peer = servers.llama_server(options.peer, options.model, 1, N_CELLS, "--context-shift", "--keep", "40")
    ours = servers.kvevict(options.program, options.model, 1, "--strategy", STRATEGY)
    measured: dict[str, Any] = {}
    for server in (peer, ours):
        measured[server.name] = converse(server, options.turns, options.new_tokens)
        done = measured[server.name]
        n_done = len(done["turns"])
        end = f"stopped at turn {n_done + 1} of {options.turns}" if "failed" in done else f"answered all {n_done} turns"
        print(f"{server.name}: {end}, {done['resident_bytes'] >> 20} MiB resident\n", flush=True)
    if options.output:
        options.output.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
