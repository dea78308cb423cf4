"""The demo model's golden continuations, in the server's default compute type and over HTTP."""

from typing import Any

import openai
import pytest
from asking import at_once, chat, chat_streamed, complete, complete_streamed
from conftest import StartServer
from server_process import golden

# Nearer ties may fall to the other side in bfloat16.
CASES = [case for case in golden()["cases"] if case["min_margin"] >= 0.05]


def test_twelve_cases_are_compared() -> None:
    assert len(CASES) == 12


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["prompt"][-30:])
def test_greedy_text_is_the_golden_text(client: openai.OpenAI, case: dict[str, Any]) -> None:
    if case["kind"] == "chat":
        ask, streamed, question = chat, chat_streamed, case["messages"]
    else:
        ask, streamed, question = complete, complete_streamed, case["prompt"]
    assert ask(client, question, max_tokens=case["max_new_tokens"]) == case["text"]
    assert streamed(client, question, max_tokens=case["max_new_tokens"]) == case["text"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["prompt"][-30:])
def test_token_ids_as_prompt_give_the_golden_text(client: openai.OpenAI, case: dict[str, Any]) -> None:
    answer = client.completions.create(
        model="aesop", prompt=case["prompt_ids"], temperature=0, max_tokens=case["max_new_tokens"]
    )
    assert answer.choices[0].text == case["text"]
    assert answer.choices[0].finish_reason == case["finish"]
    assert answer.usage.prompt_tokens == len(case["prompt_ids"])
    assert answer.usage.completion_tokens == len(case["ids"])


def test_bfloat16_gives_the_golden_texts_on_any_processor(start_server: StartServer) -> None:
    client = start_server("--compute-dtype", "bfloat16").openai()
    texts = at_once(lambda case: complete(client, case["prompt_ids"], max_tokens=case["max_new_tokens"]), CASES)
    assert texts == [case["text"] for case in CASES]
