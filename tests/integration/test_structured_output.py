"""Answers that must have a form: JSON schemas, regular expressions, grammars, choices and structural tags."""

import json
import os
import re
from typing import Any

import openai
import pytest
from asking import at_once, check_error, start_long_stream
from partial_json import is_prefix, is_valid
from pydantic import BaseModel, Field
from server_process import FABLE, MODEL_NAME, MORAL, Server

RUNS = int(os.environ.get("KRAIT_CONSTRAINED_RUNS", "200"))


class Animal(BaseModel):
    name: str = Field(min_length=1, max_length=12)
    traits: list[str] = Field(min_length=1, max_length=3)


class Fable(BaseModel):
    title: str = Field(max_length=30)
    animals: list[Animal] = Field(max_length=3)
    moral: str = Field(max_length=60)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 30},
        "animals": {"type": "array", "maxItems": 3, "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 12},
                "traits": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "maxLength": 10}},
            },
            "required": ["name", "traits"], "additionalProperties": False,
        }},
        "moral": {"type": "string", "maxLength": 60},
    },
    "required": ["title", "animals", "moral"], "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "fable", "strict": True, "schema": SCHEMA}}


def complete(server: Server, status: int = 200, **fields: Any) -> dict[str, Any]:
    answer = server.http.post("/v1/completions", json={
        "model": MODEL_NAME, "prompt": "The Fox and the", "temperature": 0, "max_tokens": 200} | fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def text_of(server: Server, **fields: Any) -> str:
    choice = complete(server, **fields)["choices"][0]
    assert choice["finish_reason"] == "stop"
    return choice["text"]


def test_hot_answers_are_valid_or_the_beginning_of_valid_ones(client: openai.OpenAI) -> None:
    """The promise of constrained sampling, at a temperature at which the model alone would write nonsense."""
    choices = []
    while len(choices) < RUNS:
        answer = client.chat.completions.create(
            model=MODEL_NAME, messages=FABLE, response_format=FORMAT, temperature=1.5, seed=len(choices),
            n=min(40, RUNS - len(choices)), max_tokens=600)
        choices += answer.choices
    for choice in choices:
        text = choice.message.content
        assert (is_valid if choice.finish_reason == "stop" else is_prefix)(text, SCHEMA), text
    finished = sum(choice.finish_reason == "stop" for choice in choices)
    assert finished >= 0.95 * RUNS, f"{finished} of {RUNS} ended by themselves"


def test_the_clients_parse_helper_gives_objects(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=MODEL_NAME, messages=FABLE, response_format=Fable, temperature=0, max_tokens=900)
    assert isinstance(answer.choices[0].message.parsed, Fable)


def test_the_clients_stream_helper_gives_objects(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL_NAME, messages=FABLE, response_format=Fable, temperature=0, max_tokens=900) as stream:
        pieces = sum(event.type == "content.delta" for event in stream)
        final = stream.get_final_completion()
    assert pieces > 5
    assert isinstance(final.choices[0].message.parsed, Fable)


def test_any_json_object(server: Server) -> None:
    choice = complete(server, response_format={"type": "json_object"}, max_tokens=300)["choices"][0]
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["text"]), dict)
    assert choice["text"].lstrip().startswith("{")


@pytest.mark.parametrize("field", ["structured_outputs", "guided"])
def test_vllms_fields(server: Server, field: str) -> None:
    def ask(name: str, value: Any) -> str:
        return text_of(server, **({"guided_" + name: value} if field == "guided" else {"structured_outputs": {name: value}}))

    assert re.fullmatch(r"[a-c]{3}-\d\d", ask("regex", r"[a-c]{3}-\d\d"))
    assert ask("choice", ["Lion", "Crow"]) in ("Lion", "Crow")
    assert re.fullmatch(r"(fox|crow)( and (fox|crow))?", ask("grammar", 'root ::= animal (" and " animal)?\nanimal ::= "fox" | "crow"'))
    assert is_valid(ask("json", SCHEMA["properties"]["animals"]["items"]), SCHEMA["properties"]["animals"]["items"])


