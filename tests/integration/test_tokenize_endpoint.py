"""/tokenize and /detokenize: the ids that a request would get, and their text."""

from typing import Any

import pytest
from asking import check_error
from server_process import MODEL_NAME, MORAL, Server


def tokenize(server: Server, **body: Any) -> dict[str, Any]:
    answer = server.http.post("/tokenize", json={"model": MODEL_NAME} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def detokenize(server: Server, tokens: list[int]) -> str:
    answer = server.http.post("/detokenize", json={"model": MODEL_NAME, "tokens": tokens})
    assert answer.status_code == 200, answer.text
    return answer.json()["prompt"]


@pytest.mark.parametrize("text", ["", "The Fox and the Grapes\n\n", "  café 狐狸 🦊\r\n\t12,345!", "<|end_of_text|>a", "a" * 20000])
def test_a_text_comes_back_as_it_was(server: Server, text: str) -> None:
    tokens = tokenize(server, prompt=text)
    assert tokens["count"] == len(tokens["tokens"])
    assert tokens["max_model_len"] == 4096 and tokens["token_strs"] is None
    assert detokenize(server, tokens["tokens"]) == text


def test_token_strings_are_the_vocabularys(server: Server) -> None:
    tokens = tokenize(server, prompt="The Fox", return_token_strs=True)
    assert len(tokens["token_strs"]) == tokens["count"]
    assert "".join(tokens["token_strs"]).replace("\u0120", " ") == "The Fox"


def test_messages_become_the_prompt_of_a_chat(server: Server) -> None:
    tokens = tokenize(server, messages=MORAL)
    answer = server.http.post("/v1/chat/completions", json={
        "model": MODEL_NAME, "messages": MORAL, "max_tokens": 1, "return_token_ids": True}).json()
    assert tokens["tokens"] == answer["prompt_token_ids"]
    assert tokens["count"] == answer["usage"]["prompt_tokens"]
    without = tokenize(server, messages=MORAL, add_generation_prompt=False)
    assert tokens["tokens"][:without["count"]] == without["tokens"] and without["count"] < tokens["count"]


def test_what_is_wrong_is_named(server: Server) -> None:
    def post(path: str, **body: Any) -> Any:
        return server.http.post(path, json=body)

    check_error(post("/tokenize"), 400, "prompt")
    check_error(post("/tokenize", prompt="a", messages=MORAL), 400, "prompt")
    check_error(post("/tokenize", prompt="a", model="gpt-none"), 404, "model")
    check_error(post("/tokenize", messages=[{"role": "user"}]), 400, "messages[0].content")
    check_error(post("/detokenize", tokens=[3072]), 400, "tokens")
    check_error(post("/detokenize", tokens="The"), 400, "tokens")
    assert server.http.get("/tokenize").status_code == 405
