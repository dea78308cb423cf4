"""Where an option's value comes from: the command line, then KRAIT_*, then the file of --config."""

import re
from pathlib import Path

import pytest
from conftest import StartServer
from server_process import DEMO, ROOT, Server, run_krait


def max_model_len(server: Server) -> int:
    return server.http.get("/v1/models").json()["data"][0]["max_model_len"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "krait.yaml"
    path.write_text(f"model: {DEMO}\nmax-model-len: 1000\n")
    return path


def test_the_file_then_the_environment_then_the_command_line(start_server: StartServer, config: Path) -> None:
    from_file = start_server("--config", config)
    assert max_model_len(from_file) == 1000
    from_environment = start_server("--config", config, env={"KRAIT_MAX_MODEL_LEN": "2000"})
    assert max_model_len(from_environment) == 2000
    from_flag = start_server("--config", config, "--max-model-len", 3000, env={"KRAIT_MAX_MODEL_LEN": "2000"})
    assert max_model_len(from_flag) == 3000


def test_the_model_may_stand_in_the_file(config: Path) -> None:
    run = run_krait("info", "--config", config)
    assert run.returncode == 0, run.stderr
    assert "GraniteMoeHybridForCausalLM" in run.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [("no-such-key: 1\n", ["no-such-key", "krait.yaml"]), ("port: abc\n", ["port", "abc", "krait.yaml"]),
     ("port: [1\n", ["krait.yaml"]), ("- a\n", ["krait.yaml"]), ("port: 99999\n", ["port", "65535"])],
)
def test_a_bad_file_ends_the_start(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "krait.yaml"
    path.write_text(text)
    run = run_krait("serve", DEMO, "--config", path)
    assert run.returncode > 0
    for word in words:
        assert word in run.stderr + run.stdout


def test_a_bad_variable_ends_the_start() -> None:
    run = run_krait("serve", DEMO, env={"KRAIT_PORT": "abc"})
    assert run.returncode > 0
    assert "KRAIT_PORT" in run.stderr + run.stdout


def test_a_missing_file_is_named() -> None:
    run = run_krait("serve", DEMO, "--config", "nowhere.yaml")
    assert run.returncode > 0
    assert "nowhere.yaml" in run.stderr + run.stdout


def test_the_documentation_is_what_the_program_prints() -> None:
    assert run_krait("docs-configuration").stdout == (ROOT / "docs/configuration.md").read_text()


def test_every_ready_configuration_names_known_options() -> None:
    documented = run_krait("docs-configuration").stdout
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        for key in re.findall(r"^([a-z-]+):", path.read_text(), re.MULTILINE):
            assert f"`{key}`" in documented, f"{path.name}: {key}"
