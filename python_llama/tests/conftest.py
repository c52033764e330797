"""The model of the tests, and Ctrl-C."""

import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import kvevict.llama
import pytest

DEFAULT_MODEL = "kvevict/models/SmolLM2-135M-Instruct.Q8_0.gguf"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


@pytest.fixture(scope="session")
def model_file() -> pathlib.Path:
    path = pathlib.Path(os.environ.get("KVEVICT_MODEL") or CACHE / DEFAULT_MODEL)
    assert path.is_file(), f"{path} is not there: scripts/setup.sh makes it, or KVEVICT_MODEL names another"
    return path


@pytest.fixture(scope="session")
def model(model_file: pathlib.Path) -> kvevict.llama.Model:
    return kvevict.llama.Model(model_file)


@pytest.fixture
def when_released() -> Iterator[Callable[[Callable[[], object]], None]]:
    """``when_released(work)``: `work` runs on another thread as soon as this one releases the GIL by itself.

    No thread is made to hand the GIL over meanwhile: had a call kept it, `work` would come after the call.
    """
    interval = sys.getswitchinterval()
    threads = []

    def run(work: Callable[[], object]) -> None:
        ready, go = threading.Event(), threading.Event()

        def wait_and_work() -> None:
            ready.set()
            go.wait()
            work()

        thread = threading.Thread(target=wait_and_work)
        threads.append(thread)
        thread.start()
        ready.wait()
        sys.setswitchinterval(600)
        go.set()

    yield run
    sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()


@pytest.fixture
def ctrl_c(when_released: Callable[[Callable[[], object]], None]) -> Iterator[Callable[[], None]]:
    """Ctrl-C as soon as the main thread releases the GIL; also where a shell runs this in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: when_released(lambda: os.kill(os.getpid(), signal.SIGINT))
    signal.signal(signal.SIGINT, before)
