"""Tool calls. The demo model knows no tools, so these are the calls that the server makes it write; how each family's own
text becomes calls is tested in tests/server."""

import json
from typing import Any

import openai
import pytest
from asking import check_error
from conftest import StartServer
from partial_json import is_prefix, is_valid
from server_process import DEMO, MODEL_NAME, MORAL, Server, run_krait
from test_structured_output import RUNS

LOOK_UP = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 24}, "animals": {
        "type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 8}}, "count": {"type": "boolean"}},
    "required": ["title", "animals", "count"], "additionalProperties": False,
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "look_up", "description": "Finds a fable.", "parameters": LOOK_UP}},
    {"type": "function", "function": {"name": "count_words", "parameters": {
        "type": "object", "properties": {"text": {"type": "string", "maxLength": 20}}, "required": ["text"],
        "additionalProperties": False}}},
]
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
NAMED: Any = {"type": "function", "function": {"name": "look_up"}}


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL_NAME, messages=MORAL, **{"tools": TOOLS, "temperature": 0, "max_tokens": 400} | options)


def test_a_named_tool_is_called(client: openai.OpenAI) -> None:
    choice = ask(client, tool_choice=NAMED).choices[0]
    assert choice.finish_reason == "stop", "as OpenAI has it for a named tool"
    assert choice.message.content is None
    call, = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "look_up")
    assert call.id
    assert is_valid(call.function.arguments, LOOK_UP)


def test_hot_named_calls_are_valid_or_the_beginning_of_valid_ones(client: openai.OpenAI) -> None:
    choices = []
    while len(choices) < RUNS:
        answer = ask(client, tool_choice=NAMED, temperature=1.5, seed=len(choices), n=min(40, RUNS - len(choices)))
        choices += answer.choices
    for choice in choices:
        if choice.finish_reason == "length" and not choice.message.tool_calls:
            continue  # cut before the name
        call, = choice.message.tool_calls
        assert call.function.name == "look_up"
        check = is_valid if choice.finish_reason == "stop" else is_prefix
        assert check(call.function.arguments, LOOK_UP), call.function.arguments


def test_required_calls_some_tool(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice="required", parallel_tool_calls=False, temperature=1, n=8, seed=3)
    for choice in answer.choices:
        call, = choice.message.tool_calls
        assert choice.finish_reason in ("tool_calls", "length")
        if choice.finish_reason == "tool_calls":
            assert is_valid(call.function.arguments, SCHEMAS[call.function.name])


@pytest.mark.parametrize("choice", [NAMED, "required"])
def test_a_streamed_call_is_the_whole_one_in_pieces(client: openai.OpenAI, choice: Any) -> None:
    options: dict[str, Any] = {"tool_choice": choice, "parallel_tool_calls": False}
    whole = ask(client, **options).choices[0]
    call = whole.message.tool_calls[0]
    chunks = [chunk for chunk in ask(client, stream=True, **options) if chunk.choices]
    deltas = [each for chunk in chunks for each in chunk.choices[0].delta.tool_calls or []]
    assert deltas[0].id and deltas[0].type == "function" and deltas[0].function.name == call.function.name
    assert all(each.id is None and each.function.name is None and each.index == 0 for each in deltas[1:])
    assert len(deltas) > 5, "arguments arrive in pieces"
    assert "".join(each.function.arguments or "" for each in deltas) == call.function.arguments
    assert not any(chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == whole.finish_reason


def test_the_clients_stream_helper_collects_calls(client: openai.OpenAI) -> None:
    strict = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
    with client.chat.completions.stream(
        model=MODEL_NAME, messages=MORAL, tools=strict, tool_choice=NAMED, temperature=0, max_tokens=400) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in events and "tool_calls.function.arguments.done" in events
    assert is_valid(final.choices[0].message.tool_calls[0].function.arguments, LOOK_UP)


def test_choices_of_n_have_calls_and_ids_of_their_own(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice=NAMED, n=3, temperature=1.2, seed=5)
    ids = [choice.message.tool_calls[0].id for choice in answer.choices]
    assert len(set(ids)) == 3


def test_tools_that_the_template_does_not_know_are_refused_with_a_way_out(server: Server) -> None:
    body: dict[str, Any] = {"model": MODEL_NAME, "messages": MORAL, "tools": TOOLS, "max_tokens": 5}
    for choice in ({}, {"tool_choice": "auto"}):
        message = check_error(server.http.post("/v1/chat/completions", json=body | choice), 400, "tools")
        assert "--tool-call-parser" in message and "tool_choice" in message
    none = server.http.post("/v1/chat/completions", json=body | {"tool_choice": "none", "temperature": 0})
    assert none.status_code == 200 and "tool_calls" not in none.json()["choices"][0]["message"]


def test_with_a_parser_of_the_operators_choice_auto_is_served(start_server: StartServer) -> None:
    server = start_server("--tool-call-parser", "hermes", "--reasoning-parser", "none")
    assert "hermes" in server.log()
    choice = ask(server.openai()).choices[0]
    assert choice.finish_reason in ("stop", "length") and choice.message.content
    call, = ask(server.openai(), tool_choice=NAMED).choices[0].message.tool_calls
    assert is_valid(call.function.arguments, LOOK_UP)


def test_a_parser_that_nobody_knows_ends_the_start() -> None:
    for flag in ("--tool-call-parser", "--reasoning-parser"):
        ended = run_krait("serve", DEMO, flag, "riddle")
        assert ended.returncode != 0 and "riddle" in ended.stderr and flag.strip("-").replace("-parser", " parser") in ended.stderr


@pytest.mark.parametrize(("fields", "param"), [
    ({"tool_choice": "required", "tools": []}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "fly"}}}, "tool_choice"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [TOOLS[0], TOOLS[0]]}, "tools[1].function.name"),
    ({"tool_choice": NAMED, "response_format": {"type": "json_object"}}, "response_format"),
    ({"tool_choice": NAMED, "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "strong"}}}]}, "tools"),
])
def test_bad_tools(server: Server, fields: dict[str, Any], param: str) -> None:
    body = {"model": MODEL_NAME, "messages": MORAL, "tools": TOOLS, "max_tokens": 5} | fields
    check_error(server.http.post("/v1/chat/completions", json=body), 400, param)


def test_what_a_tool_said_goes_through_the_template_or_is_refused_by_it(server: Server) -> None:
    """The demo model's template has no such role, and says so."""
    messages = [*MORAL, {"role": "assistant", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": json.dumps({"title": "x"})}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "found"}]
    check_error(server.http.post("/v1/chat/completions", json={"model": MODEL_NAME, "messages": messages}), 400, "messages")


def test_a_message_is_continued(client: openai.OpenAI, server: Server) -> None:
    whole = client.chat.completions.create(model=MODEL_NAME, messages=MORAL, temperature=0).choices[0].message.content
    half = whole[: whole.index(" of those")]
    rest = client.chat.completions.create(
        model=MODEL_NAME, messages=[*MORAL, {"role": "assistant", "content": half}], temperature=0,
        extra_body={"continue_final_message": True}).choices[0].message.content
    assert half + rest == whole
    body = {"model": MODEL_NAME, "messages": MORAL, "continue_final_message": True, "add_generation_prompt": True}
    check_error(server.http.post("/v1/chat/completions", json=body), 400, "continue_final_message")
