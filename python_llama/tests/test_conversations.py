"""Conversations: turns, histories, files."""

import json

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
    with pytest.raises(ValueError, match="messages: the list is empty"):
        chat.ask([])
    with pytest.raises(ValueError, match="max_tokens is -1"):
        chat.ask("Hello", max_tokens=-1)
    with pytest.raises(ValueError, match="stop has an empty text"):
        chat.ask("Hello", stop=[""])
    with pytest.raises(ValueError, match="strategy"):
        model.conversation("sink_recent_uniform:stride=x")
    assert (chat.n_turns, chat.seen) == (0, 0)


CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": CITY}}]


def test_an_answer_is_a_message(model):
    answer = model.conversation(threads=1).ask(QUESTION, max_tokens=16)
    assert answer.message() == {"role": "assistant", "content": answer.text()}
    assert answer.end in ("model", "length")
    assert model.session().generate("One, two,", max_tokens=2).message()["role"] == "assistant"


def test_a_function_is_called_and_its_result_taken(model):
    chat = model.conversation("sink_recent:4:500", threads=1)
    history = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = chat.ask(history, tools=TOOLS, tool_choice="required", max_tokens=64)
    message = answer.message()
    call = message["tool_calls"][0]
    assert message["content"] is None
    assert call["function"]["name"] == "weather"
    assert list(json.loads(call["function"]["arguments"])) == ["city"]
    assert answer.message() == message
    history += [message, {"role": "tool", "tool_call_id": call["id"], "content": "Rain."}]
    second = chat.ask(history, tools=TOOLS, tool_choice="none", max_tokens=8)
    assert second.message() == {"role": "assistant", "content": second.text()}


def test_thoughts_are_apart(model):
    opened = (
        "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.reasoning_content %}"
        "{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}"
        "{{- m.content + '<|im_end|>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
    )
    answer = model.conversation(chat_template=opened, threads=1).ask(QUESTION, max_tokens=12)
    message = answer.message()  # this model does not end them
    assert message["content"] == ""
    assert message["reasoning_content"] == answer.text().strip()


def test_calls_that_cannot_be_are_refused(model):
    chat = model.conversation(threads=1)
    history = [{"role": "user", "content": QUESTION}]
    for options, sentence in [
        ({"tools": [{"type": "retrieval"}]}, "retrieval"),
        ({"tool_choice": "required"}, "there are no tools"),
        ({"tools": TOOLS, "grammar": 'root ::= "yes"'}, "leave one of them out"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            chat.ask(history, **options)
    with pytest.raises(ValueError, match="they belong to a list of messages"):
        chat.ask(QUESTION, tools=TOOLS)
    assert chat.seen == 0
