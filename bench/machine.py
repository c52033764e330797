"""What a benchmark says of where it ran: the processors, and the versions of what was measured."""

import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Iterable
from typing import Any


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def vector_extensions() -> list[str]:
    known = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return [name for name in known if name in line.split()]
    return []


def machine() -> dict[str, Any]:
    return {"processors": len(os.sched_getaffinity(0)), "cpu": processor(), "vectors": vector_extensions()}


def versions(python: str | pathlib.Path, names: Iterable[str]) -> dict[str, str]:
    """Of the packages `names` in the environment of that Python."""
    code = f"from importlib.metadata import version; import json; print(json.dumps({{n: version(n) for n in {tuple(names)}}}))"
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True).stdout)
    return found
