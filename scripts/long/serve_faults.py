#!/usr/bin/env python3
"""`kvevict serve` under load and faults, with the real model:
  kills    kill -9 at 100 random moments: every acknowledged turn is there, every stored state is sound
  shared   two servers on one store under load, each killed 15 times: no turn is lost, no conversation forks
  disk     a full disk and a store that cannot be written, while the server runs: answers go on, it is said once
  clients  slow ones, 200 at once, ones that leave: what they cost ends soon
  hostile  100,000 requests that nobody should send: no crash, the right statuses, errors in OpenAI's form
  soak     resident memory over an hour with conversations that come and go

usage: serve_faults.py [STAGE...] [--kills N] [--requests N] [--minutes N] [--seed N]
"""

import argparse
import hashlib
import http.client
import pathlib
import random
import tempfile
import threading
import time

import common
import serve_faults_clients
from servers import Chat, Server, wait_for

GONE = (OSError, http.client.HTTPException)
SMALL = [*serve_faults_clients.SMALL, "--max_new_tokens", "8"]


def damage_of(path):
    """What is wrong with a saved session, by its own checksums (docs/file_formats.md); nothing if it is sound."""
    data = path.read_bytes()
    line, checksum, rest = data.split(b"\n", 2)
    length = int.from_bytes(rest[:8], "little")
    header, payload, end = rest[8 : 8 + length], rest[8 + length : -64], rest[-64:]
    if line != b"kvevict session 3" or hashlib.sha256(header).hexdigest().encode() != checksum:
        return f"{path.name}: its header is damaged"
    if hashlib.sha256(payload).hexdigest().encode() != end:
        return f"{path.name}: its payload is damaged"
    return None


class Client(threading.Thread):
    """Goes on with its conversations, one turn after the other, at one of the servers, until it is stopped."""

    def __init__(self, servers, chats, seed, checks):
        super().__init__(daemon=True)
        self.servers, self.chats, self.random, self.checks, self.is_stopped = servers, chats, random.Random(seed), checks, False
        self.n_acknowledged = self.n_unheard = self.n_busy = 0

    def run(self):
        while not self.is_stopped:
            chat, server = self.random.choice(self.chats), self.random.choice(self.servers)
            before, is_known = chat.n_seen, chat.is_known
            chat.is_known = True
            try:
                status, answer = chat.turn(server.port, f"Tell me of wave number {self.random.randrange(1000)}.")
            except (*GONE, ValueError):  # it was killed: nobody knows whether it has stored this turn
                chat.is_known = False
                self.n_unheard += 1
                time.sleep(0.05)
                continue
            if status == 200:
                self.n_acknowledged += 1
                if is_known and answer["cached"] < before - 1:
                    self.checks.expect(False, f"{chat.name}: {before} tokens were acknowledged, {answer['cached']} were there")
            elif status in (409, 503):
                self.n_busy += 1
                chat.is_known = is_known and status == 503  # the turn of a request that was cut off may go on there
                time.sleep(0.2)
            else:
                self.checks.expect(False, f"{chat.name}: HTTP {status}: {answer}")


def new_chats():
    """Of three clients."""
    return [[Chat(f"talk-{i}-{j}") for j in range(2)] for i in range(3)]


def check_stored(server, clients, folder, checks):
    """Every acknowledged turn is there, and every state is sound."""
    stored = {one["id"]: one["turns"] for one in server.get("/conversations")[1]["data"]}
    for chat in (chat for client in clients for chat in client.chats):
        n_there = stored.get(chat.name, 0)
        if n_there < chat.n_turns:
            checks.expect(False, f"{chat.name}: {chat.n_turns} turns were acknowledged, {n_there} are there")
    damaged = [what for what in map(damage_of, folder.glob("states/*.kv")) if what]
    for what in damaged:
        checks.expect(False, what)
    return len(stored)


def total(clients, name):
    return sum(getattr(client, name) for client in clients)


