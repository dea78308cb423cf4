"""Starts `krait` for a test: a server on a free port, or one run of a command."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import openai

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("KRAIT_BINARY", ROOT / "build/release/krait"))
DEMO = ROOT / "demo/aesop"
MODEL_NAME = "aesop"
CONTEXT = 4096  # the demo model's, in tokens
HANG_GUARD = 120.0  # seconds; nothing that works comes near it

FABLE = [{"role": "user", "content": "Tell me the fable of The Fox and the Grapes."}]
MORAL = [{"role": "user", "content": "What is the moral of The Fox and the Crow?"}]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Polls; the guard only turns a hang into a failure."""
    deadline = time.monotonic() + HANG_GUARD
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAIT_")}
    return kept | extra


def run_krait(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One run of a command; standard input is a pipe, and a server by mistake would take no port that somebody uses."""
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, env=clean_environment(**{"KRAIT_PORT": "0"} | (env or {})), capture_output=True, text=True, timeout=HANG_GUARD,
        check=False,
    )


class Server:
    """`krait serve` of the demo model. Its log goes to a file, which a failing test prints."""

    live: list["Server"] = []

    def __init__(self, folder: Path, *flags: object, model: object = DEMO, grpc: bool = False,
                 env: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.grpc_port = free_port() if grpc else 0
        self.log_path = folder / f"krait-{self.port}.log"
        command = [BINARY, "serve", model, "--port", self.port, "--grpc-port", self.grpc_port,
                   "--served-model-name", MODEL_NAME, *flags]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=clean_environment(**(env or {})),
            )
        Server.live.append(self)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=HANG_GUARD)

    def wait_ready(self) -> "Server":
        wait_until(self._ready, "the server was ready")
        return self

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"krait ended with {self.process.returncode}:\n{self.log()}"
        return self.health() == 200

    def health(self) -> int:
        """The status of /health; 0 when nobody listens."""
        try:
            return httpx.get(f"{self.url}/health", timeout=HANG_GUARD).status_code
        except httpx.TransportError:
            return 0

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def openai(self, api_key: str = "none") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=api_key, max_retries=0, timeout=HANG_GUARD)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all label sets that contain `labels`."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        total, seen = 0.0, False
        for line in self.http.get("/metrics").text.splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(label in line for label in wanted):
                total, seen = total + float(line.rsplit(" ", 1)[1]), True
        assert seen or labels, f"/metrics has no {name}"
        return total

    def running(self) -> float:
        return self.metric("krait:num_requests_running")

    def waiting(self) -> float:
        return self.metric("krait:num_requests_waiting")

    def aborted(self) -> float:
        return self.metric("krait:request_success_total", finished_reason="abort")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(timeout=HANG_GUARD)

    def stop(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        Server.live.remove(self)


def golden() -> dict[str, Any]:
    return json.loads((DEMO / "goldens/golden.json").read_text())
