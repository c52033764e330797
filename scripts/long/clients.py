#!/usr/bin/env python3
"""The server beside clients that programs use: OpenAI's own package, and LangChain's. Prints what was said and how much of it was in the
cache. Run by clients.sh, which has their packages.

usage: clients.py
"""

import asyncio
import contextlib
import importlib.metadata
import json
import tempfile

import common
import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

KEY = "a-key-of-this-check"
STRATEGY = ["--strategy", "sink_recent:16:240", "--chunk", "128"]
TOGETHER = 32
WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}}}


class Person(BaseModel):
    name: str
    age: int


def show(who, text, usage=None):
    line = f"    {who}: {' '.join(str(text).split())[:110]}"
    if usage is not None:
        line += f"   [{usage.prompt_tokens} tokens of prompt, cached_tokens {usage.prompt_tokens_details.cached_tokens}]"
    print(line, flush=True)


def user(text):
    return {"role": "user", "content": text}


def ask(client, messages, max_tokens=24, **more):
    return client.chat.completions.create(model="default", messages=messages, max_tokens=max_tokens, **more)


# OpenAI's package


def plain(client, checks):
    checks.expect(len(client.models.list().data) == 1, "models.list: the server's model")
    messages, cached = [{"role": "system", "content": "You answer in one sentence."}], []
    for text in ["Name a river of Europe.", "And one of Asia.", "Which of them is longer?"]:
        messages.append(user(text))
        answer = ask(client, messages)
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
        show("user", text)
        show("assistant", answer.choices[0].message.content, answer.usage)
        messages.append(answer.choices[0].message)
    checks.expect(cached[0] == 0 and 0 < cached[1] < cached[2], f"a growing history: cached_tokens grow with it: {cached}")
    messages[3] = user("And one of Africa.")
    answer = ask(client, messages[:4])
    show("user, changed", "And one of Africa.")
    show("assistant", answer.choices[0].message.content, answer.usage)
    checks.expect(0 < answer.usage.prompt_tokens_details.cached_tokens <= cached[2], "a changed message sets the conversation back")


