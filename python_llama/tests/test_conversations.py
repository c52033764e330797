"""Conversations: turns, histories, files."""

import pytest

QUESTION = "What is the capital of France?"


def test_a_conversation_streams_and_remembers(model):
    chat = model.conversation("sink_recent:4:500", system="You are brief.", threads=1)
    answer = chat.ask(QUESTION, max_tokens=24)
    pieces = list(answer)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text()
    assert answer.end in ("model", "length")
    chat.ask("And of Italy?", max_tokens=4).text()
    assert chat.n_turns == 2
    assert "And of Italy?" in chat.kept_text()
    assert sum(end - begin for begin, end in chat.kept()) == chat.held == chat.seen
    chat.reset()
    assert (chat.n_turns, chat.seen) == (0, 0)
    assert chat.ask(QUESTION, max_tokens=24).text() == answer.text()


def test_the_sink_keeps_the_system_prompt(model):
    chat = model.conversation("sink_recent:0:100", system="You are Ada. " * 4, threads=1, chunk=32)
    n_system = len(model.tokenize_chat([{"role": "system", "content": "You are Ada. " * 4}], begins_answer=False))
    for _ in range(3):
        chat.ask("Tell me about the sea, the wind and the stars.", max_tokens=40).text()
    assert chat.stats.n_evictions > 0
    assert chat.kept()[0][0] == 0
    assert chat.kept()[0][1] >= n_system - 2


def test_a_list_of_messages_is_a_history(model):
    said = model.conversation(threads=1)
    first = said.ask(QUESTION, max_tokens=16).text()
    second = said.ask("And of Italy?", max_tokens=16).text()
    chat = model.conversation(threads=1)
    history = [{"role": "user", "content": QUESTION}]
    assert chat.ask(history, max_tokens=16).text() == first
    history += [{"role": "assistant", "content": first}, {"role": "user", "content": "And of Italy?"}]
    before = chat.stats.n_decoded_tokens
    assert chat.ask(history, max_tokens=16).text() == second
    assert chat.stats.n_decoded_tokens - before < 60  # nothing twice


def test_the_next_question_ends_an_answer(model):
    chat = model.conversation(threads=1)
    answer = chat.ask("Count to one hundred.", max_tokens=400)
    piece = next(answer)
    chat.ask(QUESTION, max_tokens=2).text()
    assert answer.end == "stopped"
    assert answer.text().startswith(piece)
    assert chat.n_turns == 2


def test_a_saved_conversation_goes_on(model, tmp_path):
    chat = model.conversation("sink_recent:0:300", system="You are brief.", threads=1)
    chat.ask(QUESTION, max_tokens=8).text()
    chat.save(tmp_path / "chat")
    other = model.conversation(threads=1)
    other.load(tmp_path / "chat")
    assert (other.n_turns, other.seen, other.strategy) == (1, chat.seen, chat.strategy)
    assert other.ask("And of Italy?", max_tokens=8).text() == chat.ask("And of Italy?", max_tokens=8).text()


def test_what_cannot_be_asked_is_refused(model):
    chat = model.conversation(threads=1)
    with pytest.raises(ValueError, match="list of messages is empty"):
        chat.ask([])
    with pytest.raises(ValueError, match="max_tokens is -1"):
        chat.ask("Hello", max_tokens=-1)
    with pytest.raises(ValueError, match="stop has an empty text"):
        chat.ask("Hello", stop=[""])
    with pytest.raises(ValueError, match="strategy"):
        model.conversation("sink_recent_uniform:stride=x")
    assert (chat.n_turns, chat.seen) == (0, 0)
