"""`krait generate`, `krait info`, and flags that are wrong."""

import json
import shutil
from pathlib import Path

import pytest
from server_process import BINARY, DEMO, ROOT, golden, run_krait

GREEDY = ("--temperature", "0")
MODELS = ROOT / "tests" / "golden" / "models"
COMPLETION = golden()["cases"][0]


def test_generate_prints_the_answer_to_a_prompt() -> None:
    run = run_krait("generate", DEMO, "--prompt", COMPLETION["prompt"], "--max-tokens", 160, *GREEDY)
    assert run.returncode == 0, run.stderr
    assert COMPLETION["text"] in run.stdout


def test_generate_reads_a_piped_prompt() -> None:
    run = run_krait("generate", DEMO, "--max-tokens", 160, *GREEDY, stdin=COMPLETION["prompt"])
    assert run.returncode == 0, run.stderr
    assert COMPLETION["text"] in run.stdout


def test_info_tells_layers_backends_and_bytes() -> None:
    run = run_krait("info", DEMO)
    assert run.returncode == 0, run.stderr
    for word in ("GraniteMoeHybridForCausalLM", "mamba2", "attention", "4"):
        assert word in run.stdout, word


def test_info_as_json() -> None:
    run = run_krait("info", DEMO, "--json")
    assert run.returncode == 0, run.stderr
    plan = json.loads(run.stdout)
    assert plan["architecture"] == "GraniteMoeHybridForCausalLM"
    assert plan["state_bytes_per_request"] > 4 * 16 * 32 * 64
    assert plan["kv_bytes_per_token"] > 0
    assert sum(kind["layers"] for kind in plan["layer_kinds"]) == plan["num_layers"] == 6


def test_info_needs_no_weights(tmp_path: Path) -> None:
    shutil.copy(DEMO / "config.json", tmp_path)
    runs = [run_krait("info", folder, "--format", "json", "--cache-memory", "64MiB") for folder in (DEMO, tmp_path)]
    assert [run.returncode for run in runs] == [0, 0], runs[1].stderr
    loaded, planned = (json.loads(run.stdout) for run in runs)
    assert loaded["has_weights"] and not planned["has_weights"]
    for key in ("parameters", "state_bytes_per_request", "kv_bytes_per_token", "cache_groups", "cache_capacity"):
        assert planned[key] == loaded[key], key
    text = run_krait("info", tmp_path).stdout
    for word in ("Granite", "2 KV heads of 32", "the folder has no weights", "tokens of KV", "requests of 4,096 tokens with their states"):
        assert word in text, text


def test_the_families_of_the_readme_are_those_that_are_served() -> None:
    table = run_krait("info", "--supported")
    assert table.returncode == 0, table.stderr
    readme = (ROOT / "README.md").read_text()
    assert readme.split("<!-- krait info --supported -->\n")[1].split("<!-- end -->")[0] == table.stdout
    families = json.loads(run_krait("info", "--supported", "--format", "json").stdout)
    assert {"architecture", "family", "kinds", "verified"} == set(families[0])
    assert all(f"`{family['architecture']}`" in table.stdout for family in families)


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("serve", "--help"), ("generate", "--help"), ("logits", "--help")])
def test_help_and_version(arguments: tuple[str, ...]) -> None:
    run = run_krait(*arguments)
    assert run.returncode == 0
    assert run.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", DEMO, "--no-such-flag", "1"), ["no-such-flag"]),
        (("frobnicate",), ["frobnicate"]),
        (("serve",), ["no model was given"]),
        (("serve", DEMO, "--port", "x"), ["port", "x"]),
        (("serve", DEMO, "--port", "70000"), ["port", "70000", "65535"]),
        (("serve", DEMO, "--cache-memory", "2 bananas"), ["cache-memory", "bananas", "MiB"]),
        (("serve", DEMO, "--compute-dtype", "float7"), ["compute-dtype", "float7", "bfloat16"]),
        (("serve", DEMO, "--kv-cache-dtype", "int4"), ["kv-cache-dtype", "int4", "int8"]),
        (("serve", DEMO, "--mamba-backend", "magic"), ["Unknown Mamba SSU backend: 'magic'", "native"]),
        (("serve", DEMO, "--device", "cpu", "--mamba-backend", "flashinfer"), ["--mamba-backend flashinfer: platform 'cpu'", "Valid options are: native"]),
        (("serve", DEMO, "--attention-backend", "magic"), ["Unknown attention backend: 'magic'. Valid options are: native, flashinfer"]),
        (
            ("serve", DEMO, "--device", "cpu", "--attention-backend", "flashinfer"),
            ["--attention-backend flashinfer: platform 'cpu' has no kernels of flashinfer. Valid options are: native"],
        ),
        (
            ("serve", MODELS / "llama", "--skip-tokenizer-init", "--device", "cpu", "--mamba-backend", "flashinfer"),
            ["--mamba-backend has no effect: the model has no layers of mamba type"],
        ),
        (
            ("serve", MODELS / "mamba2", "--skip-tokenizer-init", "--device", "cpu", "--attention-backend", "flashinfer"),
            ["--attention-backend has no effect: the model has no attention layers"],
        ),
        (("serve", DEMO, "--mamba-attention-backend", "mamba2=magic"), ["magic", "mamba2"]),
        (("serve", DEMO, "--mamba-attention-backend", "mamba7=mamba2"), ["Invalid mamba type: 'mamba7'"]),
        (("serve", DEMO, "--enable-mamba-cache-stochastic-rounding"), ["stochastic", "float32", "--mamba-ssm-cache-dtype float16"]),
        (("serve", DEMO, "--cache-memory", "1KiB"), ["cache"]),
        (("serve", "no-such-folder"), ["no-such-folder"]),
        (("serve", DEMO / "goldens"), ["config.json"]),
        (("serve", "someone/some-model"), ["someone/some-model", "hf download someone/some-model"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, tuple) else "",
)
def test_a_wrong_start_fails_with_a_sentence(arguments: tuple[object, ...], words: list[str]) -> None:
    run = run_krait(*arguments, env={"HF_HOME": "/nonexistent"})
    assert run.returncode not in (0, -6, -11), run.stderr
    output = run.stderr + run.stdout
    for word in words:
        assert word in output, output
    assert "terminate called" not in output


def test_a_hub_name_is_found_in_the_local_cache(tmp_path: object) -> None:
    folder = tmp_path / "hub/models--someone--fables"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("abc123")
    (folder / "snapshots").mkdir()
    (folder / "snapshots/abc123").symlink_to(DEMO)
    run = run_krait("info", "someone/fables", env={"HF_HOME": str(tmp_path)})
    assert run.returncode == 0, run.stderr


def test_the_binary_says_where_it_is_missing() -> None:
    assert BINARY.exists(), f"{BINARY} is missing: build it, or set KRAIT_BINARY"
