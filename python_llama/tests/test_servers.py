"""A server in this process, asked over loopback."""

import json
import urllib.error
import urllib.request

import pytest
from kvevict.llama import Server

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]


def ask(url: str, path: str, body: dict | None = None, key: str = "") -> dict:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers)) as response:
        return json.load(response)


def test_it_answers_as_a_conversation_does(model):
    expected = model.conversation("sink_recent:4:500", threads=1).ask(MESSAGES, max_tokens=16).text()
    with Server(model, strategy="sink_recent:4:500", port=0, threads=1) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        answer = ask(server.url, "/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 16})
        assert answer["choices"][0]["message"]["content"] == expected
        assert ask(server.url, "/v1/models")["data"][0]["object"] == "model"
    assert server.url is None
    assert server.port is None


def test_it_starts_again(model):
    server = Server(model, port=0, threads=1)
    assert server.url is None
    for _ in range(2):
        server.start()
        assert ask(server.url, "/v1/models")
        with pytest.raises(ValueError, match="the server runs already"):
            server.start()
        server.stop()
    server.stop()


def test_keys_are_asked_for(model):
    with Server(model, port=0, api_keys=["secret"], threads=1) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server.url, "/v1/models")
        assert refused.value.code == 401
        assert ask(server.url, "/v1/models", key="secret")


def test_a_client_may_not_hold_more_than_the_server_gives(model):
    body = {"messages": MESSAGES, "max_tokens": 4, "kvevict": {"strategy": "sink_recent:4:900"}}
    with Server(model, strategy="sink_recent:4:300", port=0, threads=1) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server.url, "/v1/chat/completions", body)
        assert refused.value.code == 400
        assert "may hold" in json.load(refused.value)["error"]["message"]


def test_a_stored_conversation_goes_on_in_another_server(model, tmp_path):
    options = {"strategy": "sink_recent:4:300", "port": 0, "threads": 1, "store": tmp_path / "store"}
    body = {"messages": MESSAGES, "max_tokens": 8, "kvevict": {"conversation": "anna"}}
    with Server(model, **options) as server:
        first = ask(server.url, "/v1/chat/completions", body)
        with pytest.raises(OSError, match="store"):
            Server(model, **options).start()
    said = [*MESSAGES, first["choices"][0]["message"], {"role": "user", "content": "And of Italy?"}]
    with Server(model, **options) as server:
        assert [c["id"] for c in ask(server.url, "/conversations")["data"]] == ["anna"]
        second = ask(server.url, "/v1/chat/completions", body | {"messages": said})
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= first["usage"]["prompt_tokens"]


def test_impossible_values_are_refused(model):
    for options, sentence in [
        ({"port": 65536}, "port is 65536: a number from 0 to 65535 is needed"),
        ({"parallel": 0}, "parallel is 0"),
        ({"strategy": "full"}, "the strategy full has no bound"),
        ({"strategy": "h2o:4:60:64", "store": "x"}, "chooses by attention, which cannot be stored"),
        ({"store_limit": "much"}, 'store_limit is "much": a size'),
        ({"store_shared": True}, "store_shared is True without a folder"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            Server(model, **options)
    with Server(model, port=0, threads=1) as server:
        second = Server(model, port=server.port, threads=1)
        with pytest.raises(OSError, match=str(server.port)):
            second.start()
