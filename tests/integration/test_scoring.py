"""Prompts are scored through /v1/completions, as evaluation harnesses ask for it, and over gRPC."""

import json
import math

import openai
import pytest
from asking import check_error
from conftest import StartServer
from server_process import DEMO, MODEL_NAME, Server, run_krait
from test_bad_requests import CHAT, COMPLETIONS, post

TEXT = "The Fox and the Grapes\n\nA Fox one day spied"


def ids_of(server: Server, text: str) -> list[int]:
    answer = server.http.post(COMPLETIONS, json={"model": MODEL_NAME, "prompt": text, "max_tokens": 1, "return_token_ids": True})
    return answer.json()["choices"][0]["prompt_token_ids"]


def log_softmax(row: list[float], token: int) -> float:
    best = max(row)
    return row[token] - best - math.log(sum(math.exp(value - best) for value in row))


def reference(ids: list[int]) -> list[float]:
    """Of every token but the first, from the raw logits of `krait logits`."""
    run = run_krait("logits", DEMO, "--compute-dtype", "float32", stdin=json.dumps({"ids": ids}) + "\n")
    rows = json.loads(run.stdout)["logits"]
    return [log_softmax(row, token) for row, token in zip(rows, ids[1:])]


def score(server: Server, prompt: object, **fields: object) -> list[dict[str, object]]:
    body = {"model": MODEL_NAME, "prompt": prompt, "echo": True, "logprobs": 1, "max_tokens": 0, "temperature": 0} | fields
    answer = server.http.post(COMPLETIONS, json=body)
    assert answer.status_code == 200, answer.text
    return sorted(answer.json()["choices"], key=lambda choice: choice["index"])


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Server:
    server = Server(tmp_path_factory.mktemp("exact"), "--compute-dtype", "float32", grpc=True)
    try:
        yield server.wait_ready()
    finally:
        server.stop()


@pytest.mark.parametrize("as_ids", [False, True])
def test_a_prompt_is_scored_and_nothing_is_generated(exact: Server, as_ids: bool) -> None:
    ids = ids_of(exact, TEXT)
    choice = score(exact, ids if as_ids else TEXT)[0]
    logprobs = choice["logprobs"]
    assert choice["text"] == TEXT
    assert choice["finish_reason"] == "length"
    assert logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None
    assert logprobs["token_logprobs"][1:] == pytest.approx(reference(ids), abs=1e-4)
    assert "".join(logprobs["tokens"]) == TEXT
    offsets = logprobs["text_offset"]
    assert [TEXT[at : at + len(token)] for at, token in zip(offsets, logprobs["tokens"])] == logprobs["tokens"]
    assert len(logprobs["tokens"]) == len(offsets) == len(logprobs["top_logprobs"]) == len(ids)


def test_the_request_of_lm_eval(exact: Server) -> None:
    """A batch of ids, one token more than is scored, and `is_greedy` from the best of each place."""
    contexts = [ids_of(exact, TEXT), ids_of(exact, "The Moral: do not")]
    choices = score(exact, contexts, max_tokens=1, seed=1234)
    for ids, choice in zip(contexts, choices):
        logprobs = choice["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(ids) + 1
        assert logprobs["token_logprobs"][1:-1] == pytest.approx(reference(ids), abs=1e-4)
        for value, top in list(zip(logprobs["token_logprobs"], logprobs["top_logprobs"]))[1:]:
            assert value in top.values() and value <= max(top.values())
        assert logprobs["text_offset"][-1] == len(choice["text"]) - len(logprobs["tokens"][-1])


def test_scores_do_not_depend_on_cuts_or_preemption(exact: Server, start_server: StartServer) -> None:
    prompts = [ids_of(exact, TEXT * n) for n in (1, 3, 9, 5)]
    expected = [choice["logprobs"]["token_logprobs"] for choice in score(exact, prompts, logprobs=0)]
    cut = start_server("--compute-dtype", "float32", "--max-num-batched-tokens", 24, "--cache-memory", "2MiB")
    found = [choice["logprobs"]["token_logprobs"] for choice in score(cut, prompts, logprobs=0)]
    assert found == expected


def test_token_ids_of_prompt_and_answer(exact: Server) -> None:
    ids = ids_of(exact, TEXT)
    choice = score(exact, TEXT, max_tokens=3, return_token_ids=True)[0]
    assert choice["prompt_token_ids"] == ids
    assert len(choice["token_ids"]) == 3
    assert choice["text"].startswith(TEXT) and len(choice["text"]) > len(TEXT)


def test_echo_without_logprobs(exact: Server) -> None:
    choice = score(exact, TEXT, logprobs=None, max_tokens=2)[0]
    assert choice["text"].startswith(TEXT)
    assert choice["logprobs"] is None


def test_the_openai_client_streams_an_echo(exact: Server) -> None:
    client: openai.OpenAI = exact.openai()
    stream = client.completions.create(model=MODEL_NAME, prompt=TEXT, echo=True, logprobs=2, max_tokens=2, temperature=0, stream=True)
    chunks = [chunk.choices[0] for chunk in stream]
    whole = client.completions.create(model=MODEL_NAME, prompt=TEXT, echo=True, logprobs=2, max_tokens=2, temperature=0).choices[0]
    assert chunks[0].text == TEXT
    assert "".join(chunk.text for chunk in chunks) == whole.text
    joined = [value for chunk in chunks if chunk.logprobs for value in chunk.logprobs.token_logprobs]
    assert joined == whole.logprobs.token_logprobs


def test_what_scores_nothing_is_refused(exact: Server) -> None:
    check_error(post(exact, COMPLETIONS, prompt=TEXT, max_tokens=0), 400, "max_tokens")
    check_error(post(exact, CHAT, messages=[{"role": "user", "content": "a"}], echo=True), 400, "echo")
