"""The ``kvevict`` program: its scorers, comparisons and pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def find() -> str:
    """Where the program is: ``KVEVICT_PROGRAM``, the PATH, or this checkout's build."""
    built = REPOSITORY / "build" / "release" / "bin" / "kvevict"
    for candidate in (os.environ.get("KVEVICT_PROGRAM"), shutil.which("kvevict"), built):
        if candidate and Path(candidate).exists():
            return str(candidate)
    raise SystemExit("the kvevict program is not here: run scripts/setup.sh, or name it in KVEVICT_PROGRAM")


def run(*arguments: str) -> str:
    """What the program prints; its sentence ends this program if it fails."""
    done = subprocess.run([find(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip())
    return done.stdout
