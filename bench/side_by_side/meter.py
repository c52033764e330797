"""What every cell in Python measures alike: wall and processor seconds of its phases, and the memory at the peak."""

import json
import os
import pathlib
import signal
import time
from typing import Any


def status_bytes(field: str) -> int:
    """What the system counts of this process: VmRSS is resident now, VmHWM at the peak."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


class Meter:
    """From the loaded model on: what loading took is in none of the numbers, and not in the limit either."""

    def __init__(self) -> None:
        signal.alarm(int(os.environ.get("SIDE_BY_SIDE_LIMIT", "0")))  # ends the process
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.cell: dict[str, Any] = {"loaded_bytes": status_bytes("VmRSS")}
        self._start()

    def _start(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def phase(self, name: str) -> None:
        """Ends the phase `name`. Processor seconds are those of all threads, user and system."""
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        self.cell[name] = {"wall": round(wall, 4), "processor": round(processor, 4)}
        self._start()

    def report(self, held: int | None) -> None:
        """`held`: tokens in the cache when decoding begins, where the engine says."""
        now = {"resident_bytes": status_bytes("VmRSS"), "peak_bytes": status_bytes("VmHWM")}
        print(json.dumps(self.cell | {"held": held} | now))
