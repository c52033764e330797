"""A client of OpenAI's interface that measures: when each piece of a streamed answer came."""

import dataclasses
import http.client
import json
import threading
import time
from typing import Any

Message = dict[str, str]


@dataclasses.dataclass
class Answer:
    text: str = ""
    started: float = 0.0  # seconds, of one clock for all clients
    ended: float = 0.0
    pieces: list[float] = dataclasses.field(default_factory=list)  # when each came
    usage: dict[str, Any] = dataclasses.field(default_factory=dict)
    failed: str = ""

    @property
    def n_tokens(self) -> int:
        return int(self.usage.get("completion_tokens", 0))


def post(port: int, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1800)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"null")


def ask(port: int, messages: list[Message], max_tokens: int, extra: dict[str, Any]) -> Answer:
    """One streamed answer."""
    answer = Answer(started=time.perf_counter())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1800)
    body = {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}} | extra
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        answer.failed = f"HTTP {response.status}: {response.read().decode()[:300]}"
        answer.ended = time.perf_counter()
        return answer
    for line in response:
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        event = json.loads(line[6:])
        answer.usage = event.get("usage") or answer.usage
        for choice in event.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                answer.text += text
                answer.pieces.append(time.perf_counter())
    answer.ended = time.perf_counter()
    return answer


def ask_all(port: int, histories: list[list[Message]], max_tokens: int, extras: list[dict[str, Any]]) -> list[Answer]:
    """One answer to each history, all asked at once."""
    answers = [Answer()] * len(histories)

    def one(i: int) -> None:
        answers[i] = ask(port, histories[i], max_tokens, extras[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(histories))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