def streaming(client, checks):
    text, usage = "", None
    for chunk in ask(client, [user("Count from one to ten.")], stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    show("assistant", text, usage)
    checks.expect(text and usage.completion_tokens > 1, "stream with include_usage: texts, then the counts")
    with client.chat.completions.stream(model="default", messages=[user("Name a colour.")], max_tokens=24, stop=["."]) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    checks.expect({"content.delta", "content.done"} <= kinds and final.choices[0].message.content, f"chat.completions.stream: {sorted(kinds)}")
    stream = ask(client, [user("Tell me a very long story.")], stream=True)
    next(iter(stream))
    stream.close()
    checks.expect(ask(client, [user("Are you there?")]).choices, "a stream that its client leaves: the next one is answered")


def tools(client, checks):
    messages = [user("What is the weather in Paris?")]
    answer = ask(client, messages, max_tokens=64, tools=[WEATHER], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    show("call", f"{call.function.name}({call.function.arguments})", answer.usage)
    city = json.loads(call.function.arguments)["city"]
    checks.expect(answer.choices[0].finish_reason == "tool_calls" and city in ("Paris", "Rome"), "a tool call by its schema")
    messages += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."}]
    answer = ask(client, messages, tools=[WEATHER])
    show("assistant", answer.choices[0].message.content or answer.choices[0].message.tool_calls, answer.usage)
    checks.expect(answer.usage.prompt_tokens_details.cached_tokens > 0, "its result goes on with the conversation")
    named = {"type": "function", "function": {"name": "weather"}}
    with client.chat.completions.stream(model="default", messages=messages[:1], max_tokens=64, tools=[WEATHER], tool_choice=named) as events:
        parts = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
        final = events.get_final_completion()
    arguments = final.choices[0].message.tool_calls[0].function.arguments
    checks.expect("".join(parts) == arguments and "city" in json.loads(arguments), f"a streamed tool call: {arguments}")


def formats(client, checks):
    answer = client.chat.completions.parse(model="default", messages=[user("Invent a person.")], max_tokens=64, response_format=Person)
    show("parsed", answer.choices[0].message.parsed, answer.usage)
    checks.expect(isinstance(answer.choices[0].message.parsed, Person), "chat.completions.parse: a pydantic model")
    answer = ask(client, [user("Any object, please.")], response_format={"type": "json_object"}, temperature=0)
    checks.expect(answer.choices[0].message.content.startswith("{"), "response_format json_object")


def logprobs(client, checks):
    answer = ask(client, [user("Say hello.")], logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    whole = b"".join(bytes(token.bytes) for token in content).decode(errors="replace")
    checks.expect(all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in content), f"logprobs of {len(content)} tokens, and three best each")
    checks.expect(whole.startswith(answer.choices[0].message.content), "their bytes are the answer's")
    seen = sum(len(choice.logprobs.content) for chunk in ask(client, [user("Say goodbye.")], logprobs=True, stream=True)
               for choice in chunk.choices if choice.logprobs)
    checks.expect(seen > 1, f"logprobs of a stream: {seen} tokens")


def choices(client, checks):
    answer = ask(client, [user("Name an animal.")], n=2, temperature=1.2, seed=7)
    for choice in answer.choices:
        show(f"choice {choice.index}", choice.message.content)
    checks.expect([choice.index for choice in answer.choices] == [0, 1], "n=2: two choices")
    texts = {}
    for chunk in ask(client, [user("Name a plant.")], n=2, temperature=1.2, seed=7, stream=True):
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    checks.expect(all(texts.get(i) for i in (0, 1)), "n=2 in a stream")


def completions(client, checks):
    answer = client.completions.create(model="default", prompt="The capital of France is", max_tokens=8, n=3, temperature=0.9, seed=1, logprobs=2, echo=True)
    for choice in answer.choices:
        show(f"text {choice.index}", choice.text)
    alike = {tuple(choice.logprobs.token_logprobs[:4]) for choice in answer.choices}
    checks.expect(len(answer.choices) == 3 and len(alike) == 1, "completions: three choices of one text, with echo and logprobs")
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(model="default", prompt="One, two,", max_tokens=8, stream=True))
    checks.expect(bool(text), f"completions in a stream: {text!r}")


def responses(client, checks):
    first = client.responses.create(model="default", input="Name a river.", instructions="Be brief.", max_output_tokens=24)
    more = {"model": "default", "instructions": "Be brief.", "max_output_tokens": 24}
    second = client.responses.create(input="And another one.", previous_response_id=first.id, **more)
    n_cached = second.usage.input_tokens_details.cached_tokens
    for response in (first, second):
        show("response", response.output_text)
    checks.expect(first.output_text and n_cached > first.usage.input_tokens, f"responses.create, and one that goes on: cached_tokens {n_cached}")
    events = list(client.responses.create(input="Count to three.", stream=True, **more))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    whole = events[-1].response
    checks.expect(text and text == whole.output_text and whole.usage.output_tokens > 1, f"responses in a stream of {len(events)} events, the last {events[-1].type}")
    weather = {"type": "function", **WEATHER["function"]}
    response = client.responses.create(model="default", input="What is the weather in Rome?", tools=[weather], tool_choice="required")
    call = next(item for item in response.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    answer = client.responses.create(model="default", input=[result], previous_response_id=response.id, tools=[weather], max_output_tokens=24)
    show("response", f"{call.name}({call.arguments}): {answer.output_text}")
    checks.expect("city" in json.loads(call.arguments) and answer.output, "responses: a function, its result, and an answer")
    parsed = client.responses.parse(model="default", input="Invent a person.", text_format=Person).output_parsed
    checks.expect(isinstance(parsed, Person), f"responses.parse: {parsed!r}")


def errors(client, checks):
    def refused(kind, ask_it):
        try:
            ask_it()
        except kind as error:
            return show("refused", error) or True
        return False

    bad = client.with_options(api_key="another-key")
    checks.expect(refused(openai.AuthenticationError, lambda: ask(bad, [user("x")])), "a key that is not known: AuthenticationError")
    checks.expect(refused(openai.BadRequestError, lambda: ask(client, [user("x")], extra_body={"no_such_field": 1})), "a field that is not known: BadRequestError")
    checks.expect(refused(openai.NotFoundError, lambda: client.embeddings.create(model="default", input="x")), "a path that is not there: NotFoundError")


async def at_once(url, checks):
    client = openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)

    async def talk(number):
        messages = [user(f"Name the number after {number}.")]
        first = await ask(client, messages)
        messages += [first.choices[0].message, user("And the next one?")]
        return await ask(client, messages)

    answers = await asyncio.gather(*(talk(i) for i in range(TOGETHER)), return_exceptions=True)
    wrong = [repr(answer) for answer in answers if isinstance(answer, Exception)]
    cached = sum(0 if isinstance(answer, Exception) else answer.usage.prompt_tokens_details.cached_tokens > 0 for answer in answers)
    checks.expect(not wrong, f"AsyncOpenAI, {TOGETHER} conversations of two turns at once: {wrong[:1] or 'all answered'}")
    checks.expect(cached == TOGETHER, f"{cached} of {TOGETHER} second turns found their first one")


# LangChain's


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def lang_talk(model, checks):
    history = [SystemMessage("You answer briefly."), HumanMessage("Name a mountain.")]
    cached = []
    for text in ["Name another one.", "Which is higher?", None]:
        answer = model.invoke(history)
        cached.append(answer.usage_metadata["input_token_details"].get("cache_read", 0))
        show("LangChain", f"{answer.content}   [cache_read {cached[-1]}]")
        history += [answer, HumanMessage(text)] if text else [answer]
    checks.expect(cached[0] == 0 and 0 < cached[1] < cached[2], f"LangChain invoke: a history that grows: cache_read {cached}")
    history[3] = HumanMessage("Name a lake.")
    answer = model.invoke(history[:4])
    n_cached = answer.usage_metadata["input_token_details"].get("cache_read", 0)
    show("LangChain", f"{answer.content}   [cache_read {n_cached}]")
    checks.expect(0 < n_cached <= cached[2], "LangChain: an edited message is answered from where it was edited")
    chunks = list(model.stream([HumanMessage("Count to five.")]))
    text = "".join(chunk.content for chunk in chunks)
    counted = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    checks.expect(text and counted and counted[-1]["output_tokens"] > 0, f"LangChain stream: {' '.join(text.split())[:60]!r}")
    answers = model.batch([[HumanMessage(f"Say {word}.")] for word in ("yes", "no", "maybe")])
    checks.expect(all(isinstance(answer, AIMessage) and answer.content for answer in answers), "LangChain batch of three")


def lang_tools(model, checks):
    history = [HumanMessage("What is 20 and 22?")]
    answer = model.bind_tools([add], tool_choice="add").invoke(history)
    call = answer.tool_calls[0]
    result = add.invoke(call["args"])
    show("LangChain", f"{call['name']}({call['args']}) = {result}")
    history += [answer, ToolMessage(str(result), tool_call_id=call["id"])]
    answer = model.bind_tools([add]).invoke(history)
    show("LangChain", answer.content or answer.tool_calls)
    checks.expect(isinstance(answer, AIMessage), "LangChain: a tool, its result, and an answer")
    person = model.with_structured_output(Person, method="json_schema").invoke("Invent a person.")
    checks.expect(isinstance(person, Person), f"LangChain with_structured_output: {person!r}")


def run(checks, name, part, *arguments):
    """A part; what it throws is a failure, and the others go on."""
    print(f"  {name}", flush=True)
    try:
        part(*arguments, checks)
    except Exception as error:  # noqa: BLE001
        checks.expect(False, f"{name}: {type(error).__name__}: {error}")


def main():
    checks = common.Checks("clients")
    with contextlib.ExitStack() as running:
        store = running.enter_context(tempfile.TemporaryDirectory())  # where conversations rest that have no place
        flags = [*STRATEGY, "--parallel", "8", "--queue", "64", "--store", store]
        url = running.enter_context(common.serving(*flags, key=KEY)) + "/v1"
        client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
        for package in ("openai", "langchain-openai"):
            checks.figure(package, importlib.metadata.version(package))
        for part in (plain, streaming, tools, formats, logprobs, choices, completions, responses, errors):
            run(checks, part.__name__, part, client)
        run(checks, "at once", lambda all_checks: asyncio.run(at_once(url, all_checks)))
        model = ChatOpenAI(model="default", base_url=url, api_key=KEY, max_tokens=64, temperature=0, max_retries=0, stream_usage=True)
        for part in (lang_talk, lang_tools):
            run(checks, part.__name__, part, model)
    checks.finish()


if __name__ == "__main__":
    main()
