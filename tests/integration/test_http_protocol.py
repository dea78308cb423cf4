"""The HTTP edge itself: paths, methods, sizes, keys, and bytes that are no HTTP."""

import socket

import openai
import pytest
from asking import check_error
from conftest import StartServer
from server_process import HANG_GUARD, MODEL_NAME, MORAL, Server


def raw(server: Server, data: bytes) -> bytes:
    """Sends bytes, says that no more come, and reads until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_GUARD) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_unknown_paths_are_404(server: Server) -> None:
    for path in ("/", "/v1", "/v1/nothing", "/v1/models/none", "/v1/chat/completions/x", "/%00", "/../etc/passwd"):
        check_error(server.http.get(path), 404, "model" if path == "/v1/models/none" else None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/completions", "POST"), ("PUT", "/v1/chat/completions", "POST"), ("DELETE", "/v1/models", "GET"),
     ("POST", "/health", "GET"), ("POST", "/metrics", "GET")],
)
def test_a_wrong_method_is_405_and_names_the_right_one(server: Server, method: str, path: str, allowed: str) -> None:
    answer = server.http.request(method, path)
    check_error(answer, 405)
    assert allowed in answer.headers["allow"]


def test_a_body_over_the_limit_is_413(start_server: StartServer) -> None:
    server = start_server("--max-body-size", "64KiB")
    body = {"model": MODEL_NAME, "prompt": "x" * 100_000}
    check_error(server.http.post("/v1/completions", json=body), 413)
    chunks = (b"x" * 1000 for _ in range(100))  # the same without a Content-Length
    assert server.http.post("/v1/completions", content=chunks).status_code == 413
    assert server.http.get("/health").status_code == 200


def test_an_api_key_is_asked_for(start_server: StartServer) -> None:
    server = start_server("--api-key", "secret")
    body = {"model": MODEL_NAME, "messages": MORAL, "max_tokens": 2}
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}, {"Authorization": "Bearer secret2"}):
        check_error(server.http.post("/v1/chat/completions", json=body, headers=header), 401)
        check_error(server.http.get("/v1/models", headers=header), 401)
    assert server.http.get("/health").status_code == 200, "a load balancer has no key"
    with pytest.raises(openai.AuthenticationError):
        server.openai(api_key="wrong").models.list()
    assert server.openai(api_key="secret").models.list().data[0].id == MODEL_NAME
    assert "secret" not in server.log()


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /health HTTP/1.1\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"model\":",  # and then nothing
        b"",
    ],
    ids=range(11),
)
def test_bytes_that_are_no_http_get_a_4xx_or_a_closed_door(server: Server, data: bytes) -> None:
    answer = raw(server, data)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505")), answer[:200]
    assert server.http.get("/health").status_code == 200


def test_requests_in_a_row_on_one_connection_are_answered_in_order(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = raw(server, one + one + last)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"HTTP/1.1 404") > answer.rindex(b"HTTP/1.1 200")
