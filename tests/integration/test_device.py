"""--device: what cannot be used ends start-up with a sentence, and `auto` says what it took."""

import shutil

import pytest
from conftest import StartServer
from server_process import DEMO, run_krait

NO_GPU = "no CUDA platform", "no NVIDIA driver", "needs", "shows no GPU", "does not work"


def has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:-1", "CPU", ""])
def test_an_unknown_device_names_the_valid_ones(device: str) -> None:
    run = run_krait("serve", DEMO, "--device", device)
    assert run.returncode > 0
    assert "device must be auto, cpu, cuda or cuda:N" in run.stderr + run.stdout
    assert f"found '{device}'" in run.stderr + run.stdout


@pytest.mark.skipif(has_gpu(), reason="there may be a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_gpu_that_is_not_there(device: str) -> None:
    run = run_krait("serve", DEMO, "--device", device)
    assert run.returncode > 0
    output = run.stderr + run.stdout
    assert f"--device cuda:{device[5:] or 0}: " in output
    assert any(words in output for words in NO_GPU), output


@pytest.mark.skipif(has_gpu(), reason="there may be a GPU")
def test_auto_says_why_it_is_the_processor(start_server: StartServer) -> None:
    server = start_server("--threads", 1)
    line = next(line for line in server.log().splitlines() if "device auto is the processor" in line)
    assert any(words in line for words in NO_GPU), line
    assert "platform cpu" in server.log()


def test_the_processor_by_name_says_nothing_of_it(start_server: StartServer) -> None:
    server = start_server("--device", "cpu", "--threads", 1)
    assert "device auto" not in server.log()
    assert "platform cpu" in server.log()