def kills(options, folder, checks):
    chance = random.Random(options.seed)
    server = Server("alone", "--store", folder, *SMALL)
    chats, n_acknowledged, n_unheard, n_states = new_chats(), 0, 0, 0
    for number in range(options.kills):
        clients = [Client([server], own, 1000 * number + i, checks) for i, own in enumerate(chats)]
        for client in clients:
            client.start()
        n_wanted = chance.randrange(8)  # however quick the machine is
        wait_for("answers", lambda clients=clients, n=n_wanted: total(clients, "n_acknowledged") >= n)
        time.sleep(chance.uniform(0, 0.3))
        for client in clients:
            client.is_stopped = True
        server.kill()
        for client in clients:
            client.join()
        n_acknowledged, n_unheard = n_acknowledged + total(clients, "n_acknowledged"), n_unheard + total(clients, "n_unheard")
        server.start()
        n_states += check_stored(server, clients, folder, checks)
        if number % 10 == 9:
            print(f"  {number + 1} kills: {n_acknowledged} turns acknowledged, {n_unheard} cut off, {n_states} states looked at", flush=True)
        for own in chats:  # long histories would make every restart take them in anew
            own[:] = [chat if len(chat.messages) < 60 else Chat(f"{chat.name.split('.')[0]}.{number}") for chat in own]
    checks.figure("kills", options.kills)
    checks.figure("turns acknowledged", n_acknowledged)
    checks.figure("turns cut off", n_unheard)
    checks.expect(n_acknowledged > options.kills, "there was load")
    checks.expect(not any("Segmentation" in line for line in server.said), "nothing else went wrong")
    server.kill()


def shared(options, folder, checks):
    chance = random.Random(options.seed)
    flags = ["--store", folder, "--store_shared", *SMALL]
    servers = [Server("one", *flags), Server("two", *flags)]
    clients = [Client(servers, own, options.seed + i, checks) for i, own in enumerate(new_chats())]
    for client in clients:
        client.start()
    for number in range(min(30, options.kills)):
        time.sleep(chance.uniform(0.5, 3))
        server = servers[number % 2]
        server.kill()
        time.sleep(chance.uniform(0, 1.5))
        server.start()
    for client in clients:
        client.is_stopped = True
    for client in clients:
        client.join()
    for server in servers:
        wait_for("the last answers", lambda server=server: server.metric("kvevict_requests_running") == 0)
        check_stored(server, clients, folder, checks)
    n_acknowledged = total(clients, "n_acknowledged")
    print(f"  {n_acknowledged} turns acknowledged, {total(clients, 'n_unheard')} cut off, {total(clients, 'n_busy')} told to wait", flush=True)
    checks.figure("turns acknowledged by two servers", n_acknowledged)
    checks.expect(n_acknowledged > 50, "two servers had load")
    said = [line for server in servers for line in server.said if serve_faults_clients.STORE_SAYS in line]
    checks.expect(not said, f"the store was never in the way: {said[:3]}")
    for server in servers:
        server.kill()


def soak(options, folder, checks):
    """The longest conversations and the most clients come first: memory that is needed is needed soon."""
    server = Server("soak", "--store", folder, "--store_limit", "300MiB", *SMALL)
    chance, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    residents, n_turns, n_begun = [], 0, 0
    next_minute = time.monotonic() + 60
    chats = []
    while time.monotonic() < end:
        if len(chats) < 8 or chance.random() < 0.1:
            n_begun += 1
            chats.append(Chat(f"soak-{n_begun}", max_tokens=chance.choice([4, 8, 32])))
            del chats[: max(0, len(chats) - 8)]
        chat = chance.choice(chats)
        status, answer = chat.turn(server.port, "Go on, " * chance.choice([1, 1, 10, 100]) + "please.")
        checks.failures += [] if status == 200 else [f"soak: HTTP {status}: {answer}"]
        n_turns += 1
        if chance.random() < 0.02:
            serve_faults_clients.leave_half_way(server)
        if time.monotonic() >= next_minute:
            next_minute += 60
            residents.append(server.resident_mib())
            print(f"  minute {len(residents)}: {residents[-1]:.0f} MiB resident, {n_turns} turns, {n_begun} conversations begun", flush=True)
    half = residents[len(residents) // 3 :]  # behind the first third
    growth = (half[-1] - half[0]) / half[0] if len(half) > 1 else 0.0
    checks.figure("resident growth behind the first third", f"{100 * growth:.1f} %")
    checks.expect(growth < 0.05, f"memory is level: {half[0] if half else 0:.0f} MiB, then {half[-1] if half else 0:.0f} MiB")
    server.kill()


def main():
    stages = {"kills": kills, "shared": shared, "disk": serve_faults_clients.disk, "clients": serve_faults_clients.clients,
              "hostile": serve_faults_clients.hostile, "soak": soak}
    parser = argparse.ArgumentParser()
    parser.add_argument("stages", nargs="*", choices=[*stages, []], metavar="STAGE")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    checks = common.Checks("serve_faults")
    for name in options.stages or stages:
        print(f"{name}:", flush=True)
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            stages[name](options, pathlib.Path(folder) / "store", checks)
        print(f"  {time.monotonic() - begin:.0f} s", flush=True)
    checks.finish()


if __name__ == "__main__":
    main()
