"""Stages of serve_faults.py: what disks and clients do to a server."""

import collections
import json
import os
import resource
import socket
import threading
import time

from hostile_requests import Generator, status_of, wrong_in
from servers import Chat, Server, request, wait_for

SMALL = ["--strategy", "sink_recent:16:112", "--chunk", "128", "--parallel", "4"]
STORE_SAYS = "kvevict: the store:"
NOBODY = 65534
MOST_STEPS = 3  # that an answer may take once its client has left: the one under way, and what the kernel still takes


def n_said(server):
    time.sleep(0.2)  # standard error is read by a thread
    return sum(STORE_SAYS in line for line in server.said)


def go_on(chat, server, checks, what):
    """Two turns that must be answered."""
    for _ in range(2):
        status, answer = chat.turn(server.port, "Go on, please.")
        checks.expect(status == 200, f"{what}: a turn is answered (HTTP {status}{'' if status == 200 else f', {answer}'})")


def fill_and_free(server, folder, checks, what, fill, free):
    """The store works, then it does not, then it does again."""
    chat = Chat("anna")
    go_on(chat, server, checks, f"{what}, before")
    n_before = n_said(server)
    fill(folder)
    go_on(chat, server, checks, what)
    go_on(Chat("fresh"), server, checks, f"{what}, a new conversation")
    n_during = n_said(server) - n_before
    checks.expect(n_during == 1, f"{what}: it is said once ({n_during} times: {server.said[-3:]})")
    checks.expect(server.process.poll() is None, f"{what}: the server runs")
    free(folder)
    go_on(chat, server, checks, f"{what}, behind it")
    server.kill()
    server.start()
    n_turns = server.get("/conversations/anna")[1].get("turns")
    checks.expect(n_turns == chat.n_turns, f"{what}, behind it: {n_turns} of {chat.n_turns} turns are stored")


def disk(options, folder, checks):
    for kind, flags in (("alone", []), ("shared", ["--store_shared"])):
        own = folder.with_name(f"full-{kind}")
        server = Server(kind, "--store", own, *SMALL, "--max_new_tokens", "8", *flags)

        def limit(n_bytes, server=server):
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))

        fill_and_free(server, own, checks, f"a full disk, {kind}", lambda _, limit=limit: limit(1 << 16),
                      lambda _, limit=limit: limit(resource.RLIM_INFINITY))
        server.kill()

        own = folder.with_name(f"read-only-{kind}")
        own.mkdir()
        is_root = os.geteuid() == 0
        if is_root:  # for whom everything can be written
            for path in (own, own.parent):
                os.chown(path, NOBODY, NOBODY)
        server = Server(kind, "--store", own, *SMALL, "--max_new_tokens", "8", *flags, user=NOBODY if is_root else None)
        fill_and_free(server, own, checks, f"a store that cannot be written, {kind}", lambda own: set_modes(own, 0o555, 0o444),
                      lambda own: set_modes(own, 0o755, 0o644))
        server.kill()


def set_modes(folder, of_folders, of_files):
    for path in [folder, *folder.rglob("*")]:
        path.chmod(of_folders if path.is_dir() else of_files)


def begin_stream(server, max_tokens=2000):
    """A socket to which an answer flows."""
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me a long story."}], "stream": True, "max_tokens": max_tokens}).encode()
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    while b'"content":"' not in connection.recv(4096).replace(b'"content":""', b""):
        pass
    return connection


def leave_half_way(server):
    begin_stream(server).close()


def is_idle(server):
    return server.metric("kvevict_requests_running") == 0 and server.metric("kvevict_requests_waiting") == 0


def leavers(server, checks):
    steps, seconds = [], []
    for _ in range(20):
        connection = begin_stream(server)
        before, begin = server.metric("kvevict_step_tokens_total"), time.monotonic()
        connection.close()
        wait_for("an answer to end behind its client", lambda: is_idle(server), pause=0.002)
        seconds.append(time.monotonic() - begin)
        steps.append(server.metric("kvevict_step_tokens_total") - before)
    checks.figure("tokens behind a client that left, most", max(steps))
    checks.figure("seconds behind a client that left, most", round(max(seconds), 3))
    checks.expect(max(seconds) < 1, "an answer ends soon behind its client")


