"""A server under streaming clients: tokens a second, time to the first token, time between tokens."""

import contextlib
import http.client
import json
import random
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_cpp import LlamaCpp

CLIENTS = 16
PROMPT = 128
ANSWER = 64
REQUESTS = 2  # of each client, one after the other
START_LIMIT = 300.0  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def started(command: list[object], port: int) -> Iterator[None]:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_LIMIT
            while not is_healthy(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def stream_tokens(port: int, path: str, body: dict[str, Any], count: Any) -> list[float]:
    """When each token came, from the request on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    times: list[float] = []
    try:
        begin = time.monotonic()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {answer.read()[:500]!r}")
        for line in answer:
            if line.startswith(b"data: {"):
                times += [time.monotonic() - begin] * count(json.loads(line[6:]))
    finally:
        connection.close()
    return times


def run_clients(port: int, path: str, make_body: Any, count: Any, vocab_size: int, seed: int) -> dict[str, float]:
    """All clients at once, each with prompts of its own."""
    results: list[list[list[float]]] = [[] for _ in range(CLIENTS)]
    errors: list[BaseException] = []

    def client(number: int) -> None:
        draw = random.Random(seed * 1000 + number)
        try:
            for _ in range(REQUESTS):
                prompt = [draw.randrange(3, vocab_size) for _ in range(PROMPT)]
                results[number].append(stream_tokens(port, path, make_body(prompt), count))
        except BaseException as error:  # noqa: BLE001: it is raised in the main thread
            errors.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    if errors:
        raise RuntimeError(f"a client failed: {errors[0]}")
    answers = [times for each in results for times in each]
    short = [len(times) for times in answers if len(times) < ANSWER]
    if short:
        raise RuntimeError(f"answers ended after {short} tokens instead of {ANSWER}")
    gaps = sorted(b - a for times in answers for a, b in zip(times, times[1:]))
    return {
        "tokens_per_second": sum(map(len, answers)) / seconds,
        "ttft_p50": statistics.median(times[0] for times in answers),
        "itl_p50": statistics.median(gaps),
        "itl_p99": gaps[int(0.99 * (len(gaps) - 1))],
    }


def serve_llama(llama: LlamaCpp, gguf: Path, threads: int, vocab_size: int, seed: int) -> dict[str, float]:
    port = free_port()
    command = [llama.tool("llama-server"), "-m", gguf, "--parallel", CLIENTS, "-t", threads, "--port", port]

    def body(prompt: list[int]) -> dict[str, Any]:
        return {"prompt": prompt, "n_predict": ANSWER, "temperature": 0, "ignore_eos": True, "stream": True,
                "return_tokens": True}

    with started(command, port):
        return run_clients(port, "/completion", body, lambda event: len(event.get("tokens", [])), vocab_size, seed)


def serve_krait(krait: Path, checkpoint: Path, flags: tuple[str, ...], threads: int, vocab_size: int,
                seed: int) -> dict[str, float]:
    port = free_port()
    command = [krait, "serve", checkpoint, "--skip-tokenizer-init", "--threads", threads, "--port", port, "--grpc-port", 0,
               "--served-model-name", "bench", *flags]

    def body(prompt: list[int]) -> dict[str, Any]:
        return {"model": "bench", "prompt": prompt, "max_tokens": ANSWER, "temperature": 0, "ignore_eos": True,
                "stream": True, "return_token_ids": True}

    def count(event: dict[str, Any]) -> int:
        return sum(len(choice.get("token_ids") or []) for choice in event.get("choices", []))

    with started(command, port):
        return run_clients(port, "/v1/completions", body, count, vocab_size, seed)
