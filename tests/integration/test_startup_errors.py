"""Checkpoints that are corrupt are refused with the file's name, and the tensor's where there is one."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import check_error
from conftest import StartServer
from server_process import DEMO, MORAL, run_krait

WEIGHTS = "model.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns("goldens", "README.md"))
    return copy


def edit_header(path: Path, edit: Callable[[dict[str, dict[str, object]]], None]) -> str:
    """Rewrites the safetensors header; the name of the tensor that it begins with."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    name = next(key for key in header if key != "__metadata__")
    edit(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return name


def first(header: dict[str, dict[str, object]]) -> dict[str, object]:
    return header[next(key for key in header if key != "__metadata__")]


def refused(checkpoint: Path, *words: str) -> str:
    for command in ("serve", "logits"):
        run = run_krait(command, checkpoint)
        output = run.stderr + run.stdout
        assert run.returncode > 0, output
        for word in words:
            assert word in output, output
    return output


def test_a_truncated_file_names_file_and_tensor(checkpoint: Path) -> None:
    path = checkpoint / WEIGHTS
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 1000)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    header.pop("__metadata__", None)
    last = max(header[name]["data_offsets"][1] for name in header)
    cut = [name for name in header if header[name]["data_offsets"][1] > last - 1000]
    output = refused(checkpoint, WEIGHTS)
    assert any(name in output for name in cut), output


def test_offsets_past_the_end(checkpoint: Path) -> None:
    name = edit_header(checkpoint / WEIGHTS, lambda header: first(header).update(data_offsets=[0, 2**40]))
    refused(checkpoint, WEIGHTS, name)


def test_a_wrong_dtype(checkpoint: Path) -> None:
    name = edit_header(checkpoint / WEIGHTS, lambda header: first(header).update(dtype="F7"))
    refused(checkpoint, WEIGHTS, name, "F7")


def test_a_wrong_shape(checkpoint: Path) -> None:
    name = edit_header(checkpoint / WEIGHTS, lambda header: first(header).update(shape=[1, 2, 3]))
    refused(checkpoint, WEIGHTS, name)


def test_a_missing_tensor(checkpoint: Path) -> None:
    name = edit_header(checkpoint / WEIGHTS, lambda header: header.update(unexpected_name=first(header)))

    def drop(header: dict[str, dict[str, object]]) -> None:
        del header[name]

    edit_header(checkpoint / WEIGHTS, drop)
    refused(checkpoint, name)


@pytest.mark.parametrize("length", [0, 5, 2**20, 2**63, 2**64 - 1])
def test_a_bad_header_length(checkpoint: Path, length: int) -> None:
    path = checkpoint / WEIGHTS
    path.write_bytes(struct.pack("<Q", length) + b"{}   " + b"\0" * 1000)
    refused(checkpoint, WEIGHTS)


def test_an_empty_file(checkpoint: Path) -> None:
    (checkpoint / WEIGHTS).write_bytes(b"")
    refused(checkpoint, WEIGHTS)


def test_a_missing_shard(checkpoint: Path) -> None:
    data = (checkpoint / WEIGHTS).read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    shards = {name: "model-00002-of-00002.safetensors" for name in header if name != "__metadata__"}
    (checkpoint / WEIGHTS).rename(checkpoint / "model-00001-of-00002.safetensors")
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    refused(checkpoint, "model-00002-of-00002.safetensors")


def test_an_unknown_architecture_lists_the_known_ones(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"architectures": ["FancyForCausalLM"]}))
    refused(checkpoint, "FancyForCausalLM", "GraniteMoeHybridForCausalLM", "Mamba2ForCausalLM", "LlamaForCausalLM")


def test_a_config_that_is_no_json(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    refused(checkpoint, "config.json")


def test_a_chat_template_beyond_the_interpreter_is_named_and_refuses_chats_only(checkpoint: Path, start_server: StartServer) -> None:
    (checkpoint / "chat_template.jinja").write_text("{% include 'other' %}")
    path = checkpoint / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": "{% include 'other' %}"}))
    server = start_server(model=checkpoint)
    assert "chat_template.jinja" in server.log() and "include" in server.log()
    message = check_error(server.http.post("/v1/chat/completions", json={"messages": MORAL}), 400, "messages")
    assert "include" in message
    assert server.http.post("/v1/completions", json={"prompt": "Once", "max_tokens": 2}).status_code == 200