def many(server, checks):
    statuses = collections.Counter()

    def ask(number):
        try:
            body = {"messages": [{"role": "user", "content": f"Number {number}."}], "max_tokens": 2}
            status, headers, _ = request(server.port, "POST", "/v1/chat/completions", body, limit=120)
            statuses[status if status != 503 or headers["Retry-After"] else "503 without Retry-After"] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"  200 at once: {dict(statuses)}", flush=True)
    checks.expect(set(statuses) <= {200, 503} and statuses[200] >= 36, "200 clients at once are answered or told to wait")
    checks.expect(server.get("/health")[0] == 200, "the server is there behind them")


def slow(server, checks, n_slow):
    """Clients that send a byte a second; others are answered meanwhile."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
    sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(n_slow)]
    begin, ended, waits = time.monotonic(), {}, []
    for i in range(50):
        for one in sockets:
            if one in ended:
                continue
            try:
                one.send(head[i : i + 1])
                one.setblocking(False)
                if one.recv(1000) != b"":
                    continue
                ended[one] = time.monotonic() - begin
            except BlockingIOError:
                continue
            except OSError:
                ended[one] = time.monotonic() - begin
        if len(ended) == n_slow:
            break
        asked = time.monotonic()
        request(server.port, "GET", "/health")
        waits.append(time.monotonic() - asked)
        time.sleep(max(0.0, 1 - waits[-1]))
    checks.figure(f"{n_slow} clients with a byte a second: the last one ended after, seconds", round(max(ended.values(), default=-1), 1))
    checks.figure(f"{n_slow} clients with a byte a second: others waited for at most, seconds", round(max(waits), 2))
    checks.expect(len(ended) == n_slow and min(ended.values()) > 20, "slow clients are cut off when their time is over")
    checks.expect(max(waits) < 5, "others do not wait for them")
    checks.expect(server.process.poll() is None, "the server runs")


def clients(options, folder, checks):
    server = Server("clients", "--store", folder, *SMALL)
    leavers(server, checks)
    many(server, checks)
    slow(server, checks, 200)
    wait_for("all answers to end", lambda: is_idle(server))
    checks.expect(server.end() == 0, "it ends as it should")


def answer_to(port, data, is_left):
    """All that comes back; one `is_left` if the client closes its side once all is sent, so that nobody waits for more of it."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if is_left:
                connection.shutdown(socket.SHUT_WR)
            while len(answer) < 1 << 20 and (piece := connection.recv(1 << 16)):
                answer += piece
        except OSError as error:  # the server may have closed it already
            if isinstance(error, TimeoutError):
                raise
        return answer


def hostile(options, folder, checks):
    server = Server("hostile", "--store", folder, "--store_limit", "100MiB", "--parallel", "2", "--queue", "0", "--max_new_tokens", "2",
                    "--strategy", "sink_recent:16:112")
    statuses, wrong, lock = collections.Counter(), [], threading.Lock()
    n_threads, n_left = 8, options.requests

    def work(seed):
        nonlocal n_left
        generator = Generator(seed)
        while n_left > 0 and server.process.poll() is None and len(wrong) < 20:
            data, may_be_silent = generator.next()
            answer = answer_to(server.port, data, may_be_silent)
            what = None if not answer and may_be_silent else wrong_in(answer)
            with lock:
                n_left -= 1
                statuses[status_of(answer)] += 1
                if what:
                    wrong.append(f"{what} to {data[:300]!r}")
                if n_left % 10000 == 0:
                    print(f"  {options.requests - n_left} requests: {dict(statuses)}", flush=True)

    threads = [threading.Thread(target=work, args=(options.seed * 1000 + i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    checks.figure("hostile requests", options.requests - n_left)
    checks.figure("their statuses", dict(sorted(statuses.items())))
    checks.expect(server.process.poll() is None, f"no crash: {server.said[-5:]}")
    for what in wrong[:5]:
        checks.expect(False, what)
    checks.expect(not wrong, "all answers are right")
    if server.process.poll() is not None:
        return
    wait_for("the last answers", lambda: is_idle(server))
    status, _ = Chat("anna").turn(server.port, "Are you there?")
    checks.expect(status == 200, "it answers behind them")
    checks.expect(server.end() == 0, "it ends as it should")
