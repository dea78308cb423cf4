"""Prompts that begin alike are computed once, and the answers stay what they were."""

from __future__ import annotations

from openai import OpenAI

from conftest import StartServer
from server_process import MODEL_NAME, run_krait

STORY = "The fox and the crow. A crow sat in a tree with a piece of cheese in her beak, and a fox came by. " * 4


def complete(client: OpenAI, prompt: str, **extra: object) -> tuple[str, int, int]:
    answer = client.completions.create(model=MODEL_NAME, prompt=prompt, max_tokens=12, temperature=0, extra_body=extra)
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    return answer.choices[0].text, answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens or 0


def test_a_repeated_prompt_is_found_but_for_its_last_tokens(client: OpenAI) -> None:
    first, tokens, _ = complete(client, STORY, cache_salt="repeat")
    again, _, cached = complete(client, STORY, cache_salt="repeat")
    assert again == first
    assert cached >= tokens - 32


def test_the_third_request_of_a_shared_beginning_finds_it_wherever_it_leaves(client: OpenAI) -> None:
    for number, tail in enumerate(("Why?", " And then the crow spoke.", "x")):
        _, tokens, cached = complete(client, STORY + tail, cache_salt="shared")
        if number == 2:
            assert cached >= tokens - 48


def test_a_salt_keeps_prefixes_apart(client: OpenAI) -> None:
    first, _, _ = complete(client, STORY, cache_salt="mine")
    other, _, cached = complete(client, STORY, cache_salt="yours")
    assert (other, cached) == (first, 0)


def test_a_chat_finds_its_system_prompt_and_its_last_turn(client: OpenAI) -> None:
    system = {"role": "system", "content": "You tell fables. " * 20}
    turns = [system, {"role": "user", "content": "Tell me of a fox."}]

    def ask(messages: list[dict[str, str]]) -> tuple[str, int, int]:
        answer = client.chat.completions.create(
            model=MODEL_NAME, messages=messages, max_tokens=20, temperature=0, extra_body={"cache_salt": "chat"},  # type: ignore[arg-type]
        )
        assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
        details = answer.usage.prompt_tokens_details
        return answer.choices[0].message.content or "", answer.usage.prompt_tokens, details.cached_tokens or 0

    text, tokens, _ = ask(turns)
    # Another question: all of the system prompt is found by the second request already.
    _, _, cached = ask([system, {"role": "user", "content": "A wolf, please."}])
    assert cached > 40
    turns += [{"role": "assistant", "content": text}, {"role": "user", "content": "Go on."}]
    _, _, cached = ask(turns)
    assert cached >= tokens - 32


def test_snapshots_of_16_bits_are_found_as_well(start_server: StartServer) -> None:
    client = start_server("--mamba-snapshot-dtype", "bfloat16").openai()
    _, tokens, _ = complete(client, STORY)
    text, _, cached = complete(client, STORY)
    assert text and cached >= tokens - 32


def test_snapshots_of_16_bits_are_refused_where_there_would_be_none() -> None:
    refused = run_krait("serve", "demo/aesop", "--port", 0, "--mamba-snapshot-dtype", "float16", "--mamba-cache-mode", "none")
    assert refused.returncode != 0
    assert "--mamba-snapshot-dtype has no effect: no prefixes are cached" in refused.stderr
    refused = run_krait("serve", "demo/aesop", "--port", 0, "--mamba-snapshot-dtype", "float16", "--mamba-ssm-cache-dtype", "bfloat16")
    assert refused.returncode != 0
    assert "--mamba-snapshot-dtype has no effect: the model keeps no float32 states" in refused.stderr
