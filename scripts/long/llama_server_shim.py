#!/usr/bin/env python3
"""kvevict serve for programs that start llama-server: takes its flags, and becomes the server with those that say the same here. What a
flag asks for and there is nothing like it ends the program with 2 and a sentence, as llama-server does with a flag that it does not know.

usage: llama_server_shim.py [flags of llama-server]    KVEVICT_PROGRAM and KVEVICT_MODEL say what runs
"""

import os
import sys

# llama-server's flag: ours; a value follows
TRANSLATED = {"--host": "--host", "--port": "--port", "--temp": "--temperature", "--seed": "--seed", "--parallel": "--parallel", "--n-predict": "--max_new_tokens",
              "--chat-template": "--chat_template", "--chat-template-file": "--chat_template", "--threads": "--threads"}
# of no meaning here: how many of how many values
WITHOUT = {"--jinja": 0, "--no-jinja": 0, "--no-slots": 0, "--slots": 0, "--metrics": 0, "--verbose": 0, "--offline": 0, "--cont-batching": 0, "--batch-size": 1,
           "--ubatch-size": 1, "--ctx-size": 1, "--alias": 1, "--tags": 1, "--reasoning-format": 1, "--hf-file": 1, "--kv-unified": 0, "--swa-full": 0, "--cache-ram": 1}
OUR_MODELS = ("ggml-org/test-model-stories260K", "ggml-org/models")  # the tests' tiny one; ours stands for it
STRATEGY = ["--strategy", "sink_recent:16:240", "--chunk", "64"]


def refuse(sentence):
    sys.exit(f"llama_server_shim: {sentence}")


def translated(words):
    arguments, i = ["serve", *STRATEGY], 0
    while i < len(words):
        word, value = words[i], words[i + 1] if i + 1 < len(words) else ""
        if word in TRANSLATED:
            arguments += [TRANSLATED[word], value]
            i += 2
        elif word in WITHOUT:
            i += 1 + WITHOUT[word]
        elif word == "--api-key":
            os.environ["KVEVICT_API_KEY"] = value
            i += 2
        elif word == "--reasoning":
            arguments += ["--template_kwargs", '{"enable_thinking":false}'] if value == "off" else []
            i += 2
        elif word == "--hf-repo":
            if value not in OUR_MODELS:
                refuse(f"the model {value} would have to be downloaded")
            i += 2
        else:
            refuse(f"{word} asks for what this server has nothing like")
    return arguments


def main():
    program = os.environ["KVEVICT_PROGRAM"]
    os.execv(program, [program, *translated(sys.argv[1:])])


if __name__ == "__main__":
    main()
