#!/usr/bin/env python3
"""Two servers on one store behind HAProxy, with deploy/haproxy.cfg: a conversation stays with one of them; that one is killed, and the
other goes on with what the store has; it comes back, and the conversation with it. Nothing that was answered is decoded again. The same behind
nginx, with deploy/nginx.conf. Needs haproxy and nginx.

usage: two_servers.py
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import common
from servers import Chat, Server, free_port, is_up, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "anna-1"


def local(text, port, servers):
    """A file of deploy/ with this machine's ports."""
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    for number, server in zip((8081, 8082), servers, strict=True):
        text = text.replace(f"127.0.0.1:{number}", f"127.0.0.1:{server.port}")
    return text


def haproxy(folder, port, servers):
    (folder / "haproxy.cfg").write_text(local((ROOT / "deploy/haproxy.cfg").read_text(), port, servers))
    return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-f", folder / "haproxy.cfg"]


def nginx(folder, port, servers):
    text = local((ROOT / "deploy/nginx.conf").read_text(), port, servers)
    kinds = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    whole = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}} http {{ access_log off; {kinds} {text} }}"
    (folder / "nginx.conf").write_text(whole)
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf"]


class Talk:
    """Through the proxy, with the header by which it chooses."""

    def __init__(self, port):
        self.port, self.chat = port, Chat(NAME, max_tokens=16)

    def turn(self, text):
        before = self.chat.n_seen
        status, usage = self.chat.turn(self.port, text, {"X-Conversation": NAME})
        if status != 200:
            sys.exit(f"two_servers: HTTP {status}: {usage}")
        n_new = usage["prompt"] - usage["cached"]
        print(f"  turn {self.chat.n_turns}: {usage['prompt']} tokens of history, {n_new} of them decoded", flush=True)
        assert usage["cached"] >= before - 1, f"{before} tokens were seen, and {usage['cached']} of them came from a cache"


def n_answers(server):
    """That it has made itself."""
    return server.metric("kvevict_answer_seconds_count")


def go_on_until(talk, server):
    """Turns, until one goes to `server`."""
    before = n_answers(server)

    def is_there():
        talk.turn("And a mountain?")
        return n_answers(server) > before

    wait_for("the proxy to see the server", is_there, pause=1)


def fail_over(talk, servers):
    for i in range(4):
        talk.turn(f"Name a river of Europe, number {i}.")
    holder, other = servers if n_answers(servers[0]) else servers[::-1]
    assert n_answers(other) == 0, "a conversation stays with one server"
    holder.kill()
    print(f"  the server {holder.name} was killed", flush=True)
    talk.turn("And a lake?")
    assert n_answers(other) == 1, "the other server goes on"
    holder.start()
    print(f"  the server {holder.name} is back", flush=True)
    time.sleep(1)
    go_on_until(talk, holder)


def check(proxy):
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder, port = pathlib.Path(name), free_port()
        flags = ["--store", folder / "store", "--store_shared", "--strategy", "sink_recent:16:112", "--chunk", "128"]
        servers = [Server("one", *flags), Server("two", *flags)]
        running.callback(lambda: [server.kill() for server in servers])
        process = subprocess.Popen(proxy(folder, port, servers), stderr=subprocess.DEVNULL)
        running.callback(process.wait)
        running.callback(process.terminate)
        wait_for("the proxy", lambda: is_up(port))
        fail_over(Talk(port), servers)


def main():
    assert common.PROGRAM.exists(), f"there is no {common.PROGRAM}"
    for proxy in (haproxy, nginx):
        print(f"{proxy.__name__}:", flush=True)
        check(proxy)
    print("two servers: a conversation outlives the one that held it, and nothing of it is decoded again")


if __name__ == "__main__":
    main()
