#!/usr/bin/env python3
"""A chat of 200 turns through a pipe that never slows down: every token is decoded once, and the processor time of a turn's
tokens at the end is that of the beginning. Minutes.

usage: chat_200.py [N_TURNS]
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
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

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

    def say(self, message):
        self.process.stdin.write(message + "\n")
        return self.stats()


def main():
    n_turns = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    checks = common.Checks(f"chat-{n_turns}")
    chat = Chat()
    stats = chat.stats()
    costs = []
    for turn in range(n_turns):
        seconds, n_before = processor_seconds(chat.process.pid), stats["decoded tokens"]
        stats = chat.say(f"Story {turn + 1}: tell me something about {TOPICS[turn % len(TOPICS)]}.")
        costs.append((processor_seconds(chat.process.pid) - seconds) / (stats["decoded tokens"] - n_before))
        if (turn + 1) % 20 == 0:
            print(f"  turn {turn + 1}: {stats['tokens seen']} tokens, {costs[-1] * 1000:.1f} ms of processor time a token", flush=True)
    chat.process.stdin.close()
    tenth = max(5, n_turns // 10)
    settled = min(30, n_turns // 4)  # by then the cache is full
    first, last = statistics.median(costs[settled : settled + tenth]), statistics.median(costs[-tenth:])
    checks.figure("turns", stats["turns"])
    checks.figure("tokens seen", stats["tokens seen"])
    checks.figure("cells", stats["cells"])
    checks.figure("ms of processor time a token, once the cache is full", round(first * 1000, 2))
    checks.figure("ms of processor time a token, last turns", round(last * 1000, 2))
    checks.expect(chat.process.wait() == 0, "the chat ended by itself")
    checks.expect(stats["turns"] == n_turns, f"{n_turns} turns were answered")
    checks.expect(stats["decoded tokens"] == stats["tokens seen"], "every token was decoded once")
    checks.expect(last <= 1.1 * first, f"a token of the last turns costs {last / first:.3f} of one when the cache was first full (at most 1.1)")
    checks.finish()


if __name__ == "__main__":
    main()
