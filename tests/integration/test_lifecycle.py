"""Full queues, shutting down, and what a client sees meanwhile."""

import json
import signal
import threading

import httpx
import openai
from asking import LONG, check_error, start_long_stream
from conftest import StartServer
from server_process import DEMO, HANG_GUARD, MODEL_NAME, Server, run_krait, wait_until

BODY = {"model": MODEL_NAME, "prompt": "Once upon a time"}


def test_a_full_queue_answers_429(start_server: StartServer) -> None:
    server = start_server("--max-num-seqs", 1, "--max-queue", 1)
    first = start_long_stream(server.openai())
    second = threading.Thread(target=server.http.post, args=("/v1/completions",), kwargs={"json": BODY})
    second.start()
    wait_until(lambda: server.waiting() == 1, "the second request waited")
    message = check_error(server.http.post("/v1/completions", json=BODY), 429)
    assert "1" in message
    assert int(server.http.post("/v1/completions", json=BODY).headers["retry-after"]) >= 1
    first.close()
    second.join()
    assert server.http.post("/v1/completions", json=BODY).status_code == 200


def test_a_request_that_takes_too_long_is_504_and_frees_its_place(start_server: StartServer) -> None:
    server = start_server("--max-num-seqs", 1)
    late = {**BODY, **LONG, "timeout": 0.2}
    assert "deadline" in check_error(server.http.post("/v1/completions", json=late), 504)
    # A stream has begun: it ends with an error.
    with server.http.stream("POST", "/v1/completions", json=late | {"stream": True}) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.status_code == 200
    assert json.loads(lines[-2].removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    # One that waits is told too.
    first = start_long_stream(server.openai())
    check_error(server.http.post("/v1/completions", json={**BODY, "timeout": 0.1}), 504)
    first.close()
    assert server.http.post("/v1/completions", json={**BODY, "timeout": 100}).status_code == 200
    wait_until(lambda: server.running() == 0, "nothing ran")


def test_a_key_that_asks_too_often_is_429(start_server: StartServer) -> None:
    server = start_server("--api-key", "secret", "--api-key-rate", 2)
    headers = {"Authorization": "Bearer secret"}
    statuses = [server.http.post("/v1/completions", json=BODY, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert 1 <= int(statuses[-1].headers["retry-after"]) <= 30
    assert statuses[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert server.health() == 200


def finish_text(stream: openai.Stream[object]) -> str | None:
    finish = None
    for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
    return finish


def test_sigterm_finishes_what_runs_and_refuses_what_is_new(start_server: StartServer) -> None:
    server = start_server("--drain-timeout", HANG_GUARD)
    stream = start_long_stream(server.openai(), max_tokens=1500)
    server.terminate()
    wait_until(lambda: server.health() == 503, "/health said 503")
    check_error(httpx.post(f"{server.url}/v1/completions", json=BODY, timeout=HANG_GUARD), 503)
    assert finish_text(stream) == "length"
    assert server.wait() == 0
    assert server.health() == 0


def test_sigint_ends_it_like_sigterm(start_server: StartServer) -> None:
    server = start_server()
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0


def test_the_drain_deadline_ends_what_is_too_long(start_server: StartServer) -> None:
    server = start_server("--drain-timeout", "0.05", "--max-num-seqs", 2)
    streams = [start_long_stream(server.openai()) for _ in range(2)]
    server.terminate()
    for stream in streams:
        try:
            assert finish_text(stream) != "length"
        except (openai.APIError, httpx.TransportError):
            pass  # cut off, or told that it was
    assert server.wait() == 0


def test_a_second_server_on_the_same_port_says_so(server: Server) -> None:
    second = run_krait("serve", DEMO, "--port", server.port)
    assert second.returncode != 0
    assert str(server.port) in second.stderr + second.stdout
    assert server.health() == 200


def test_the_log_tells_how_it_started_and_a_line_a_request(start_server: StartServer) -> None:
    server = start_server()
    server.http.post("/v1/completions", json=BODY)
    server.terminate()
    assert server.wait() == 0
    log = server.log()
    for word in ("GraniteMoeHybridForCausalLM", "mamba2", "MiB", str(server.port), "ready"):
        assert word in log, word
    assert "cmpl-" in log, "the request's id"
