#!/usr/bin/env python3
"""Two servers with stores of their own behind HAProxy, with deploy/haproxy.cfg: a conversation stays with one of them; that one is
killed, the other goes on at once; it comes back with its store, and nothing that it had answered is decoded again. Needs haproxy.

usage: two_servers.py
"""

import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import common

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 60  # seconds that anything may take


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, is_there):
    end = time.monotonic() + LIMIT
    while not is_there():
        if time.monotonic() > end:
            sys.exit(f"two_servers: waited {LIMIT} s for {what}")
        time.sleep(0.1)


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    connection.request(method, path, json.dumps(body) if body else None, headers or {})
    response = connection.getresponse()
    return response.status, response.read()


def is_up(port):
    try:
        return request(port, "GET", "/health")[0] == 200
    except OSError:
        return False


class Server:
    def __init__(self, folder, name):
        self.name, self.port, self.store = name, free_port(), folder / name
        self.start()

    def start(self):
        self.process = subprocess.Popen([common.PROGRAM, "serve", "--port", str(self.port), "--store", self.store, "--strategy", "sink_recent:16:112",
                                         "--chunk", "128", "--max_new_tokens", "16"], stderr=subprocess.DEVNULL)
        wait_for(f"the server {self.name}", lambda: is_up(self.port))

    def holds(self, name):
        return request(self.port, "GET", f"/conversations/{name}")[0] == 200


class Chat:
    """A client that sends its whole history with every turn, and names its conversation."""

    def __init__(self, port):
        self.port, self.messages = port, []

    def turn(self, text):
        self.messages.append({"role": "user", "content": text})
        body = {"messages": self.messages, "kvevict": {"conversation": "anna-1"}}
        status, answer = request(self.port, "POST", "/v1/chat/completions", body, {"X-Conversation": "anna-1"})
        if status != 200:
            sys.exit(f"two_servers: HTTP {status}: {answer[:300]}")
        answer = json.loads(answer)
        self.messages.append(answer["choices"][0]["message"])
        usage = answer["usage"]
        n_new = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
        print(f"  turn {len(self.messages) // 2}: {usage['prompt_tokens']} tokens of history, {n_new} of them decoded", flush=True)
        return n_new


def proxy_config(folder, port, servers):
    text = (ROOT / "deploy/haproxy.cfg").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    for number, server in zip((8081, 8082), servers, strict=True):
        text = text.replace(f"127.0.0.1:{number}", f"127.0.0.1:{server.port}")
    (folder / "haproxy.cfg").write_text(text)
    return folder / "haproxy.cfg"


def fail_over(chat, servers):
    for i in range(4):
        chat.turn(f"Name a river of Europe, number {i}.")
    holder, other = servers if servers[0].holds("anna-1") else servers[::-1]
    assert holder.holds("anna-1") and not other.holds("anna-1"), "a conversation is with one server"
    holder.process.kill()
    holder.process.wait()
    print(f"  the server {holder.name} was killed", flush=True)
    chat.turn("And a lake?")
    assert other.holds("anna-1"), "the other server goes on"
    holder.start()
    print(f"  the server {holder.name} is back, with its store", flush=True)
    wait_for("the proxy to see it", lambda: holder_answers(chat, holder))


def holder_answers(chat, holder):
    """Whether a turn went to the server that came back; then only what it had not answered was decoded."""
    before = json.loads(request(holder.port, "GET", "/conversations/anna-1")[1])["turns"]
    n_new = chat.turn("And a mountain?")
    if json.loads(request(holder.port, "GET", "/conversations/anna-1")[1])["turns"] == before:
        time.sleep(1)
        return False
    assert n_new < 150, f"{n_new} tokens were decoded again"
    return True


def main():
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder, port = pathlib.Path(name), free_port()
        servers = [Server(folder, "one"), Server(folder, "two")]
        running.callback(lambda: [server.process.kill() for server in servers])
        proxy = subprocess.Popen([program, "-f", proxy_config(folder, port, servers)], stderr=subprocess.DEVNULL)
        running.callback(proxy.kill)
        wait_for("the proxy", lambda: is_up(port))
        fail_over(Chat(port), servers)
    print("two servers: a conversation outlives the one that held it, and comes back to it")


if __name__ == "__main__":
    main()
