"""generation_config.json gives requests what they leave open."""

import json
import shutil
from pathlib import Path

import pytest
from asking import complete
from conftest import StartServer
from server_process import DEMO, run_krait

PROMPT = "The Fox and the"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns("goldens", "README.md"))
    return copy


def configure(checkpoint: Path, **values: object) -> None:
    (checkpoint / "generation_config.json").write_text(json.dumps({"eos_token_id": 0} | values))


def texts(server: object, **options: object) -> set[str]:
    client = server.openai()
    return {complete(client, PROMPT, temperature=None, max_tokens=20, seed=seed, **options) for seed in range(6)}


def test_the_demo_model_is_greedy_unless_a_request_says_otherwise(server: object) -> None:
    client = server.openai()
    assert texts(server) == {complete(client, PROMPT, temperature=0, max_tokens=20)}
    assert len({complete(client, PROMPT, temperature=1.5, max_tokens=20, seed=seed) for seed in range(6)}) > 1


def test_defaults_of_the_file_and_fields_of_the_request(checkpoint: Path, start_server: StartServer) -> None:
    configure(checkpoint, do_sample=True, temperature=1.5, top_k=1, max_new_tokens=3)
    server = start_server(model=checkpoint)
    assert "temperature 1.5, top_k 1, max_tokens 3" in server.log()
    assert len(texts(server)) == 1  # the one most likely token
    assert len(texts(server, extra_body={"top_k": 0})) > 1
    answer = server.openai().completions.create(model="aesop", prompt=PROMPT)
    assert answer.usage.completion_tokens == 3


def test_none_leaves_the_file_alone(checkpoint: Path, start_server: StartServer) -> None:
    configure(checkpoint, do_sample=False, temperature=7)
    server = start_server("--generation-config", "none", model=checkpoint)
    assert len(texts(server)) > 1


@pytest.mark.parametrize(
    ("key", "value"), [("temperature", 7), ("top_p", 0), ("top_k", -2), ("min_p", 1.5), ("repetition_penalty", 0), ("max_new_tokens", 0), ("top_p", "x")]
)
def test_a_value_out_of_range_ends_the_start(checkpoint: Path, key: str, value: object) -> None:
    configure(checkpoint, **{key: value})
    run = run_krait("serve", checkpoint)
    assert run.returncode > 0
    assert "generation_config.json" in run.stderr and key in run.stderr


def test_info_says_which_defaults_apply(checkpoint: Path) -> None:
    configure(checkpoint, temperature=0.6, top_p=0.95)
    assert "temperature 0.6, top_p 0.95" in run_krait("info", checkpoint).stdout
    defaults = json.loads(run_krait("info", checkpoint, "--format", "json").stdout)["sampling_defaults"]
    assert defaults == {"temperature": 0.6, "top_p": 0.95}
    assert json.loads(run_krait("info", checkpoint, "--format", "json", "--generation-config", "none").stdout)["sampling_defaults"] == {}
