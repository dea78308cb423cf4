"""Requests that are saved by name and gone on with, as if they had never been saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asking import LONG, check_error, start_long_stream
from conftest import StartServer
from server_process import FABLE, MODEL_NAME, MORAL, Server, run_krait, wait_until

SESSIONS = "/v1/sessions"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
PROMPT = "Once upon a time a fox saw a crow fly off with a piece of cheese in its beak and settle on a branch of a tree."
MORE = [{"role": "user", "content": "And who is in The Fox and the Crow?"}]


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with sessions."""
    started = Server(tmp_path_factory.mktemp("keeper"), "--enable-sessions", grpc=True)
    yield started.wait_ready()
    started.stop()


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that computes every prompt from its first token: what answers must be."""
    started = Server(tmp_path_factory.mktemp("forgetful"), "--no-enable-prefix-caching")
    yield started.wait_ready()
    started.stop()


def ask(server: Server, path: str, **fields: Any) -> dict[str, Any]:
    body = {"model": MODEL_NAME, "temperature": 0, "max_tokens": 24, "return_token_ids": True} | fields
    answer = server.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: dict[str, Any]) -> list[int]:
    return answer["choices"][0]["token_ids"]


def save(server: Server, name: str, answer: dict[str, Any]) -> dict[str, Any]:
    reply = server.http.post(SESSIONS, json={"name": name, "request_id": answer["id"]})
    assert reply.status_code == 200, reply.text
    return reply.json()


def with_answer(messages: list[dict[str, Any]], answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [*messages, {"role": "assistant", "content": answer["choices"][0]["message"]["content"]}]


def tokenize(server: Server, text: str) -> list[int]:
    return server.http.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()["tokens"]


@pytest.fixture
def chat(keeper: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """A chat that has been saved as `chat`, and what was said of it."""
    answer = ask(keeper, CHAT, messages=FABLE)
    return answer, save(keeper, "chat", answer)


def test_what_is_said_of_a_session(keeper: Server, chat: tuple[dict[str, Any], dict[str, Any]]) -> None:
    answer, info = chat
    assert list(info) == ["object", "name", "model", "created", "num_tokens", "bytes"]
    assert (info["object"], info["name"], info["model"]) == ("session", "chat", MODEL_NAME)
    assert info["num_tokens"] == answer["usage"]["total_tokens"]
    assert info["bytes"] > 4 * info["num_tokens"]
    listed = keeper.http.get(SESSIONS).json()
    assert listed["object"] == "list" and info in listed["data"]


def test_a_chat_goes_on_as_if_it_had_never_been_saved(
    keeper: Server, forgetful: Server, chat: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    answer, info = chat
    cold = ask(forgetful, CHAT, messages=with_answer(FABLE, answer) + MORE)
    warm = ask(keeper, CHAT, messages=MORE, session="chat")
    assert warm["prompt_token_ids"] == cold["prompt_token_ids"]
    assert ids(warm) == ids(cold)
    assert warm["usage"]["prompt_tokens"] == cold["usage"]["prompt_tokens"]
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] >= info["num_tokens"] - 32
    # A session does not change by being used.
    assert ids(ask(keeper, CHAT, messages=MORE, session="chat")) == ids(cold)


def test_a_completion_goes_on_as_if_it_had_never_been_saved(keeper: Server, forgetful: Server) -> None:
    first = ask(keeper, COMPLETIONS, prompt=PROMPT, ignore_eos=True)
    info = save(keeper, "text", first)
    whole = first["choices"][0]["prompt_token_ids"] + ids(first)
    assert info["num_tokens"] == len(whole)
    for more in (" The fox said", tokenize(keeper, " The fox said"), ""):
        added = tokenize(keeper, more) if isinstance(more, str) else more
        cold = ask(forgetful, COMPLETIONS, prompt=whole + added, ignore_eos=True)
        warm = ask(keeper, COMPLETIONS, prompt=more, session="text", ignore_eos=True)
        assert (ids(warm), warm["usage"]["prompt_tokens"]) == (ids(cold), len(whole) + len(added))


def test_streams_go_on_and_are_saved_too(keeper: Server, forgetful: Server) -> None:
    def streamed(messages: list[dict[str, Any]], **extra: Any) -> tuple[str, str]:
        chunks = list(keeper.openai().chat.completions.create(
            model=MODEL_NAME, messages=messages, temperature=0, max_tokens=24, stream=True, extra_body=extra))  # type: ignore[arg-type]
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), chunks[0].id

    text, request_id = streamed(MORAL)
    assert keeper.http.post(SESSIONS, json={"name": "streamed", "request_id": request_id}).status_code == 200
    conversation = [*MORAL, {"role": "assistant", "content": text}, *MORE]
    cold = ask(forgetful, CHAT, messages=conversation)
    assert streamed(MORE, session="streamed")[0] == cold["choices"][0]["message"]["content"]


def test_sampling_with_a_seed_goes_on_with_the_same_bits(
    keeper: Server, forgetful: Server, chat: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    drawn = {"temperature": 0.9, "seed": 7, "n": 3}
    cold = ask(forgetful, CHAT, messages=with_answer(FABLE, chat[0]) + MORE, **drawn)
    warm = ask(keeper, CHAT, messages=MORE, session="chat", **drawn)
    assert [choice["token_ids"] for choice in warm["choices"]] == [choice["token_ids"] for choice in cold["choices"]]


def test_forks_diverge_and_outlive_the_first_name(
    keeper: Server, forgetful: Server, chat: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    answer, info = chat
    fork = keeper.http.post(f"{SESSIONS}/chat/fork", json={"name": "fork-1"}).json()
    assert fork | {"name": "chat", "created": 0} == info | {"created": 0}
    left = ask(keeper, CHAT, messages=MORE, session="chat")
    right = ask(keeper, CHAT, messages=MORAL, session="fork-1")
    save(keeper, "fork-1", right)  # in place of what had the name
    assert keeper.http.delete(f"{SESSIONS}/chat").json() == {"name": "chat", "object": "session", "deleted": True}
    check_error(keeper.http.delete(f"{SESSIONS}/chat"), 404, "name")
    check_error(keeper.http.post(CHAT, json={"messages": MORE, "session": "chat"}), 404, "session")

    told = with_answer(FABLE, answer)
    assert ids(left) == ids(ask(forgetful, CHAT, messages=told + MORE))
    assert ids(right) == ids(ask(forgetful, CHAT, messages=told + MORAL))
    further = ask(keeper, CHAT, messages=MORE, session="fork-1")
    assert ids(further) == ids(ask(forgetful, CHAT, messages=with_answer(told + MORAL, right) + MORE))


def test_a_file_goes_on_at_another_server(
    keeper: Server, forgetful: Server, chat: tuple[dict[str, Any], dict[str, Any]], start_server: StartServer
) -> None:
    answer, info = chat
    file = keeper.http.get(f"{SESSIONS}/chat/file")
    assert file.headers["content-type"] == "application/octet-stream"
    assert int(file.headers["content-length"]) == len(file.content)
    # Bodies of a request may be smaller than a session.
    other = start_server("--enable-sessions", "--max-body-size", 4096)
    reply = other.http.put(f"{SESSIONS}/moved/file", content=file.content)
    assert reply.json() == info | {"name": "moved", "bytes": reply.json()["bytes"]}
    cold = ask(forgetful, CHAT, messages=with_answer(FABLE, answer) + MORE)
    warm = ask(other, CHAT, messages=MORE, session="moved")
    assert ids(warm) == ids(cold)
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] >= info["num_tokens"] - 32
    # What a stranger's file has put into the caches serves its session only.
    assert ask(other, CHAT, messages=FABLE)["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    # The same with a body in chunks, and once more from here.
    again = other.http.put(f"{SESSIONS}/moved/file", content=iter([file.content[:1000], file.content[1000:]]))
    assert again.status_code == 200
    back = keeper.http.put(f"{SESSIONS}/back/file", content=other.http.get(f"{SESSIONS}/moved/file").content)
    assert back.status_code == 200
    assert ids(ask(keeper, CHAT, messages=MORE, session="back")) == ids(cold)


def test_a_file_that_is_not_right_is_refused(
    keeper: Server, chat: tuple[dict[str, Any], dict[str, Any]], start_server: StartServer
) -> None:
    file = keeper.http.get(f"{SESSIONS}/chat/file").content
    flipped = bytearray(file)
    flipped[len(file) // 2] ^= 1
    for content, words in (
        (b"", "KRAITSES"), (b"hello", "KRAITSES"), (file[:-1], "truncated"), (file[: len(file) // 2], "truncated"),
        (bytes(flipped), "checksum"), (file + b"x", "damaged"),
    ):
        assert words in check_error(keeper.http.put(f"{SESSIONS}/bad/file", content=content), 400)
    check_error(keeper.http.get(f"{SESSIONS}/bad/file"), 404, "name")
    other = start_server("--enable-sessions", "--block-size", 32)
    assert "layout" in check_error(other.http.put(f"{SESSIONS}/bad/file", content=file), 400)


def test_a_session_goes_on_when_the_caches_have_forgotten_it(forgetful: Server, start_server: StartServer) -> None:
    server = start_server("--enable-sessions", "--cache-memory", "2MiB", "--max-model-len", 512)
    answer = ask(server, CHAT, messages=FABLE)
    save(server, "kept", answer)
    evicted = server.metric("krait:prefix_cache_evicted_blocks_total")
    for start in range(200):
        ask(server, COMPLETIONS, prompt=[20 + start, *range(300, 700)], max_tokens=1)
        if server.metric("krait:prefix_cache_evicted_blocks_total") > evicted + 200:
            break
    cold = ask(forgetful, CHAT, messages=with_answer(FABLE, answer) + MORE)
    warm = ask(server, CHAT, messages=MORE, session="kept")
    assert ids(warm) == ids(cold)
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_requests_that_cannot_be_saved(keeper: Server, chat: tuple[dict[str, Any], dict[str, Any]]) -> None:
    def save_error(status: int, field: str | None, **body: Any) -> str:
        return check_error(keeper.http.post(SESSIONS, json=body), status, field)

    save_error(404, "request_id", name="x", request_id="chatcmpl-nobody")
    save_error(400, "request_id", name="x")
    for name in ("", "a/b", ".hidden", "x" * 65, "ä", "a b"):
        save_error(400, "name", name=name, request_id=chat[0]["id"])
    two = ask(keeper, CHAT, messages=FABLE, n=2)
    assert "2 choices" in save_error(400, "request_id", name="x", request_id=two["id"])

    stream = keeper.openai().completions.create(
        model=MODEL_NAME, prompt="Once", stream=True, temperature=0, max_tokens=LONG["max_tokens"], extra_body={"ignore_eos": True})
    request_id = next(iter(stream)).id
    save_error(409, None, name="x", request_id=request_id)
    stream.close()
    wait_until(lambda: keeper.running() == 0, "the stream had ended")
    assert "cancelled" in save_error(400, "request_id", name="x", request_id=request_id)


def test_requests_that_cannot_go_on(keeper: Server, chat: tuple[dict[str, Any], dict[str, Any]]) -> None:
    save(keeper, "text", ask(keeper, COMPLETIONS, prompt=PROMPT))

    def error(path: str, status: int, field: str, **body: Any) -> None:
        check_error(keeper.http.post(path, json=body), status, field)

    error(CHAT, 404, "session", messages=MORE, session="nobody")
    error(CHAT, 400, "session", messages=MORE, session=3)
    error(CHAT, 400, "session", messages=MORE, session="text")
    error(CHAT, 400, "cache_salt", messages=MORE, session="chat", cache_salt="mine")
    error(CHAT, 400, "model", messages=MORE, session="chat", model="other")
    error(COMPLETIONS, 400, "echo", prompt="x", session="text", echo=True)
    # Tokens of a chat can be gone on with as text.
    assert ids(ask(keeper, COMPLETIONS, prompt="x", session="chat"))


def test_without_the_flag_there_are_no_sessions(server: Server) -> None:
    for answer in (
        server.http.get(SESSIONS), server.http.post(SESSIONS, json={"name": "a", "request_id": "b"}),
        server.http.post(f"{SESSIONS}/a/fork", json={"name": "b"}), server.http.delete(f"{SESSIONS}/a"),
        server.http.get(f"{SESSIONS}/a/file"), server.http.put(f"{SESSIONS}/a/file", content=b"x"),
    ):
        assert "--enable-sessions" in check_error(answer, 400)
    assert "--enable-sessions" in check_error(server.http.post(CHAT, json={"messages": MORE, "session": "a"}), 400, "session")
    wrong: httpx.Response = server.http.put(SESSIONS)
    check_error(wrong, 405)
    assert wrong.headers["allow"] == "GET, POST"


def test_memory_for_sessions_is_bounded(start_server: StartServer) -> None:
    server = start_server("--enable-sessions", "--session-memory", "500KiB")
    answer = ask(server, CHAT, messages=FABLE)
    names = (f"copy-{i}" for i in range(1000))
    reply = httpx.Response(200)
    while reply.status_code == 200:
        # Each has another last token.
        answer = ask(server, CHAT, messages=FABLE, max_tokens=4)
        reply = server.http.post(SESSIONS, json={"name": next(names), "request_id": answer["id"]})
    assert "--session-memory 512000" in check_error(reply, 507, None)
    kept = server.http.get(SESSIONS).json()["data"]
    assert sum(session["bytes"] for session in kept) <= 512000
    # Forks cost nothing.
    if kept:
        assert server.http.post(f"{SESSIONS}/{kept[0]['name']}/fork", json={"name": "fork"}).status_code == 200
        server.http.delete(f"{SESSIONS}/{kept[0]['name']}")
        server.http.delete(f"{SESSIONS}/fork")
        assert server.http.post(SESSIONS, json={"name": "new", "request_id": answer["id"]}).status_code == 200


def test_sessions_need_the_prefix_cache(tmp_path: Path) -> None:
    for flags in (("--no-enable-prefix-caching",), ("--mamba-cache-mode", "none")):
        run = run_krait("serve", "nowhere", "--enable-sessions", *flags)
        assert run.returncode != 0
        assert "--enable-sessions" in run.stderr and " ".join(flags) in run.stderr


def names(server: Server) -> list[str]:
    return [each["name"] for each in server.http.get(SESSIONS).json()["data"]]


def test_with_a_cache_directory_sessions_are_there_after_a_restart(
    forgetful: Server, start_server: StartServer, tmp_path: Path
) -> None:
    first = start_server("--enable-sessions", "--cache-dir", tmp_path)
    answer = ask(first, COMPLETIONS, prompt=PROMPT)
    saved = save(first, "one", answer)
    assert first.http.post(f"{SESSIONS}/one/fork", json={"name": "two"}).status_code == 200
    save(first, "gone", answer)
    assert first.http.delete(f"{SESSIONS}/gone").status_code == 200
    first.process.kill()
    first.wait()

    second = start_server("--enable-sessions", "--cache-dir", tmp_path)
    assert names(second) == ["one", "two"]
    assert second.http.get(SESSIONS).json()["data"][0] == saved
    context = answer["choices"][0]["prompt_token_ids"] + ids(answer) + tokenize(second, " The fox said")
    for name in ("one", "two"):
        more = ask(second, COMPLETIONS, prompt=" The fox said", session=name)
        expected = ask(forgetful, COMPLETIONS, prompt=context)
        assert ids(more) == ids(expected)
        assert more["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_a_damaged_session_in_the_directory_is_named_and_left_out(start_server: StartServer, tmp_path: Path) -> None:
    first = start_server("--enable-sessions", "--cache-dir", tmp_path)
    answer = ask(first, COMPLETIONS, prompt=PROMPT)
    for name in ("good", "bad", "short"):
        save(first, name, answer)
    first.process.kill()
    first.wait()
    folder = tmp_path / "sessions"
    content = bytearray((folder / "bad.session").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "bad.session").write_bytes(content)
    (folder / "short.session").write_bytes(bytes(content[:100]))
    (folder / ".writing-half").write_bytes(b"half")

    second = start_server("--enable-sessions", "--cache-dir", tmp_path)
    assert names(second) == ["good"]
    assert "bad.session is left out" in second.log()
    assert "short.session is left out" in second.log()
    assert not (folder / ".writing-half").exists()
