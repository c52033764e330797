#!/usr/bin/env python3
"""Renders chat templates with Python's Jinja2, set up as the transformers library sets it up, and writes what came of
them to tests/data/parity/chat_templates.json. The templates are our own wording of what the templates
of models do. Known differences are left out: llama.cpp counts the bytes of a text where Python counts its characters.

    pip install jinja2 && scripts/parity/chat_templates.py
"""
import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

TALK = [
    {"role": "system", "content": "  Be brief.  "},
    {"role": "user", "content": " What is 2 + 2?\n"},
    {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\nFour."},
    {"role": "user", "content": "And 3 + 3?"},
]
ONE = [{"role": "user", "content": "Héllo, wörld! 你好"}]

TEMPLATES = {
    "a system message of its own if there is none": """
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|begin|>system\\nYou are helpful.<|end|>\\n' }}
    {%- endif %}
    {{- '<|begin|>' + message['role'] + '\\n' + message['content'] + '<|end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|begin|>assistant\\n' }}{% endif %}""",
    "blocks on lines of their own": """{% for message in messages %}
  {% if message.role == 'user' %}
<|user|>
{{ message.content }}{{ eos_token }}
  {% elif message.role == 'assistant' %}
<|assistant|>
{{ message.content }}{{ eos_token }}
  {% else %}
<|system|>
{{ message.content }}{{ eos_token }}
  {% endif %}
  {% if loop.last and add_generation_prompt %}
<|assistant|>
  {% endif %}
{% endfor %}""",
    "the system message inside the first user's": """{{ bos_token }}
{%- if messages[0].role == 'system' %}
{%- set system = messages[0].content | trim %}{% set rest = messages[1:] %}
{%- else %}{% set system = '' %}{% set rest = messages %}{% endif %}
{%- for message in rest %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- if message.role == 'user' %}
{{- '[ASK] ' }}{% if loop.first and system %}{{ '<<' ~ system ~ '>>\\n' }}{% endif %}{{ message.content.strip() + ' [/ASK]' }}
{%- else %}{{ ' ' + message.content | trim + eos_token }}{% endif %}
{%- endfor %}""",
    "earlier thoughts are dropped": """{%- set ns = namespace(last=0) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages %}
{%- set text = message.content %}
{%- if message.role == 'assistant' and '</think>' in text and loop.index0 < ns.last %}
{%- set text = text.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<' ~ message.role ~ '>' ~ text ~ '</' ~ message.role ~ '>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<assistant>' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}""",
    "a macro, and a filter": """{% macro turn(role, text) -%}
[{{ role | upper }}:{{ role | length }}] {{ text }}
{% endmacro -%}
{%- for m in messages if m.role != 'assistant' %}{{ turn(m.role, m.content | replace('2', 'two')) }}{% endfor %}
{{- '[ASSISTANT]' if add_generation_prompt else '' }}""",
    "tools that are none": """{%- if tools is not none and tools | length > 0 %}{{ tools | tojson }}{% endif %}
{%- if documents %}{{ 'documents' }}{% endif %}
{%- for message in messages %}{{ loop.index ~ '/' ~ loop.length ~ ' ' ~ message.role ~ ': ' ~ message.content }}
{% endfor %}""",
    "variables": """{{ '{"level": "' ~ (level | default('low')) ~ '"}' }}
{%- if extra is defined %}{% for key, value in extra.items() %}{{ ' ' ~ key ~ '=' ~ value }}{% endfor %}{% endif %}
{%- for m in messages[:3] %}{{ '\\n' + m.content }}{% endfor %}""",
    "text as it is tested": """{%- for m in messages %}
{%- if m.content is string and m.content.startswith('And') %}{{ '+' }}{% elif m.content.endswith('\\n') %}{{ '$' }}{% else %}{{ '.' }}{% endif %}
{{- m.content.rstrip() | lower | capitalize }}
{%- endfor %}""",
}
VALUES = [{}, {"enable_thinking": False}, {"level": "high", "extra": {"a": 1, "b": "two"}}]


def raise_exception(message):
    raise ValueError(message)


def main():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda x, **_: json.dumps(x, ensure_ascii=False)
    environment.globals["raise_exception"] = raise_exception
    records = []
    for name, source in TEMPLATES.items():
        for messages in (ONE, TALK, TALK[:2], TALK[1:3]):
            for values in VALUES:
                for begins_answer in (True, False):
                    text = environment.from_string(source).render(
                        messages=messages, add_generation_prompt=begins_answer, tools=None, documents=None,
                        bos_token="<s>", eos_token="</s>", **values)
                    record = {"name": name, "messages": messages, "values": values, "begins_answer": begins_answer, "text": text}
                    if records and records[-1]["text"] == text and records[-1]["messages"] == messages:
                        continue  # nothing that these values change
                    records.append(record)
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/data/parity/chat_templates.json"
    out.write_text(json.dumps({"templates": TEMPLATES, "rendered": records}, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(records)} prompts of {len(TEMPLATES)} templates in {out}")


if __name__ == "__main__":
    main()
