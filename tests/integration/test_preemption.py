"""Too little cache for all who run: requests are preempted, computed again, and answered as if nothing had happened."""

import openai
from asking import at_once, chat, varied_prompts
from conftest import StartServer

# Room for some requests' states and first pages, not for all of their pages once they have grown.
CACHE = "8MiB"


def test_answers_under_preemption_equal_uncontended_ones(start_server: StartServer, client: openai.OpenAI) -> None:
    tight = start_server("--cache-memory", CACHE)
    long = {"max_tokens": 400, "extra_body": {"ignore_eos": True}}
    prompts = varied_prompts(24)
    expected = at_once(lambda each: chat(client, each, **long), prompts)
    assert at_once(lambda each: chat(tight.openai(), each, **long), prompts) == expected
    assert tight.metric("krait:num_preemptions_total") >= 1
    assert tight.metric("krait:kv_pages_used") == 0


def test_a_seeded_random_answer_survives_preemption(start_server: StartServer, client: openai.OpenAI) -> None:
    tight = start_server("--cache-memory", CACHE)
    prompts = varied_prompts(24)

    def ask(to: openai.OpenAI, at: int) -> str:
        return chat(to, prompts[at], temperature=1.0, seed=at, max_tokens=400, extra_body={"ignore_eos": True})

    expected = at_once(lambda at: ask(client, at), range(24))
    assert at_once(lambda at: ask(tight.openai(), at), range(24)) == expected
    assert tight.metric("krait:num_preemptions_total") >= 1
