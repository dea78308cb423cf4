"""The two generating endpoints, with the openai client: shapes, streams and counts."""

import openai
import pytest
from asking import complete
from server_process import FABLE, MODEL_NAME, MORAL, Server

MORAL_TEXT = "The flatterer lives at the expense of those who will listen to him."


def test_chat_answer_has_the_openai_shape(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL_NAME, messages=MORAL, temperature=0)
    assert answer.object == "chat.completion"
    assert answer.model == MODEL_NAME
    assert answer.id and answer.created > 0
    choice = answer.choices[0]
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", MORAL_TEXT)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (22, 19, 41)


def test_chat_stream_has_role_first_usage_last_and_one_id(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(
        model=MODEL_NAME, messages=MORAL, temperature=0, stream=True, stream_options={"include_usage": True}
    ))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (22, 19)
    assert all(chunk.usage is None for chunk in chunks[:-1])
    finishes = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert finishes[-1] == "stop" and set(finishes[:-1]) == {None}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == MORAL_TEXT
    assert len(chunks) > 10, "text arrives in pieces"


def test_stream_without_usage_option_has_none(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=MODEL_NAME, messages=MORAL, temperature=0, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_raw_stream_is_server_sent_events_and_ends_with_done(server: Server) -> None:
    body = {"model": MODEL_NAME, "messages": MORAL, "temperature": 0, "stream": True}
    answer = server.http.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = answer.text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    assert all(frame.startswith("data: {") for frame in frames[:-2])


def test_max_tokens_cuts_and_says_length(client: openai.OpenAI) -> None:
    for limit in ({"max_tokens": 5}, {"max_completion_tokens": 5}):
        answer = client.chat.completions.create(model=MODEL_NAME, messages=FABLE, temperature=0, **limit)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 5


def test_completions_default_to_sixteen_tokens(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL_NAME, prompt="Once upon a time", temperature=0)
    assert answer.object == "text_completion"
    assert answer.usage.completion_tokens == 16


def test_content_in_parts_is_the_same_as_a_string(client: openai.OpenAI) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": MORAL[0]["content"]}]}]
    answer = client.chat.completions.create(model=MODEL_NAME, messages=parts, temperature=0)
    assert answer.choices[0].message.content == MORAL_TEXT


def test_a_list_of_prompts_gives_a_choice_each(client: openai.OpenAI) -> None:
    prompts = ["The Fox and the Grapes\n\n", "The Lion and the Mouse\n\n", "Once upon a time"]
    answer = client.completions.create(model=MODEL_NAME, prompt=prompts, temperature=0, max_tokens=20)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.text for choice in answer.choices] == [complete(client, each, max_tokens=20) for each in prompts]
    assert answer.usage.completion_tokens == 60


def test_a_streamed_list_of_prompts_gives_the_same_texts(client: openai.OpenAI) -> None:
    prompts = ["The Fox and the Grapes\n\n", "Once upon a time"]
    texts = ["", ""]
    for chunk in client.completions.create(
        model=MODEL_NAME, prompt=prompts, temperature=0, max_tokens=20, stream=True
    ):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [complete(client, each, max_tokens=20) for each in prompts]


def test_text_outside_ascii_survives_the_way_there_and_back(client: openai.OpenAI) -> None:
    prompt = "Alice looked at the café, then at the 狐狸 🦊, and said: 12,345!"
    answer = client.completions.create(model=MODEL_NAME, prompt=prompt, temperature=0, max_tokens=8)
    assert answer.usage.prompt_tokens == 36
    assert "\ufffd" not in answer.choices[0].text


@pytest.mark.parametrize("name", ["user", "metadata", "store"])
def test_bookkeeping_fields_are_accepted(server: Server, name: str) -> None:
    value = {"user": "someone", "metadata": {"a": "b"}, "store": False}[name]
    body = {"model": MODEL_NAME, "messages": MORAL, "max_tokens": 2, name: value}
    assert server.http.post("/v1/chat/completions", json=body).status_code == 200
