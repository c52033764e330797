#!/usr/bin/env python3
"""A chat of 200 turns through a pipe that never slows down: every token is decoded once, and the processor time of a turn's
tokens at the end is that of the beginning. Minutes.

usage: chat_200.py [N_TURNS]

A machine's own speed may change within minutes. So the last turns take turns with those of a young chat, whose cache has just become
full, and are held against these.
"""

import os
import re
import statistics
import subprocess
import sys

import common

TOPICS = ["the harbour at dawn", "a broken clock", "the price of bread", "an old map", "the river in flood", "a letter from abroad",
          "the night train", "a missing key", "the winter market", "a bridge of stone"]


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Chat:
    def __init__(self):
        words = [str(common.PROGRAM), "chat", "--system", "You are a patient storyteller. Answer in one sentence.", "--max_new_tokens", "24",
                 "--strategy", "sink_recent_uniform:0:256:128", "--sink_tokens", "auto", "--chunk", "128"]
        self.n_turns, self.costs = 0, []  # processor seconds a token
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.last = self.stats()

    def stats(self):
        """Asks for the statistics, reads up to them; what was said before them is passed over."""
        self.process.stdin.write("/stats\n")
        self.process.stdin.flush()
        text = ""
        while not re.search(r"evictions +\d+.*\n", text):
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"kvevict: the chat ended early: {text}")
            text += line
        return {key: int(re.search(key + r" +(\d+)", text).group(1)) for key in ("turns", "tokens seen", "tokens held", "decoded tokens", "cells")}

    def turn(self):
        """One more turn; the statistics after it."""
        before, seconds = self.last, processor_seconds(self.process.pid)
        self.n_turns += 1
        self.process.stdin.write(f"Story {self.n_turns}: tell me something about {TOPICS[(self.n_turns - 1) % len(TOPICS)]}.\n")
        self.last = self.stats()
        self.costs.append((processor_seconds(self.process.pid) - seconds) / (self.last["decoded tokens"] - before["decoded tokens"]))
        if self.n_turns % 20 == 0:
            print(f"  turn {self.n_turns}: {self.last['tokens seen']} tokens, {self.costs[-1] * 1000:.1f} ms of processor time a token", flush=True)

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def main():
    n_turns = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    checks = common.Checks(f"chat-{n_turns}")
    tenth = max(5, n_turns // 10)
    settled = min(30, n_turns // 4)  # by then the cache is full
    chat, young = Chat(), Chat()
    for _ in range(n_turns - tenth):
        chat.turn()
    print("  beside it, a young chat:")
    for _ in range(settled):
        young.turn()
    for _ in range(tenth):
        chat.turn()
        young.turn()
    stats = chat.last
    first, last = statistics.median(chat.costs[settled : settled + tenth]), statistics.median(chat.costs[-tenth:])
    beside = statistics.median(young.costs[-tenth:])
    checks.figure("turns", stats["turns"])
    checks.figure("tokens seen", stats["tokens seen"])
    checks.figure("cells", stats["cells"])
    checks.figure("ms of processor time a token, once the cache is full", round(first * 1000, 2))
    checks.figure("ms of processor time a token, last turns", round(last * 1000, 2))
    checks.figure("ms of processor time a token, a young chat's meanwhile", round(beside * 1000, 2))
    checks.expect(chat.end() == 0 and young.end() == 0, "the chats ended by themselves")
    checks.expect(stats["turns"] == n_turns, f"{n_turns} turns were answered")
    checks.expect(stats["decoded tokens"] == stats["tokens seen"], "every token was decoded once")
    checks.expect(last <= 1.1 * beside, f"a token of the last turns costs {last / first:.3f} of one when the cache was first full, and "
                  f"{last / beside:.3f} of one of the young chat meanwhile (this at most 1.1)")
    checks.finish()


if __name__ == "__main__":
    main()
