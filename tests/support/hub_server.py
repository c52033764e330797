#!/usr/bin/env python3
"""A small hub on 127.0.0.1 for the tests of src/hub: the answers, redirects and failures of a real one.

usage: hub_server.py FOLDER
Prints its port on a line, then serves until standard input ends. FOLDER/requests.log gets a line for each
request: method, path, Range, whether it carried an Authorization header, and the server's own address.

The repository's name says what goes wrong:
  good           models--test--good: a model in two kinds, a README; files come by a redirect to 127.0.0.2
  broken         every transfer ends after 1000 bytes more
  stuck          no transfer ever brings a byte
  wrong          the content is not what the checksum says
  gated          401 without the right token, else as good
  forbidden      403
  busy           429 twice (Retry-After: 0), then as good
  alwaysbusy     429
  weights        safetensors only
  norange        answers 200 with the whole file whatever range is asked for
"""
import hashlib
import http.server
import io
import json
import pathlib
import sys
import threading
import zipfile

TOKEN = "hf_secret_of_the_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BIG = bytes((i * 7 + i // 251) % 256 for i in range(5000))
FILES = {
    "tiny.Q4_K_M.gguf": BIG, "tiny.Q8_0.gguf": BIG[::-1], "README.md": b"# a small file\n",
    "big-Q6_K-00001-of-00002.gguf": BIG[:3000], "big-Q6_K-00002-of-00002.gguf": BIG[3000:],
}
WEIGHTS = {"model.safetensors": BIG, "config.json": b"{}"}


def longbench_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        row = {"input": "q", "context": "c", "answers": ["a"], "length": 1, "dataset": "qasper", "language": "en",
               "all_classes": None, "_id": "1"}
        archive.writestr("data/qasper.jsonl", json.dumps(row) + "\n")
        archive.writestr("data/../../escape.jsonl", json.dumps(row) + "\n")
        archive.writestr("data/trec.jsonl", (json.dumps(row) + "\n") * 2000)
        archive.writestr("data/notes.txt", "no data set")
    return out.getvalue()


ARCHIVE = {"data.zip": longbench_zip()}


def files_of(repository):
    if repository == "THUDM/LongBench":
        return ARCHIVE
    return WEIGHTS if repository.endswith("/weights") else FILES


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def listing(repository):
    siblings = []
    for name, content in files_of(repository).items():
        item = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
        if not name.endswith((".md", ".json")):
            item["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        siblings.append(item)
    return json.dumps({"sha": COMMIT, "siblings": siblings}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counts = {}
    log_path = None
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def note(self):
        line = " ".join([self.command, self.path, self.headers.get("Range", "-"),
                         "token" if "Authorization" in self.headers else "-", self.server.server_address[0]])
        with self.lock, open(self.log_path, "a", encoding="utf-8") as out:
            out.write(line + "\n")

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_content(self, kind, content):
        begin = 0
        asked = self.headers.get("Range")
        if asked and kind != "norange":
            begin = int(asked.split("=")[1].split("-")[0])
            if begin >= len(content):
                return self.answer(416, Content_Range=f"bytes */{len(content)}")
        if kind == "wrong":
            content = content[:-1] + b"?"
        rest = content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if kind == "stuck":
            rest = b""
        self.wfile.write(rest[:1000] if kind == "broken" else rest)
        if kind in ("broken", "stuck"):
            self.wfile.flush()
            self.close_connection = True

    def count(self, key):
        with self.lock:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]

    def do_GET(self):
        self.note()
        path = self.path.split("?")[0]
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            return self.repository("/".join(parts[2:4]), lambda repository: self.answer(200, listing(repository)))
        if parts[0] == "store":  # where redirects lead
            return self.send_content(parts[1], files_of("/".join(parts[2:4]))[parts[4]])
        if parts[0] == "datasets":
            parts = parts[1:]
        return self.repository("/".join(parts[:2]), lambda repository: self.resolve(repository, parts[-1]))

    def repository(self, name, answer):
        kind = name.split("/")[-1]
        if name not in ("test/good", "test/broken", "test/stuck", "test/wrong", "test/gated", "test/forbidden", "test/busy",
                        "test/alwaysbusy", "test/weights", "test/norange", "THUDM/LongBench"):
            return self.answer(404, b"Repository not found")
        if kind == "gated" and self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.answer(401, b"Access to this model is restricted")
        if kind == "forbidden":
            return self.answer(403, b"Forbidden")
        if kind == "alwaysbusy" or (kind == "busy" and self.count(self.path) <= 2):
            return self.answer(429, b"slow down", Retry_After="0")
        return answer(name)

    def resolve(self, repository, name):
        if name not in files_of(repository):
            return self.answer(404, b"Entry not found")
        kind = repository.split("/")[-1]
        if kind in ("good", "gated", "LongBench"):
            port = self.server.server_address[1]
            return self.answer(302, b"elsewhere", Location=f"http://127.0.0.2:{port}/store/{kind}/{repository}/{name}")
        return self.send_content(kind, files_of(repository)[name])


def main():
    Handler.log_path = pathlib.Path(sys.argv[1]) / "requests.log"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    other = http.server.ThreadingHTTPServer(("127.0.0.2", server.server_address[1]), Handler)
    for one in (server, other):
        one.daemon_threads = True
        threading.Thread(target=one.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
