"""The same question asked in the ways that the tests compare."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import httpx
import openai
from server_process import MODEL_NAME

LONG = {"max_tokens": 4000, "ignore_eos": True}  # runs long enough to be interrupted


def chat(client: openai.OpenAI, messages: list[dict[str, str]], **options: Any) -> str:
    answer = client.chat.completions.create(model=MODEL_NAME, messages=messages, **{"temperature": 0} | options)
    return answer.choices[0].message.content


def chat_streamed(client: openai.OpenAI, messages: list[dict[str, str]], **options: Any) -> str:
    chunks = client.chat.completions.create(
        model=MODEL_NAME, messages=messages, stream=True, **{"temperature": 0} | options
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def complete(client: openai.OpenAI, prompt: Any, **options: Any) -> str:
    answer = client.completions.create(model=MODEL_NAME, prompt=prompt, **{"temperature": 0} | options)
    return answer.choices[0].text


def complete_streamed(client: openai.OpenAI, prompt: Any, **options: Any) -> str:
    chunks = client.completions.create(model=MODEL_NAME, prompt=prompt, stream=True, **{"temperature": 0} | options)
    return "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)


def start_long_stream(client: openai.OpenAI, max_tokens: int = LONG["max_tokens"]) -> openai.Stream[Any]:
    """A long answer, of which the first piece has arrived."""
    stream = client.completions.create(
        model=MODEL_NAME, prompt="Once upon a time", stream=True, temperature=0, max_tokens=max_tokens,
        extra_body={"ignore_eos": True},
    )
    next(iter(stream))
    return stream


def at_once(function: Callable[..., Any], inputs: Iterable[Any]) -> list[Any]:
    """Calls the function with each input, all at the same time; results in the inputs' order."""
    inputs = list(inputs)
    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(function, inputs))


TITLES = [
    "The Fox and the Grapes", "The Fox and the Crow", "The Lion and the Mouse", "The Hare and the Tortoise",
    "The Crow and the Pitcher", "The Ants and the Grasshopper", "The Fox and the Goat", "The Shepherd Boy and the Wolf",
]


def varied_prompts(count: int) -> list[list[dict[str, str]]]:
    """Chats of different lengths, so that their ends fall on different steps."""
    forms = ["Tell me the fable of {}.", "What is the moral of {}?", "Please tell me the story of {}.", "Who is in {}?"]
    return [
        [{"role": "user", "content": forms[i // len(TITLES) % len(forms)].format(TITLES[i % len(TITLES)])
          + " Thank you." * (i // (len(TITLES) * len(forms)))}]
        for i in range(count)
    ]


def check_error(answer: httpx.Response, status: int, param: str | None = None) -> str:
    """Asserts the status and the OpenAI error object; its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert error["type"]
    return error["message"]
