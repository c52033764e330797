"""The servers that are measured: each is started, asked for and ended here, and listens on this machine alone."""

import contextlib
import dataclasses
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

BYTES_OF_A_TOKEN = 30 * 2 * 192 * 2  # K and V of SmolLM2-135M: layers x (K, V) x elements x f16


@dataclasses.dataclass(frozen=True)
class Server:
    """How a server is started for a number of clients with histories of a length."""

    name: str
    words: tuple[str, ...]
    kv_bytes: int  # of K and V as its settings ask for it; 0: the server tells it itself


@dataclasses.dataclass
class Running:
    port: int
    process: subprocess.Popen[bytes]

    def status(self, field: str) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def processor_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen((*server.words, "--host", "127.0.0.1", "--port", str(port)), stdout=log, stderr=log)
        try:
            while not is_ready(port):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{server.name} ended with {process.returncode}:\n{log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.1)
            yield Running(port, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def padded(n_tokens: int) -> int:
    """llama.cpp's own multiple."""
    return -(-n_tokens // 256) * 256


def llama_server(program: pathlib.Path, model: pathlib.Path, n_clients: int, n_context: int, *flags: str) -> Server:
    n_cells = padded(n_context)
    words = (str(program), "-m", str(model), "-np", str(n_clients), "-c", str(n_clients * n_cells), *flags)
    return Server("llama-server", words, n_clients * n_cells * BYTES_OF_A_TOKEN)


def kvevict(program: pathlib.Path, model: pathlib.Path, n_clients: int, *flags: str) -> Server:
    return Server("kvevict", (str(program), "serve", "--model", str(model), "--parallel", str(n_clients), *flags), 0)
