"""Each kind of bad request has its status, the OpenAI error object, and a message that names the field."""

from typing import Any

import openai
import pytest
from asking import check_error
from server_process import CONTEXT, MODEL_NAME, MORAL, Server

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"


def post(server: Server, path: str, **fields: Any) -> Any:
    base = {"messages": MORAL} if path == CHAT else {"prompt": "Once"}
    body = {"model": MODEL_NAME, "max_tokens": 2} | base | fields
    return server.http.post(path, json={key: value for key, value in body.items() if value is not ...})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"a"', '{"a":1} x', "{'a': 1}", "\xff", "[" * 5000, '{"a":"\\ud800"}'])
@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_body_that_is_no_json_object_is_400(server: Server, path: str, text: str) -> None:
    body = text.encode("latin-1")
    answer = server.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1), ("temperature", 2.5), ("temperature", "hot"), ("temperature", [1]), ("temperature", True),
        ("top_p", 0), ("top_p", 1.5), ("top_p", "x"), ("top_k", -2), ("top_k", 1.5), ("min_p", -0.1), ("min_p", 2),
        ("repetition_penalty", 0), ("repetition_penalty", "x"), ("presence_penalty", 3), ("frequency_penalty", -3),
        ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 1.5), ("max_tokens", "many"), ("min_tokens", -1),
        ("min_tokens", 3), ("n", 0), ("n", 1000), ("n", "two"), ("seed", "x"), ("seed", 1.5), ("stream", "yes"),
        ("stop", 5), ("stop", [5]), ("stop", ""), ("stop", ["a"] * 17), ("stop_token_ids", "x"), ("stop_token_ids", [3072]),
        ("stop_token_ids", [-1]), ("logit_bias", [1]), ("logit_bias", {"x": 1}), ("logit_bias", {"1": "x"}),
        ("logit_bias", {"3072": 1}), ("logit_bias", {"1": 101}), ("ignore_eos", 1), ("model", 5), ("stream_options", 3),
    ],
)
@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_wrong_type_or_value_is_400_and_names_the_field(server: Server, path: str, field: str, value: Any) -> None:
    message = check_error(post(server, path, **{field: value}), 400, field)
    assert field in message


@pytest.mark.parametrize(
    ("prompt", "param"),
    [(..., "prompt"), (None, "prompt"), (5, "prompt"), ([], "prompt"), ([[]], "prompt"), ([1.5], "prompt"), ({}, "prompt"),
     ([3072], "prompt"), ([-1], "prompt"), (["a", 5], "prompt"), ([2**40], "prompt"), ("", "prompt")],
)
def test_bad_prompts(server: Server, prompt: Any, param: str) -> None:
    check_error(post(server, COMPLETIONS, prompt=prompt), 400, param)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (..., "messages"), ([], "messages"), ("hello", "messages"), ([5], "messages[0]"),
        ([{"content": "x"}], "messages[0].role"), ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"), ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": "x"}, {"role": "user"}], "messages[1].content"),
    ],
)
def test_bad_messages(server: Server, messages: Any, param: str) -> None:
    check_error(post(server, CHAT, messages=messages), 400, param)


def test_what_the_chat_template_refuses_is_400_with_its_words(server: Server) -> None:
    late = [*MORAL, {"role": "system", "content": "Be brief."}]
    assert "The system message must come first." in check_error(post(server, CHAT, messages=late), 400, "messages")


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (CHAT, "tools", [{"type": "function", "function": {"name": "f"}}]), (CHAT, "functions", [{"name": "f"}]),
        (CHAT, "chat_template", "{{ messages }}"),
        (COMPLETIONS, "suffix", "the end"), (CHAT, "echo", True), (CHAT, "best_of", 3),
        (COMPLETIONS, "prompt_logprobs", 2), (COMPLETIONS, "session", "x"),
    ],
)
def test_a_feature_that_is_not_served_is_refused_by_name(server: Server, path: str, field: str, value: Any) -> None:
    assert field in check_error(post(server, path, **{field: value}), 400, field)


def test_top_logprobs_need_logprobs(server: Server) -> None:
    check_error(post(server, CHAT, top_logprobs=2), 400, "top_logprobs")
    check_error(post(server, CHAT, logprobs=True, top_logprobs=21), 400, "top_logprobs")
    check_error(post(server, COMPLETIONS, logprobs=21), 400, "logprobs")


def test_prompt_and_max_tokens_over_the_limit_are_400_with_both_numbers(server: Server) -> None:
    message = check_error(post(server, COMPLETIONS, prompt=[5] * 100, max_tokens=CONTEXT), 400, "max_tokens")
    assert "100" in message and str(CONTEXT) in message
    message = check_error(post(server, COMPLETIONS, prompt=[5] * (CONTEXT + 1)), 400, "prompt")
    assert str(CONTEXT + 1) in message and str(CONTEXT) in message
    assert post(server, COMPLETIONS, prompt=[5] * (CONTEXT - 2), max_tokens=2).status_code == 200


def test_an_unknown_model_is_404(server: Server) -> None:
    message = check_error(post(server, COMPLETIONS, model="gpt-none"), 404, "model")
    assert "gpt-none" in message and MODEL_NAME in message


def test_the_openai_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.completions.create(model=MODEL_NAME, prompt="a", temperature=9)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="gpt-none", prompt="a")


def test_a_stream_that_cannot_start_is_a_plain_error(server: Server) -> None:
    check_error(post(server, COMPLETIONS, stream=True, temperature=9), 400, "temperature")
