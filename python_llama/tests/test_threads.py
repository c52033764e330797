"""The GIL, Ctrl-C and threads."""

import threading

import kvevict.llama
import pytest

LONG = " ".join(f"On day {day} the ship sailed {day * 7} miles to the north." for day in range(600))
PROMPT = "One, two, three, four, five, six, seven,"


def test_long_calls_release_the_gil(model, when_released):
    session = model.session(threads=1)
    n_counted = 0

    def count() -> None:
        nonlocal n_counted
        for _ in range(1000):
            n_counted += 1

    when_released(count)
    session.append(LONG[:8000])  # long enough for the other thread to wake up
    assert n_counted == 1000
    when_released(count)
    session.generate(PROMPT, max_tokens=100).text()
    assert n_counted == 2000


@pytest.mark.parametrize("call", ["tokenize", "detokenize", "tokenize_chat", "apply_chat_template"])
def test_long_texts_release_the_gil(model, when_released, call):
    text = LONG * 40
    given = {"tokenize": text, "detokenize": model.tokenize(text) * 10}.get(call, [{"role": "user", "content": text}])
    came = []
    when_released(lambda: came.append(call))
    getattr(model, call)(given)
    assert came == [call]


def test_ctrl_c_ends_a_prefill(model, ctrl_c):
    session = model.session("sink_recent:4:60", threads=1, chunk=64)
    tokens = model.tokenize(LONG)
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        session.append(tokens)
    assert session.seen < len(tokens)
    before = session.seen
    session.append("!")
    assert session.seen > before


def test_ctrl_c_ends_an_answer(model, ctrl_c):
    session = model.session("sink_recent:4:60", threads=1)
    answer = session.generate(PROMPT, max_tokens=5000)
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        answer.text()
    assert answer.end == "stopped"
    assert 0 < len(answer.tokens) < 5000
    assert "".join(answer) == answer.text() == model.detokenize(answer.tokens)
    session.append("!")
    assert session.seen > len(answer.tokens)


def test_ctrl_c_ends_an_answer_of_a_conversation(model, ctrl_c):
    chat = model.conversation("sink_recent:0:250", threads=1)
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        chat.ask(LONG)
    assert chat.seen < len(model.tokenize(LONG))
    answer = chat.ask("Count.", max_tokens=4000)
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        answer.text()
    assert answer.end == "stopped"
    assert len(chat.ask("Once more.", max_tokens=2).tokens) <= 2


def test_several_threads_may_use_one_session(model):
    session = model.session("sink_recent:4:60", threads=1)
    n = len(model.tokenize("word " * 40))
    session.append("word " * 40)
    threads = [threading.Thread(target=session.append, args=("word " * 40,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    answers = [model.session(threads=1).generate(PROMPT, max_tokens=6).text() for _ in range(2)]
    for thread in threads:
        thread.join()
    assert answers[0] == answers[1]
    assert session.seen >= 5 * (n - 1)
    session.evict()
    assert session.held <= 64


def test_a_session_goes_at_any_time(model):
    answer = model.session(threads=1).generate(PROMPT, max_tokens=4)  # whose session nobody holds
    assert len(list(answer)) > 0
    chat = model.conversation(threads=1)
    half = chat.ask("Hello", max_tokens=8)
    del chat
    assert next(half)
    del half


def test_a_model_outlives_its_name(model_file):
    session = kvevict.llama.Model(model_file).session(threads=1)
    session.append(PROMPT)
    assert session.seen > 0
