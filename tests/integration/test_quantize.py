"""`krait quantize`, `--quantization` and int8 rows."""

import json
import struct
from pathlib import Path

import pytest
from server_process import DEMO, run_krait

REQUEST = json.dumps({"ids": [1, 77, 200, 31, 8, 99, 140, 5], "generate": 8}) + "\n"


def logits(model: object, *flags: str) -> object:
    run = run_krait("logits", model, "--quantization" if flags else "--threads", *(flags or ("1",)), stdin=REQUEST)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert "error" not in answer, answer
    return answer


def header_of(path: Path) -> dict:
    with path.open("rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


@pytest.mark.parametrize("form", ["int8", "int4"])
def test_a_quantised_checkpoint_answers_as_the_same_rounded_at_load(form: str, tmp_path: Path) -> None:
    run = run_krait("quantize", DEMO, tmp_path / "out", "--weights", form)
    assert run.returncode == 0, run.stderr
    assert "29 matrices" in run.stdout
    assert logits(tmp_path / "out") == logits(DEMO, form)
    header = header_of(tmp_path / "out" / "model.safetensors")
    packed = [name for name in header if name.endswith(".weight_packed")]
    assert len(packed) == 29
    assert all(header[name]["dtype"] == "I32" for name in packed)
    # The tokenizer came along, so the folder is a model like any other.
    text = run_krait("generate", tmp_path / "out", "--prompt", "A Fox", "--max-tokens", 8, "--temperature", 0)
    assert text.returncode == 0, text.stderr
    again = run_krait("quantize", tmp_path / "out", tmp_path / "twice", "--weights", form)
    assert again.returncode == 1
    assert "quantised already" in again.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--weights", "int5"), ["--weights", "int5"]),
        (("--weights", "int8", "--group-size", "48"), ["--group-size is 48", "multiples of 32"]),
        (("--weights", "int8", "--keep", "lm_head"), ["--keep", "lm_head", "bf16"]),
        (("--weights", "int8", "--keep", "lm_haed=bf16"), ["lm_haed", "no matrix"]),
    ],
)
def test_wrong_flags_are_refused_by_name(flags: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    run = run_krait("quantize", DEMO, tmp_path / "out", *flags)
    assert run.returncode != 0
    for word in words:
        assert word in run.stderr, run.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_int8_rows_need_quantised_weights() -> None:
    run = run_krait("logits", DEMO, "--compute-dtype", "int8", stdin=REQUEST)
    assert run.returncode == 1
    assert "--compute-dtype int8 needs quantised weights" in run.stderr
    assert run_krait("logits", DEMO, "--compute-dtype", "int8", "--quantization", "int4", stdin=REQUEST).returncode == 0
    plans = [json.loads(run_krait("info", DEMO, "--json", "--quantization", form).stdout) for form in ("none", "int8", "int4")]
    sizes = [plan["weight_bytes"] for plan in plans]
    assert sizes[0] > 1.9 * sizes[1] > 3.2 * sizes[2]
    assert [plan["weight_quantization"] for plan in plans] == ["none", "int8", "int4"]
