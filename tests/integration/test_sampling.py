"""Sampling parameters as callers see them."""

import math

import openai
import pytest
from asking import at_once, chat, complete, varied_prompts
from server_process import FABLE, MODEL_NAME

WARM = {"temperature": 1.2, "max_tokens": 40}
STORY = "Once upon a time"


def test_a_seed_makes_a_random_answer_reproducible(client: openai.OpenAI) -> None:
    answers = {complete(client, STORY, seed=7, **WARM) for _ in range(3)}
    assert len(answers) == 1
    others = {complete(client, STORY, seed=seed, **WARM) for seed in range(8)}
    assert len(others) > 1, "different seeds give different answers"


def test_a_seed_gives_the_same_alone_and_among_32(client: openai.OpenAI) -> None:
    def seeded(seed: int) -> str:
        return complete(client, STORY, seed=seed, top_p=0.95, **WARM)

    alone = [seeded(seed) for seed in range(32)]
    assert at_once(seeded, range(32)) == alone


def test_without_a_seed_answers_differ(client: openai.OpenAI) -> None:
    assert len({complete(client, STORY, **WARM) for _ in range(6)}) > 1


@pytest.mark.parametrize("only_one", [{"extra_body": {"top_k": 1}}, {"top_p": 1e-6}, {"extra_body": {"min_p": 1.0}}])
def test_a_choice_of_one_is_greedy(client: openai.OpenAI, only_one: dict[str, object]) -> None:
    greedy = complete(client, STORY, max_tokens=30)
    assert complete(client, STORY, seed=3, **WARM | {"max_tokens": 30}, **only_one) == greedy


def test_logit_bias_forbids_a_token(client: openai.OpenAI) -> None:
    prompt = "The Fox and the Grapes\n\n"
    assert complete(client, prompt, max_tokens=1) == "A"
    assert complete(client, prompt, max_tokens=1, logit_bias={"37": -100}) != "A"


