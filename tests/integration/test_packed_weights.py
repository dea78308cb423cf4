"""--packed-weights-dir: the second start maps what the first has packed, and answers are the same."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import StartServer
from server_process import BINARY, DEMO, MODEL_NAME, clean_environment, run_krait, wait_until

PROMPT = "The fox and the crow. A crow sat in a tree with a piece of cheese in her beak"


def answer(server: object) -> str:
    completion = server.openai().completions.create(model=MODEL_NAME, prompt=PROMPT, max_tokens=24, temperature=0)
    return completion.choices[0].text


def generate(*flags: object) -> str:
    ran = run_krait("generate", DEMO, "--prompt", PROMPT, "--max-tokens", 24, "--temperature", 0, *flags)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_the_second_start_reads_what_the_first_wrote(start_server: StartServer, tmp_path: Path, quantization: str) -> None:
    folder = tmp_path / "packed"
    flags = ("--quantization", quantization)
    expected = answer(start_server(*flags))
    first = start_server(*flags, "--packed-weights-dir", folder)
    assert answer(first) == expected
    wait_until(lambda: "packed weights: wrote " in first.log(), "the file was written")
    (packed,) = folder.iterdir()
    second = start_server(*flags, "--packed-weights-dir", folder)
    assert answer(second) == expected
    assert f"of packed weights from {packed}" in second.log()
    for server in (first, second):
        server.terminate()
        assert server.wait() == 0
    assert list(folder.iterdir()) == [packed]
    assert not [path for path in DEMO.iterdir() if "packed" in path.name]


def test_two_servers_that_start_at_once_both_serve(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    with ThreadPoolExecutor() as threads:
        servers = list(threads.map(lambda _: start_server("--packed-weights-dir", folder), range(3)))
    assert len({answer(server) for server in servers}) == 1
    wait_until(lambda: any("wrote" in server.log() or "of packed weights" in server.log() for server in servers), "one of them wrote")
    for server in servers:
        assert "warning" not in server.log()
        server.terminate()
        assert server.wait() == 0
    assert answer(start_server("--packed-weights-dir", folder)) == answer(start_server())
    assert len(list(folder.iterdir())) == 1


def test_killed_at_any_time_the_next_start_serves(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    expected = answer(start_server())
    for _ in range(3):
        server = start_server("--packed-weights-dir", folder)
        server.process.kill()
        server.wait()
        for path in folder.iterdir():
            if path.suffix == ".packed":
                path.unlink()
    assert answer(start_server("--packed-weights-dir", folder)) == expected


def test_other_commands_write_the_file_before_they_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    expected = generate()
    assert generate("--packed-weights-dir", folder) == expected
    (packed,) = folder.iterdir()
    content = packed.read_bytes()
    assert generate("--packed-weights-dir", folder) == expected
    info = json.loads(run_krait("info", DEMO, "--json", "--packed-weights-dir", folder).stdout)
    assert info["packed_weights"]["file"].startswith(str(folder))

    packed.write_bytes(content[: len(content) // 2])
    ran = run_krait("generate", DEMO, "--prompt", PROMPT, "--max-tokens", 24, "--temperature", 0, "--packed-weights-dir", folder)
    assert ran.stdout == expected
    assert str(packed) in ran.stderr and "truncated" in ran.stderr
    assert packed.read_bytes() == content


def test_a_changed_checkpoint_is_never_served_from_the_file(tmp_path: Path) -> None:
    model, folder = tmp_path / "model", tmp_path / "packed"
    shutil.copytree(DEMO, model, ignore=shutil.ignore_patterns("goldens"))
    weights = model / "model.safetensors"
    run = ("generate", model, "--prompt", PROMPT, "--max-tokens", 8, "--temperature", 0)
    assert run_krait(*run, "--packed-weights-dir", folder).returncode == 0
    times = weights.stat()
    content = bytearray(weights.read_bytes())
    content[len(content) // 3] ^= 0x21
    weights.write_bytes(content)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    ran = run_krait(*run, "--packed-weights-dir", folder)
    assert "another state of the checkpoint" in ran.stderr
    assert ran.stdout == run_krait(*run).stdout
    assert len(list(folder.iterdir())) == 1


def test_a_disk_that_fills_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "packed"

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))

    command = [BINARY, "generate", DEMO, "--prompt", PROMPT, "--max-tokens", 24, "--temperature", 0, "--packed-weights-dir", folder]
    ran = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=clean_environment(), stdin=subprocess.DEVNULL,
        preexec_fn=limit_files, restore_signals=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == generate()
    assert "cannot be written: File too large" in ran.stderr
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    ended = run_krait("serve", DEMO, "--packed-weights-dir", file)
    assert ended.returncode != 0
    assert f"--packed-weights-dir: {file} cannot be created" in ended.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_serves_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    expected = generate("--packed-weights-dir", folder)
    folder.chmod(0o555)
    try:
        assert generate("--packed-weights-dir", folder) == expected
        ended = run_krait("generate", DEMO, "--prompt", PROMPT, "--quantization", "int8", "--packed-weights-dir", folder)
        assert ended.returncode != 0
        assert f"--packed-weights-dir: {folder}" in ended.stderr
    finally:
        folder.chmod(0o755)
