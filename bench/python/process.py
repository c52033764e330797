"""What the cells do to their own process before they measure, so that all begin alike."""

from __future__ import annotations

import ctypes
import gc
import os

import torch


def run_on(n_threads: int) -> None:
    """So many processors and threads for everything in this process: kvevict's moves take what the process may use."""
    torch.set_num_threads(n_threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-n_threads:])


def give_memory_back() -> None:
    """What was freed before goes back to the system: the phases would else grow into it unseen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
