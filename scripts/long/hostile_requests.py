"""Requests that nobody should send, by a seeded generator, and whether an answer to one of them is right."""

import gzip
import json
import random
import re

PATHS = ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize", "/apply-template"]
OTHER_PATHS = ["/", "/health", "/v1/models", "/props", "/metrics", "/conversations", "/conversations/a", "/conversations/%00", "/conversations/%zz",
               "/conversations/..%2f..%2fetc", "//", "/../../etc/passwd", "/v1", "*", "/" + "a" * 9000, "/health?x=" + "y" * 3000, "/%", "/\x7f"]
VALUES = [None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 1e308, -1e308, 0.1, -0.0, "", "a", "null", "\x00", "\ud800", "\U0001f600" * 9,
          "a" * 5000, [], {}, [[]], [{}], {"": ""}, [None], ["a"] * 40, {"type": "text"}, {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}},
          [{"type": "function", "function": {"name": "f", "parameters": {"type": "no_such"}}}], {"1": 1000}, {"a": 1}, "<|im_end|>", "sink_recent:4:60",
          "full", "h2o:-1:0:0", {"conversation": "x" * 5000}, {"strategy": ":::"}, {"conversation": "a/b", "strategy": 5}]
FIELDS = ["messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed", "presence_penalty",
          "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n", "stop", "response_format", "tools", "tool_choice", "parallel_tool_calls",
          "reasoning_format", "stream", "stream_options", "kvevict", "prompt", "echo", "suffix", "functions", "best_of", "user", "content", "tokens",
          "add_special", "parse_special", "with_pieces", "no_such_field"]
HEADERS = ["Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: abc", "Transfer-Encoding: chunked", "Content-Encoding: gzip",
           "Content-Encoding: br", "Expect: 100-continue", "Connection: close", "Range: bytes=5-1", "X-A: " + "b" * 9000, "no colon at all", ": empty", "A:",
           "Authorization: Bearer \xff", "Host: a\x00b", "Content-Type: multipart/form-data; boundary=", "Content-Type: application/x-www-form-urlencoded",
           "Accept-Encoding: gzip", "Upgrade: h2c", "Transfer-Encoding: gzip, chunked", "Content-Length: 5\r\nContent-Length: 6"]
STATUSES = {200, 204, 206, 400, 401, 404, 405, 408, 409, 411, 413, 414, 415, 416, 417, 431,
            499,  # to a client that has closed its side: it has left
            501, 503, 505}


class Generator:
    """`next` gives the bytes of one request, and whether it may end without an answer."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.kinds = [self.changed_bytes, self.changed_fields, self.other_path, self.odd_headers, self.noise, self.half, self.deep, self.odd_chunks]

    def next(self):
        return self.random.choice(self.kinds)()

    def body(self):
        return {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}

    def request(self, path, body, *headers, method="POST"):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}", *headers]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body

    def changed_bytes(self):
        body = bytearray(json.dumps(self.body()).encode())
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(len(body))
            if self.random.random() < 0.5:
                body[at] = self.random.randrange(256)
            else:
                body[at : at + self.random.randint(0, 5)] = self.random.randbytes(self.random.randint(0, 4))
        return self.request(self.random.choice(PATHS), bytes(body)), False

    def changed_fields(self):
        body = self.body() if self.random.random() < 0.7 else {"prompt": "hi", "content": "hi", "tokens": [1], "max_tokens": 1}
        for _ in range(self.random.randint(1, 3)):
            body[self.random.choice(FIELDS)] = self.random.choice(VALUES)
        if self.random.random() < 0.3:
            message = {"role": self.random.choice(["user", "assistant", "tool", "system", "developer", "", None, 5])}
            message[self.random.choice(["content", "tool_calls", "tool_call_id", "name", "reasoning_content", "x"])] = self.random.choice(VALUES)
            body["messages"] = [message] * self.random.choice([1, 2, 50])
        for name in ("max_tokens", "max_completion_tokens"):  # what is valid shall be short
            if isinstance(body.get(name), int) and body[name] > 1:
                body[name] = 2**53
        return self.request(self.random.choice(PATHS), json.dumps(body).encode("utf-8", "surrogatepass")), False

    def other_path(self):
        method = self.random.choice(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "get", "", "\x01"])
        return self.request(self.random.choice(OTHER_PATHS + PATHS), b"", method=method), True

    def odd_headers(self):
        body = json.dumps(self.body()).encode()[: self.random.choice([5, 1000])]
        headers = self.random.sample(HEADERS, self.random.randint(1, 3)) * self.random.choice([1, 1, 1, 60])
        return self.request(self.random.choice(PATHS), body, *headers), True

    def noise(self):
        return self.random.randbytes(self.random.randint(1, 400)) + self.random.choice([b"", b"\r\n\r\n"]), True

    def half(self):
        whole = self.request(self.random.choice(PATHS), json.dumps(self.body()).encode())
        return whole[: self.random.randrange(1, len(whole))], True

    def deep(self):
        n = self.random.choice([10, 100, 1000, 30000])
        opening, closing = self.random.choice([(b"[", b"]"), (b'{"a":', b"}")])
        return self.request(self.random.choice(PATHS), b'{"messages":' + opening * n + b"1" + closing * n + b"}"), False

    def odd_chunks(self):
        body = self.random.choice([b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhe", b"0\r\n\r\n",
                                   b"zz\r\n", b"ffffffffffffffff\r\n", b"-1\r\n\r\n", b"3;x=y\r\n{}\n\r\n0\r\n\r\n"])
        path = self.random.choice(PATHS)
        return f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body, True


def without_continue(answer):
    """Without the 100 that a client asks for before it sends a body."""
    return answer.partition(b"\r\n\r\n")[2] if answer.startswith(b"HTTP/1.1 100") else answer


def wrong_in(answer):
    """What is wrong with the bytes of an answer that came; nothing if it is right."""
    head, _, body = without_continue(answer).partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", head + b" ")
    if not found:
        return f"it is no answer: {answer[:80]!r}"
    status = int(found.group(1))
    if status not in STATUSES:
        return f"its status is {status}: {body[:200]!r}"
    if status < 400 or not body:  # the answer to HEAD has none
        return None
    try:
        body = body[: int(re.search(rb"(?i)content-length: (\d+)", head).group(1))]
        error = json.loads(gzip.decompress(body) if b"Content-Encoding: gzip" in head else body)["error"]
        if set(error) == {"message", "type", "param", "code"} and error["message"]:
            return None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return f"its body has not the form of an error: {body[:200]!r}"


def status_of(answer):
    """As text; "none" without an answer."""
    found = re.match(rb"HTTP/1\.1 (\d{3})", without_continue(answer))
    return found.group(1).decode() if found else "none"
