#!/usr/bin/env python3
"""What does not grow with the age of a conversation, nor with their number. By kvevict serve alone:
  turns   turn 1,000 of a conversation beside turn 20 of another one, taking turns: what each costs
  idle    1,000 conversations in a store: their bytes on the disk, and the time that one takes to come back

usage: lasting.py [STAGE...] --program kvevict --model FILE.gguf [--turns 1000] [--conversations 1000] [--output FILE.json]
"""

import argparse
import json
import pathlib
import random
import statistics
import tempfile
from collections.abc import Sequence
from typing import Any

import client
import servers

STRATEGY = "sink_recent:16:240"
CHUNK = 128
YOUNG = range(16, 25)  # turns of a young conversation that are measured: around the 20th, when it evicts as the old one does
ROOM = 64 * 1024  # bytes that a stored conversation may take beside its state
TOPICS = ("harbour", "clock", "bread", "map", "river", "letter", "train", "key", "market", "bridge")


class Talk:
    """A conversation whose whole history goes with every turn; all turns ask for the same number of tokens."""

    def __init__(self, server: servers.Running, name: str, n_new: int) -> None:
        self.server, self.name, self.n_new, self.n_turns = server, name, n_new, 0
        self.messages: list[client.Message] = []

    def turn(self) -> dict[str, float]:
        self.n_turns += 1
        self.messages.append({"role": "user", "content": f"Story {self.n_turns:04}: tell me about the {TOPICS[self.n_turns % len(TOPICS)]}."})
        before = self.server.processor_seconds()
        answer = client.ask(self.server.port, self.messages, self.n_new, {"kvevict": {"conversation": self.name}})
        if answer.failed:
            raise SystemExit(f"lasting: turn {self.n_turns} of {self.name}: {answer.failed}")
        self.messages.append({"role": "assistant", "content": answer.text})
        n_cached = int(answer.usage["prompt_tokens_details"]["cached_tokens"])
        n_prompt = int(answer.usage["prompt_tokens"])
        return {
            "prompt": n_prompt,
            "tokens": n_prompt - n_cached + answer.n_tokens,
            "processor": self.server.processor_seconds() - before,
            "wall": answer.ended - answer.started,
            "first": (answer.pieces[0] if answer.pieces else answer.ended) - answer.started,
        }


def spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"median {statistics.median(ordered):.3f}, least {ordered[0]:.3f}, most {ordered[-1]:.3f}"


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def turns(options: argparse.Namespace) -> dict[str, Any]:
    """Pairs of a turn of the old conversation and one of a young one: what is paid for age is their ratio."""
    server = servers.kvevict(options.program, options.model, 2, "--strategy", STRATEGY, "--chunk", str(CHUNK))
    pairs: list[dict[str, Any]] = []
    with servers.running(server) as it:
        old = Talk(it, "old", options.new_tokens)
        while old.n_turns < options.turns - 1:
            old.turn()
            if old.n_turns % max(1, options.turns // 5) == 0:
                print(f"  turn {old.n_turns}: {it.status('VmRSS') >> 20} MiB resident", flush=True)
        resident = it.status("VmRSS")
        for number in range(options.pairs):
            if number % len(YOUNG) == 0:
                young = Talk(it, f"young-{number}", options.new_tokens)
                while young.n_turns < YOUNG[0] - 1:
                    young.turn()
            one = [("old", old), ("young", young)]
            if number % 2 == 1:  # what comes first may find the processor's caches colder
                one.reverse()
            pairs.append({name: talk.turn() for name, talk in one})
    figures: dict[str, Any] = {"pairs": pairs, "resident_bytes": resident}
    print(f"  turn {options.turns} and the next {options.pairs - 1} beside turns {YOUNG[0]} to {YOUNG[-1]} of young conversations; {pairs[-1]['old']['prompt']:,.0f} tokens of history:")
    for what in ("wall", "first"):
        ratios = [pair["old"][what] / pair["young"][what] for pair in pairs]
        figures[f"{what}_ratio"] = statistics.median(ratios)
        print(f"  seconds {'of a turn' if what == 'wall' else 'to the first text'}, old over young: {spread(ratios)}")
    # a clock of hundredths of a second: sums, not single turns
    cost = {name: sum(pair[name]["processor"] for pair in pairs) / sum(pair[name]["tokens"] for pair in pairs) for name in ("old", "young")}
    figures["processor_ratio"] = cost["old"] / cost["young"] if cost["young"] else 0.0
    print(f"  processor time a token, old over young: {figures['processor_ratio']:.3f} ({1000 * cost['old']:.2f} and {1000 * cost['young']:.2f} ms)")
    return figures


def bytes_of(folder: pathlib.Path) -> tuple[int, int]:
    """Of all files of the store, as the disk counts them, and of its states alone, by their lengths."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_blocks * 512 for path in files), sum(path.stat().st_size for path in files if path.suffix == ".kv")


def idle(options: argparse.Namespace) -> dict[str, Any]:
    """Each conversation has a turn and rests. One that comes back has two: loaded for the first, live for the second."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name) / "store"
        flags = ("--strategy", STRATEGY, "--chunk", str(CHUNK), "--store", str(folder), "--store_limit", "1000GiB")
        with servers.running(servers.kvevict(options.program, options.model, 4, *flags)) as it:
            talks = [Talk(it, f"idle-{i}", options.new_tokens) for i in range(options.conversations)]
            for i, talk in enumerate(talks):
                talk.turn()
                if (i + 1) % max(1, options.conversations // 5) == 0:
                    print(f"  {i + 1} conversations: {it.status('VmRSS') >> 20} MiB resident", flush=True)
            on_disk, of_states = bytes_of(folder)
            resident = it.status("VmRSS")
            chance = random.Random(1)
            resting = talks[: max(1, len(talks) - 4)]  # the last four are live
            chosen = chance.sample(resting, min(options.resumed, len(resting)))
            seconds = [(talk.turn(), talk.turn()) for talk in chosen]
    n = options.conversations
    loaded = [1000 * (one["first"] - two["first"]) for one, two in seconds]
    again = [one["tokens"] for one, _ in seconds]
    figures = {"conversations": n, "disk_bytes": on_disk, "state_bytes": of_states, "resident_bytes": resident, "resume_ms": loaded, "turns": seconds}
    print(f"  {n} conversations: {on_disk / 2**20:,.1f} MiB on the disk, {of_states / 2**20:,.1f} MiB of them states; beside its state each takes {(on_disk - of_states) / n / 1024:.1f} KiB (at most {ROOM // 1024})")
    print(f"  first text of one that was loaded, over the turn behind it, ms: {spread(loaded)}; 95 %: {p95(loaded):.1f}")
    print(f"  tokens decoded for such a turn: {spread(again)}")
    if on_disk > of_states + n * ROOM:
        raise SystemExit(f"lasting: {n} conversations take {on_disk} bytes on the disk: at most {of_states + n * ROOM} are wanted")
    return figures


def main() -> None:
    stages = {"turns": turns, "idle": idle}
    parser = argparse.ArgumentParser()
    parser.add_argument("stages", nargs="*", choices=[*stages, []], metavar="STAGE")
    for name in ("program", "model"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=45, help="turns that are measured of each")
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--resumed", type=int, default=100, help="conversations that come back")
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--folder", type=pathlib.Path, help="where the store lies while it is measured; else the machine's own place")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    for name in options.stages or stages:
        print(f"{name}:", flush=True)
        measured[name] = stages[name](options)
        if options.output:
            options.output.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
