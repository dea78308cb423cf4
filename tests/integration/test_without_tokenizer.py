"""A checkpoint without tokenizer files is served by ids, when it is asked for."""

import json
import math
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from asking import check_error
from server_process import DEMO, ROOT, Server, run_krait
from test_bad_requests import CHAT, COMPLETIONS, post
from test_grpc import Client, stubs  # noqa: F401

FIXTURE = ROOT / "tests/golden/models/llama"


def golden_tensor(name: str) -> list[list[float]] | list[int]:
    """A tensor of the fixture's golden file: int64 as a list, a matrix of float32 as rows."""
    data = (FIXTURE / "golden.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8 : 8 + length])[name]
    begin, end = (8 + length + at for at in entry["data_offsets"])
    values = [value for (value,) in struct.iter_unpack({"I64": "<q", "F32": "<f"}[entry["dtype"]], data[begin:end])]
    if len(entry["shape"]) == 1:
        return values
    width = entry["shape"][1]
    return [values[at : at + width] for at in range(0, len(values), width)]


def log_softmax(row: list[float], token: int) -> float:
    best = max(row)
    return row[token] - best - math.log(sum(math.exp(value - best) for value in row))


@pytest.fixture(scope="module")
def by_ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("ids"), "--skip-tokenizer-init", "--compute-dtype", "float32", model=FIXTURE, grpc=True)
    try:
        yield server.wait_ready()
    finally:
        server.stop()


@pytest.mark.parametrize("command", ["serve", "generate"])
def test_without_the_flag_a_missing_tokenizer_ends_the_start(command: str) -> None:
    run = run_krait(command, FIXTURE, *(["--prompt", "a"] if command == "generate" else []))
    assert run.returncode > 0
    assert "tokenizer.json" in run.stderr and "--skip-tokenizer-init" in run.stderr


def test_ids_in_and_ids_out(by_ids: Server) -> None:
    prompt, expected = golden_tensor("prompt_1.input_ids"), golden_tensor("prompt_1.generated_ids")
    answer = post(by_ids, COMPLETIONS, prompt=prompt, max_tokens=len(expected), temperature=0, ignore_eos=True, return_token_ids=True)
    choice = answer.json()["choices"][0]
    assert choice["token_ids"] == expected
    assert choice["prompt_token_ids"] == prompt
    assert choice["text"] == ""


def test_a_prompt_of_ids_is_scored_as_the_reference_scores_it(by_ids: Server) -> None:
    prompt, rows = golden_tensor("prompt_2.input_ids"), golden_tensor("prompt_2.logits")
    answer = post(by_ids, COMPLETIONS, prompt=[prompt], max_tokens=0, temperature=0, echo=True, logprobs=1, return_token_ids=True)
    logprobs = answer.json()["choices"][0]["logprobs"]
    assert len(rows) == len(prompt)
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["token_logprobs"][1:] == pytest.approx([log_softmax(row, token) for row, token in zip(rows, prompt[1:])], abs=2e-3)
    assert logprobs["tokens"] == [f"token_id:{token}" for token in prompt]
    for row, top in zip(rows, logprobs["top_logprobs"][1:]):
        assert f"token_id:{row.index(max(row))}" in top


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [(COMPLETIONS, {"prompt": "a text"}, "prompt"), (CHAT, {}, "messages"), (COMPLETIONS, {"prompt": [5], "stop": "x"}, "stop")],
)
def test_text_is_a_clear_400(by_ids: Server, path: str, fields: dict[str, object], param: str) -> None:
    assert "without a tokenizer" in check_error(post(by_ids, path, **fields), 400, param)


def test_grpc_by_ids(by_ids: Server, stubs: object) -> None:  # noqa: F811
    prompt, expected = golden_tensor("prompt_1.input_ids"), golden_tensor("prompt_1.generated_ids")
    with grpc.insecure_channel(f"127.0.0.1:{by_ids.grpc_port}") as channel:
        client = Client(stubs, channel)
        tokens = client.messages.TokenIds(ids=prompt)
        sampling = {"max_tokens": len(expected), "ignore_eos": True, "logprobs": 1}
        events = list(client.start(tokens=tokens, sampling=sampling, echo=True, return_token_ids=True))
        kinds = [event.WhichOneof("event") for event in events]
        assert kinds[:2] == ["started", "echo"]
        echo = events[1].echo
        assert list(echo.token_ids) == prompt
        assert [entry.chosen.id for entry in echo.logprobs] == prompt
        assert [token for event in events for token in event.delta.token_ids] == expected
        assert client.status_of(text="a text").code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_flag_leaves_tokenizer_files_alone(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns("goldens", "README.md"))
    (copy / "tokenizer.json").write_text("not JSON")
    server = Server(tmp_path, "--skip-tokenizer-init", model=copy)
    try:
        server.wait_ready()
        assert post(server, COMPLETIONS, prompt=[5, 6], return_token_ids=True).status_code == 200
    finally:
        server.stop()
