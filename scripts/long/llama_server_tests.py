#!/usr/bin/env python3
"""Runs llama.cpp's tests of its server against kvevict serve (llama_server_shim.py stands for its program, llama_server_plugin.py for its
model), and says of each whether it passes, differs or does not apply, with the reason. Fails if that is not as it is written here.

usage: llama_server_tests.py FOLDER_OF_THEIR_TESTS
"""

import collections
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import common

HERE = pathlib.Path(__file__).resolve().parent
FILES = ["basic", "chat_completion", "completion", "security", "tokenize", "template", "tool_call", "compat_oai_responses"]
PASSES, DIFFERS, NOT_OURS = "passes", "differs", "does not apply"

# the tests whose names match, and what is so of them; the first row that matches holds, and what none matches passes
RULES = [
    (r"test_server_multiple_addresses", NOT_OURS, "several addresses: this server listens on one"),
    (r"test_server_(props|slots)", NOT_OURS, "slots: this server has conversations, and says what it has in its own words"),
    (r"test_server_models$|aliases_and_tags", DIFFERS, "a model has its own name, and no aliases"),
    (r"test_load_split_model|test_local_media_file", NOT_OURS, "models that would have to be downloaded; images"),
    (r"test_no_ui|static_assets", DIFFERS, "the page is one file, and always there"),
    (r"cors", DIFFERS, "one origin is named by --cors, or none; a preflight is answered with 204"),
    (r"test_correct_api_key", NOT_OURS, "/completions in llama.cpp's own form, and Anthropic's header"),
    (r"test_completion::test_completion(_stream)?_with_openai_library", PASSES, ""),
    (r"test_completion::", NOT_OURS, "/completion, llama.cpp's own form"),
    (r"test_chat_completion_stream|timings_per_token|logprobs_stream|STREAMED", DIFFERS, "the first event of a stream has \"\" as its content, as OpenAI's has, not null"),
    (r"assistant_prefill|continue_final_message_vllm|messages7", DIFFERS, "a list that ends with an answer is answered anew, not gone on with"),
    (r"This is not a chat template", NOT_OURS, "a template on the command line: a name or a file is taken here"),
    (r"test_date_inside_prompt", DIFFERS, "a prompt has no date of the day, so that a history stays the same over night"),
    (r"test_add_generation_prompt.*False", DIFFERS, "add_generation_prompt: false is refused by its name"),
    (r"test_tokenize_with_bos", NOT_OURS, "a token at the beginning of texts, which the model here has not"),
    (r"test_chat_template$|test_verbose_debug|return_progress|telemetry|token_count", NOT_OURS, "fields of llama.cpp's own: __verbose, progress, timings"),
    (r"with_(grammar|json_schema)", NOT_OURS, "fields of llama.cpp's own: grammar, json_schema"),
    (r"context_size_exceeded", DIFFERS, "there is no context that a history could exceed"),
    (r"cached_tokens", DIFFERS, "counts of another tokenizer"),
    (r"multiple_choices", NOT_OURS, "id_slot: this server has no slots"),
]


class Test:
    def __init__(self, case):
        self.name = f"{case.get('classname').removeprefix('unit.')}::{case.get('name')}"
        failed = [child for child in case if child.tag in ("failure", "error")]
        self.has_passed = not failed and case.find("skipped") is None
        self.is_skipped = case.find("skipped") is not None
        self.why = (failed[0].get("message") or "").splitlines()[0] if failed else ""
        self.verdict, self.reason = next(((verdict, reason) for pattern, verdict, reason in RULES if re.search(pattern, self.name)), (PASSES, ""))

    def is_as_written(self):
        return self.is_skipped or self.verdict == NOT_OURS or self.has_passed == (self.verdict == PASSES)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(folder, report):
    environment = {**os.environ, "KVEVICT_PROGRAM": str(common.PROGRAM), "LLAMA_SERVER_BIN_PATH": str(HERE / "llama_server_shim.py"), "PORT": str(free_port()),
                   "PYTHONPATH": f"{HERE}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    files = [f"unit/test_{name}.py" for name in FILES]
    words = [sys.executable, "-m", "pytest", "-p", "llama_server_plugin", "-p", "no:cacheprovider", "-q", "--tb=no", "-m", "not slow", f"--junitxml={report}", *files]
    subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip().splitlines()[-1])
    with tempfile.TemporaryDirectory() as name:
        report = pathlib.Path(name) / "report.xml"
        run(sys.argv[1], report)
        tests = [Test(case) for case in ElementTree.parse(report).getroot().iter("testcase")]
    rows = collections.Counter((test.verdict, test.reason) for test in tests if not test.is_skipped)
    for verdict in (PASSES, DIFFERS, NOT_OURS):
        for (of, reason), count in sorted(rows.items()):
            if of == verdict:
                print(f"  {count:4} {verdict:15} {reason}")
    wrong = [test for test in tests if not test.is_as_written()]
    for test in wrong:
        print(f"  FAILED  {test.name}: {'it passes now' if test.has_passed else test.why}")
    print(f"llama.cpp's tests of its server: {sum(test.has_passed for test in tests)} of {len(tests)} pass; {len(wrong)} not as it is written")
    sys.exit(1 if wrong or not tests else 0)


if __name__ == "__main__":
    main()
