"""What the long checks share: the program, the texts, checks that are said aloud, and their record under results/long."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("KVEVICT_PROGRAM", ROOT / "build" / "release" / "bin" / "kvevict"))
DEPS = pathlib.Path(os.environ.get("KVEVICT_DEPS", ROOT / ".deps"))
RESULTS = ROOT / "results" / "long"


def text(name):
    """A text of scripts/fetch_texts.sh, fetched where it is missing."""
    path = DEPS / "texts" / name
    if not path.exists():
        subprocess.run([ROOT / "scripts" / "fetch_texts.sh"], check=True)
    if not path.exists():
        sys.exit(f"kvevict: there is no {name}: it comes from Debian's packages, which cannot be had here")
    return path


def run(*arguments, stdin=None):
    """The finished program; its exit code is the caller's to judge."""
    words = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(words, input=stdin, capture_output=True, text=True)


@contextlib.contextmanager
def serving(*arguments, key=""):
    """The server on a free port, with the default model; its address, without a slash at its end."""
    environment = {**os.environ, **({"KVEVICT_API_KEY": key} if key else {})}
    words = [str(PROGRAM), "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            said = ""
            for line in server.stderr:
                said += line
                if "listening on " in line:
                    break
            else:
                sys.exit(f"kvevict: the server did not start: {said}")
            threading.Thread(target=lambda: [print(line, end="", file=sys.stderr) for line in server.stderr], daemon=True).start()
            yield line.rsplit(" ", 1)[1].strip()
        finally:
            server.terminate()
            server.wait()


class Checks:
    def __init__(self, name):
        self.name, self.figures, self.failures = name, {}, []

    def figure(self, key, value):
        self.figures[key] = value
        print(f"  {key}: {value}")

    def expect(self, holds, sentence):
        print(("  ok      " if holds else "  FAILED  ") + sentence)
        if not holds:
            self.failures.append(sentence)

    def finish(self):
        RESULTS.mkdir(parents=True, exist_ok=True)
        record = {"check": self.name, "figures": self.figures, "failures": self.failures}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(f"{self.name}: {'FAILED' if self.failures else 'passed'}")
        sys.exit(1 if self.failures else 0)
