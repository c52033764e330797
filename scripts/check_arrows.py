#!/usr/bin/env python3
"""Checks what docs/architecture.md promises about the source tree; prints every breach and exits with 1.

- an include goes only along the arrows between the rooms, and a public header includes only
  public headers and the standard library; kvevict.h includes all of them but those of C;
- llama.h and ggml's headers are seen by the engine alone, sockets' headers by hub and http alone;
- the library neither prints nor ends the process: only src/cli and src/main.cc may;
- a file stays under 400 lines, a public header under 150;
- every room of tests/ that has a *_test.cc is in tests/CMakeLists.txt.

usage: check_arrows.py [PROJECT_FOLDER]
"""

import pathlib
import re
import sys

# room -> rooms whose private headers it may include (its own is always allowed)
ARROWS = {
    "base": set(),
    "text": {"base"},
    "policy": {"base"},
    "tensors": {"base", "policy"},
    "c": {"base", "policy"},
    "engine": {"base", "text", "policy"},
    "runtime": {"base", "text", "policy", "engine"},
    "results": {"base", "text", "policy"},
    "experiments": {"base", "text", "policy", "engine", "runtime", "results"},
    "plot": {"base", "text", "policy", "results"},
    "serving": {"base", "text", "policy", "engine", "runtime"},
    "http": {"base", "text", "policy", "engine", "runtime", "serving"},
    "hub": {"base", "text"},
    "cli": {"base", "text", "policy", "tensors", "engine", "runtime", "results", "experiments", "plot", "hub", "serving",
            "http"},
}
# public headers of the engine, which the rooms that build without llama.cpp must not see
ENGINE_HEADERS = {"model", "session", "sampling", "engine_info", "memory", "llama_cache", "kv_type",
                  "session_options", "session_file", "grammar", "chat_message", "answer_format", "token_probability"}
SEES_ENGINE = {"engine", "runtime", "experiments", "serving", "http", "cli"}
SEES_ENGINE_TOO = {"src/c/llama_cache.cc"}  # a library of its own
# public headers that kvevict.h leaves out
C_HEADERS = {"kvevict_c", "kvevict_c_llama"}
C_STANDARD_HEADERS = {"stdbool.h", "stddef.h", "stdint.h"}
LLAMA = re.compile(r"^(llama|ggml|gguf)[-\w]*\.h$")
SOCKETS = re.compile(r"^(sys/socket|netinet/.*|arpa/inet|netdb|curl/.*|httplib)(\.h)?$")
PRINTS = re.compile(r"\bstd::(cout|cerr|clog|exit|abort|terminate|quick_exit)\b|(?<![\w:.])(printf|fprintf|puts|exit|abort)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".cc", ".cu", ".cuh"}
MAX_LINES, MAX_PUBLIC_LINES = 400, 150


def strip_comment(line):
    return re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1), found.group(2)


def check_public(where, text):
    is_c = where.stem in C_HEADERS
    for number, bracket, name in includes(text):
        if bracket == '"' and not name.startswith("kvevict/"):
            yield f"{where}:{number}: a public header includes \"{name}\", which is not a public header"
        if bracket == "<" and ("/" in name or "." in name) and not (is_c and name in C_STANDARD_HEADERS):
            yield f"{where}:{number}: a public header includes <{name}>, which is not the standard library's"
    if len(text.splitlines()) > MAX_PUBLIC_LINES:
        yield f"{where}: {len(text.splitlines())} lines, a public header has at most {MAX_PUBLIC_LINES}"


def check_one_include(root):
    """kvevict.h includes every header that a program in C++ can use, and each marks its names."""
    folder = root / "include" / "kvevict"
    all_of_it = {name for _, _, name in includes((folder / "kvevict.h").read_text())}
    for path in sorted(folder.glob("*.h")):
        if path.stem in C_HEADERS | {"kvevict", "export"}:
            continue
        if f"kvevict/{path.name}" not in all_of_it:
            yield f"include/kvevict/kvevict.h: does not include kvevict/{path.name}"
        if "namespace KVEVICT_PUBLIC kvevict {" not in path.read_text():
            yield f"include/kvevict/{path.name}: \"namespace KVEVICT_PUBLIC kvevict\" is needed, or shared libraries hide it"


def check_room(where, room, text):
    for number, _, name in includes(text):
        head = name.split("/")[0]
        if head in ARROWS and head != room and head not in ARROWS[room]:
            yield f"{where}:{number}: {room} includes \"{name}\": no arrow goes from {room} to {head}"
        sees_engine = room in SEES_ENGINE or where.as_posix() in SEES_ENGINE_TOO
        if head == "kvevict" and not sees_engine and pathlib.PurePath(name).stem in ENGINE_HEADERS:
            yield f"{where}:{number}: {room} includes \"{name}\", which belongs to the engine"
        if LLAMA.match(name) and room != "engine":
            yield f"{where}:{number}: {room} includes <{name}>: only the engine may"
        if SOCKETS.match(name) and room not in ("hub", "http", "cli"):
            yield f"{where}:{number}: {room} includes <{name}>: only hub, http and cli open connections"
        if room == "policy" and head != "kvevict" and head != "policy" and ("." in name):
            yield f"{where}:{number}: policy includes <{name}>: it depends on the standard library alone"
    if room == "cli":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if PRINTS.search(strip_comment(line)):
            yield f"{where}:{number}: the library prints or ends the process: {line.strip()}"


def check(root):
    for path in sorted((root / "include" / "kvevict").rglob("*.h")):
        yield from check_public(path.relative_to(root), path.read_text())
    yield from check_one_include(root)
    for path in sorted((root / "src").rglob("*")):
        where = path.relative_to(root)
        if path.suffix not in SUFFIXES or len(where.parts) < 3:
            continue
        room = where.parts[1]
        if room not in ARROWS:
            yield f"{where}: there is no room \"{room}\" (docs/architecture.md names them)"
            continue
        yield from check_room(where, room, path.read_text())
    for folder in ("src", "tests", "bench", "examples", "fuzz", "tools", "scripts"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES | {".c", ".py", ".sh"} and len(path.read_text().splitlines()) > MAX_LINES:
                yield f"{path.relative_to(root)}: more than {MAX_LINES} lines"
    listed = (root / "tests" / "CMakeLists.txt").read_text()
    for room in sorted({path.parent.name for path in (root / "tests").glob("*/*_test.cc")}):
        if f"kvevict_add_tests({room} " not in listed:
            yield f"tests/{room}: has tests, but tests/CMakeLists.txt does not build them"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    breaches = list(check(root))
    for breach in breaches:
        print(breach)
    print(f"{len(breaches)} breaches of the architecture")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
