"""The programs of bench/ that compare: with a llama.cpp of which only the output is real."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from server_process import BINARY, DEMO, ROOT, HANG_GUARD, clean_environment

BUILD = BINARY.parent
COMPARE = ROOT / "bench/compare_llamacpp"
SHAPE = "granite-4.0-h-350m"

FAKE_BENCH = """#!/bin/sh
echo '{"n_prompt": 16, "n_gen": 0, "samples_ts": [100.0], "model_size": 850, "model_n_params": 800}'
echo '{"n_prompt": 0, "n_gen": 4, "samples_ts": [10.0], "model_size": 850, "model_n_params": 800}'
"""
FAKE_BATCHED_BENCH = """#!/bin/sh
echo 'main: n_kv_max = 264'
echo '{"pp": 128, "tg": 4, "pl": 2, "speed_tg": 20.0}'
"""

# A sanitizer build and the docker image have no bench programs: what they measure would mean nothing there.
pytestmark = pytest.mark.skipif(not (BUILD / "bench/machine_peaks").exists(), reason="this build has no bench programs")


def run(*command: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    extra = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
    return subprocess.run(list(map(str, command)), env=clean_environment(**extra), capture_output=True, text=True,
                          timeout=HANG_GUARD, check=False)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Path]:
    """A cache that has a checkpoint (the demo model, under the shape's name) and its file, and the fake programs."""
    checkpoint = tmp_path / "cache/shapes" / SHAPE
    checkpoint.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (checkpoint / name).symlink_to(DEMO / name)
    for name in ("complete", "BF16.gguf"):
        (checkpoint / name).touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("llama-bench", FAKE_BENCH), ("llama-batched-bench", FAKE_BATCHED_BENCH)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return tmp_path / "cache", programs


def test_ratios_are_ours_over_theirs(prepared: tuple[Path, Path]) -> None:
    cache, programs = prepared
    base = (sys.executable, COMPARE, SHAPE, "--build", BUILD, "--cache", cache, "--bits", 16, "-p", 16, "-n", 4, "-r", 2)
    compared = run(*base, "-b", 2, "--json", path=programs)
    assert compared.returncode == 0, compared.stderr
    rows = [json.loads(line) for line in compared.stdout.splitlines()]
    assert [(row["test"], row["batch"]) for row in rows] == [("pp16", 1), ("tg4", 1), ("tg4 @ d128", 2)]
    for row, theirs in zip(rows, (100.0, 10.0, 20.0)):
        assert row["llama"] == [theirs] * 2 and len(row["krait"]) == len(row["peaks"]) == 2
        ratios = sorted(ours / theirs for ours in row["krait"])
        assert [row["ratio_minimum"], row["ratio_maximum"]] == pytest.approx(ratios)
        assert row["ratio_median"] == pytest.approx(sum(ratios) / 2)
        assert row["llama_bits_per_weight"] == 8.5
        assert 16 <= row["krait_bits_per_weight"] < 16.5
    table = run(*base, path=programs)
    assert table.returncode == 0 and table.stdout.count("\n") == 4 and "BF16, 8.50" in table.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [(("no-such-shape",), "no-such-shape"), (("--bits", "5"), "--bits has 5"), (("-r", "0"), "--repetitions")],
)
def test_wrong_arguments_are_named(flags: tuple[str, ...], words: str) -> None:
    compared = run(sys.executable, COMPARE, *flags)
    assert compared.returncode == 2 and words in compared.stderr


def test_a_failing_program_ends_the_comparison_with_its_words(prepared: tuple[Path, Path]) -> None:
    cache, programs = prepared
    (programs / "llama-bench").write_text("#!/bin/sh\necho 'out of luck' >&2\nexit 3\n")
    compared = run(sys.executable, COMPARE, "--build", BUILD, "--cache", cache, "--bits", 16, path=programs)
    assert compared.returncode == 1 and not compared.stdout.count("ratio_median")
    assert "out of luck" in compared.stderr and "Traceback" not in compared.stderr


def test_peaks_have_an_order() -> None:
    peaks = json.loads(run(BUILD / "bench/machine_peaks", "--threads", 1).stdout)
    assert peaks["threads"] == 1
    assert 0 < peaks["float32_gflops"] and 0 < peaks["read_gbs"]
    assert run(BUILD / "bench/machine_peaks", "--isa", "nonsense").returncode == 1


def test_cpu_bars_name_what_is_valid() -> None:
    wrong = run(BUILD / "bench/cpu_bars", "nonsense")
    assert wrong.returncode == 2 and "drift_bfloat16" in wrong.stderr
    drift = run(BUILD / "bench/cpu_bars", "drift_bfloat16")
    assert drift.returncode == 0, drift.stderr
    bar = json.loads(drift.stdout)
    assert bar["name"] == "drift_bfloat16" and bar["pass"] is True and 0 < bar["value"] <= bar["bar"] == 0.2