@pytest.mark.parametrize("choice", ['say "hi"', "back\\slash", "two\nlines", "tab\t", "café 狐狸 🦊", "[a]+", "a | b", "{}", "'"])
def test_a_choice_is_that_text_and_no_pattern(server: Server, choice: str) -> None:
    assert text_of(server, structured_outputs={"choice": [choice]}) == choice


def test_a_structural_tag(server: Server) -> None:
    tag = {"type": "structural_tag", "format": {"type": "tag", "begin": "<a>", "end": "</a>",
                                                "content": {"type": "regex", "pattern": "[xyz]{4}"}}}
    assert re.fullmatch("<a>[xyz]{4}</a>", text_of(server, response_format=tag))


def test_every_choice_of_n_has_the_form(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=MORAL, n=5, temperature=1.5, seed=1, extra_body={"structured_outputs": {"regex": "[0-9]{6}"}})
    texts = [choice.message.content for choice in answer.choices]
    assert all(re.fullmatch("[0-9]{6}", text) for text in texts)
    assert len(set(texts)) > 1


def test_the_form_does_not_depend_on_the_company(server: Server) -> None:
    def ask(number: int) -> str:
        form = [{}, {"structured_outputs": {"regex": "[a-z ]{1,40}"}}, {"response_format": {"type": "json_object"}}][number % 3]
        return complete(server, temperature=1, seed=number, max_tokens=40, **form)["choices"][0]["text"]

    assert at_once(ask, range(12)) == [ask(number) for number in range(12)]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "strong"}}}},
     "response_format.json_schema.schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": "#/nowhere"}}}},
     "response_format.json_schema.schema"),
    ({"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex"),
    ({"structured_outputs": {"grammar": "root ::= missing"}}, "structured_outputs.grammar"),
    ({"structured_outputs": {"grammar": "no grammar at all"}}, "structured_outputs.grammar"),
    ({"structured_outputs": {"regex": "(" * 5000 + "a" + ")" * 5000}}, "structured_outputs.regex"),
    ({"structured_outputs": {"grammar": "root ::= " + "(" * 50000}}, "structured_outputs.grammar"),
    ({"response_format": {"type": "structural_tag", "format": {"type": "riddle"}}}, "response_format"),
]

# Large, but not wrong: served or refused, and soon.
HEAVY: list[dict[str, Any]] = [
    {"structured_outputs": {"regex": "a{1,100000000}"}},
    {"structured_outputs": {"regex": "(((((a{0,99}){0,99}){0,99}){0,99}){0,99}){0,99}"}},
    {"structured_outputs": {"json": {"type": "string", "maxLength": 2000000000}}},
    {"structured_outputs": {"json": {"type": "array", "items": {"type": "string"}, "minItems": 3000000}}},
    {"structured_outputs": {"json": {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(3000)}}}},
    {"structured_outputs": {"choice": [f"choice {i}" for i in range(5000)]}},
]


@pytest.mark.parametrize(("fields", "param"), BAD)
def test_a_constraint_that_cannot_be_compiled_is_400(server: Server, fields: dict[str, Any], param: str) -> None:
    body = {"model": MODEL_NAME, "prompt": "x", "max_tokens": 5, "stream": True} | fields
    check_error(server.http.post("/v1/completions", json=body), 400, param)


def test_hostile_schemas_do_not_hold_up_others(server: Server, client: openai.OpenAI) -> None:
    stream = start_long_stream(client, 400)
    constraints = [fields for fields, _ in BAD] + HEAVY
    answers = at_once(
        lambda each: server.http.post("/v1/completions", json={"model": MODEL_NAME, "prompt": "x", "max_tokens": 5} | each), constraints)
    statuses = [answer.status_code for answer in answers]
    assert statuses[: len(BAD)] == [400] * len(BAD) and set(statuses) <= {200, 400}
    assert sum(bool(chunk.choices) for chunk in stream) > 100
    assert server.health() == 200