def test_penalties_change_a_repeating_answer(client: openai.OpenAI) -> None:
    plain = complete(client, STORY, max_tokens=100)
    for penalty in ({"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"extra_body": {"repetition_penalty": 2.0}}):
        assert complete(client, STORY, max_tokens=100, **penalty) != plain


@pytest.mark.parametrize("stop", [" grapes", ["nowhere to be found", " grapes"], "ipe gra"])
def test_a_stop_string_ends_the_answer_before_itself(client: openai.OpenAI, stop: object) -> None:
    full = chat(client, FABLE)
    found = stop if isinstance(stop, str) else stop[1]
    for stream in (False, True):
        answer = client.chat.completions.create(
            model=MODEL_NAME, messages=FABLE, temperature=0, stop=stop, stream=stream
        )
        chunks = [chunk.choices[0] for chunk in answer] if stream else []
        text = "".join(c.delta.content or "" for c in chunks) if stream else answer.choices[0].message.content
        last = chunks[-1] if stream else answer.choices[0]
        assert text == full[: full.index(found)]
        assert (last.finish_reason, last.stop_reason) == ("stop", found)


def test_a_stop_string_may_be_included(client: openai.OpenAI) -> None:
    full = chat(client, FABLE)
    text = chat(client, FABLE, stop=" grapes", extra_body={"include_stop_str_in_output": True})
    assert text == full[: full.index(" grapes") + len(" grapes")]


def test_a_stop_token_id_ends_the_answer(client: openai.OpenAI) -> None:
    prompt = "The Fox and the Grapes\n\n"
    first = client.completions.create(
        model=MODEL_NAME, prompt=prompt, temperature=0, max_tokens=10, extra_body={"return_token_ids": True}
    ).choices[0]
    stop = first.token_ids[5]
    answer = client.completions.create(
        model=MODEL_NAME, prompt=prompt, temperature=0, max_tokens=10, extra_body={"stop_token_ids": [stop]}
    )
    assert (answer.choices[0].finish_reason, answer.choices[0].stop_reason) == ("stop", stop)
    assert answer.usage.completion_tokens == first.token_ids.index(stop) + 1


def test_min_tokens_and_ignore_eos_hold_the_end_off(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "Which fable has the moral: Look before you leap."}]
    for extra, least in (({"min_tokens": 12}, 12), ({"ignore_eos": True}, 40)):
        answer = client.chat.completions.create(
            model=MODEL_NAME, messages=messages, temperature=0, max_tokens=40, extra_body=extra
        )
        assert answer.usage.completion_tokens >= least


def test_chat_logprobs_name_the_tokens_of_the_text(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=FABLE, temperature=0, max_tokens=20, logprobs=True, top_logprobs=3
    )
    content = answer.choices[0].logprobs.content
    assert len(content) == 20
    assert "".join(entry.token for entry in content) == answer.choices[0].message.content
    for entry in content:
        assert bytes(entry.bytes).decode() == entry.token
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == pytest.approx(entry.logprob)
        assert sum(math.exp(each.logprob) for each in entry.top_logprobs) <= 1.0001


def test_completion_logprobs_agree_streamed_and_not(client: openai.OpenAI) -> None:
    options = {"model": MODEL_NAME, "prompt": STORY, "temperature": 0, "max_tokens": 20, "logprobs": 2}
    whole = client.completions.create(**options).choices[0]
    chunks = [chunk.choices[0] for chunk in client.completions.create(**options, stream=True)]
    pieces = [chunk.logprobs for chunk in chunks if chunk.logprobs]
    assert [token for piece in pieces for token in piece.tokens] == whole.logprobs.tokens
    assert [value for piece in pieces for value in piece.token_logprobs] == whole.logprobs.token_logprobs
    assert "".join(whole.logprobs.tokens) == whole.text
    assert whole.logprobs.text_offset[:2] == [0, len(whole.logprobs.tokens[0])]


def test_n_choices_of_one_seed_differ_and_repeat(client: openai.OpenAI) -> None:
    def ask() -> list[str]:
        answer = client.completions.create(model=MODEL_NAME, prompt=STORY, n=4, seed=11, **WARM)
        return [choice.text for choice in answer.choices]

    first = ask()
    assert len(set(first)) > 1
    assert ask() == first


def test_varied_prompts_are_all_different() -> None:
    assert len({str(prompt) for prompt in varied_prompts(64)}) == 64


def test_best_of_returns_the_likeliest_of_the_candidates(client: openai.OpenAI) -> None:
    options: dict[str, object] = {"model": MODEL_NAME, "prompt": STORY, "seed": 11, "logprobs": 0, **WARM}

    def scored(answer: openai.types.Completion) -> list[tuple[float, str]]:
        scores = []
        for choice in answer.choices:
            assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
            scores.append((sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs), choice.text))
        return scores

    all_of_them = client.completions.create(n=6, **options)  # type: ignore[call-overload]
    best = client.completions.create(n=2, best_of=6, **options)  # type: ignore[call-overload]
    assert scored(best) == sorted(scored(all_of_them), reverse=True)[:2]
    assert [choice.index for choice in best.choices] == [0, 1]
    assert best.usage.completion_tokens == all_of_them.usage.completion_tokens
    plain = client.completions.create(n=2, best_of=6, **options | {"logprobs": None})  # type: ignore[call-overload]
    assert [choice.text for choice in plain.choices] == [choice.text for choice in best.choices]
    assert plain.choices[0].logprobs is None


def test_best_of_cannot_be_streamed_and_is_at_least_n(client: openai.OpenAI) -> None:
    for wrong in ({"best_of": 3, "stream": True}, {"n": 3, "best_of": 2}, {"best_of": 200}):
        with pytest.raises(openai.BadRequestError, match="best_of"):
            client.completions.create(model=MODEL_NAME, prompt=STORY, **wrong)  # type: ignore[call-overload]
