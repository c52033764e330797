"""Servers that long checks start, and a plain client of theirs."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import common

LIMIT = 60  # seconds that anything may take


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, is_there, limit=LIMIT, pause=0.05):
    end = time.monotonic() + limit
    while not is_there():
        if time.monotonic() > end:
            sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: waited {limit} s for {what}")
        time.sleep(pause)


def request(port, method, path, body=None, headers=None, limit=LIMIT):
    """Status, headers and body as text. Errors: OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def is_up(port):
    try:
        return request(port, "GET", "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


class Server:
    """`kvevict serve` on a port of its own; what it says on standard error is in `said`."""

    def __init__(self, name, *flags, user=None):
        self.name, self.port, self.flags, self.user, self.said = name, free_port(), [str(flag) for flag in flags], user, []
        self.start()

    def start(self):
        words = [str(common.PROGRAM), "serve", "--port", str(self.port), *self.flags]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, user=self.user)
        threading.Thread(target=self.listen, args=(self.process.stderr,), daemon=True).start()
        wait_for(f"the server {self.name}", lambda: is_up(self.port) or self.process.poll() is not None)
        if self.process.poll() is not None:
            sys.exit(f"the server {self.name} did not start: {''.join(self.said)[-500:]}")

    def listen(self, stream):
        for line in stream:
            self.said.append(line)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def get(self, path):
        status, _, body = request(self.port, "GET", path)
        return status, json.loads(body) if body.startswith(("{", "[")) else body

    def metric(self, name):
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(name + " ")]
        return float(lines[0].split()[1]) if lines else 0.0

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Chat:
    """A client that sends its whole history with every turn, and names its conversation. What it was told in full is acknowledged."""

    def __init__(self, name, max_tokens=8):
        self.name, self.max_tokens, self.messages = name, max_tokens, []
        self.n_turns, self.n_seen = 0, 0  # acknowledged: turns, and tokens behind the last one
        self.is_known = True  # whether nothing else can be stored than what was acknowledged

    def turn(self, port, text, headers=None):
        """Status and usage; of an answer that did not come in full nothing is taken in. Errors: as those of `request`."""
        messages = [*self.messages, {"role": "user", "content": text}]
        body = {"messages": messages, "max_tokens": self.max_tokens, "kvevict": {"conversation": self.name}}
        status, _, answer = request(port, "POST", "/v1/chat/completions", body, headers)
        answer = json.loads(answer)
        if status != 200:
            return status, answer
        self.messages = [*messages, answer["choices"][0]["message"]]
        usage = answer["usage"]
        self.n_turns += 1
        self.n_seen = usage["total_tokens"]
        return status, {"prompt": usage["prompt_tokens"], "cached": usage["prompt_tokens_details"]["cached_tokens"]}
