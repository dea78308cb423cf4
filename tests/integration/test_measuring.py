"""`krait perplexity` against the demo model's golden figures, and `krait bench engine`."""

import json
from pathlib import Path
from typing import Any

import pytest
from server_process import DEMO, ROOT, golden, run_krait

EVAL = DEMO / "goldens/eval.txt"
GOLDEN = golden()["eval"]


def perplexity(*flags: object) -> dict[str, Any]:
    run = run_krait("perplexity", DEMO, "--json", *flags)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def fable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "fable.txt"
    path.write_text(EVAL.read_text()[:4000])
    return path


def test_the_golden_perplexity() -> None:
    found = perplexity("--file", EVAL, "--compute-dtype", "float32", "--context", GOLDEN["window"])
    assert found["scored_tokens"] == GOLDEN["scored_tokens"]
    assert found["files"][0]["tokens"] == GOLDEN["tokens"]
    assert found["mean_nll"] == pytest.approx(GOLDEN["mean_nll"], abs=1e-4)
    assert found["perplexity"] == pytest.approx(GOLDEN["perplexity"], rel=1e-4)


def test_the_reference_is_float32_and_agrees_with_itself(fable: Path) -> None:
    alone = perplexity("--file", fable, "--compute-dtype", "float32")
    same = perplexity("--file", fable, "--compute-dtype", "float32", "--reference")
    # Rows in double precision against the sampler's float32.
    assert same["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-5)
    assert same["mean_kl_divergence"] == same["perplexity_change_percent"] == 0
    assert same["top1_agreement"] == 1
    rounded = perplexity("--file", fable, "--compute-dtype", "bfloat16", "--reference")
    assert rounded["reference"]["compute_dtype"] == "float32"
    assert rounded["reference_perplexity"] == pytest.approx(same["perplexity"], rel=1e-9)
    assert 0 < rounded["mean_kl_divergence"] < 1e-3
    assert rounded["max_kl_divergence"] >= rounded["p99_kl_divergence"] >= rounded["mean_kl_divergence"]
    assert abs(rounded["perplexity_change_percent"]) < 0.2
    assert rounded["top1_agreement"] > 0.97
    # The caches' types are the model's too, and not the reference's.
    caches = perplexity("--file", fable, "--compute-dtype", "float32", "--reference", "--kv-cache-dtype", "int8",
                        "--mamba-ssm-cache-dtype", "bfloat16")
    assert caches["reference_perplexity"] == rounded["reference_perplexity"]
    assert 0 < caches["mean_kl_divergence"] < 1e-2
    stochastic = perplexity("--file", fable, "--compute-dtype", "float32", "--reference", "--mamba-ssm-cache-dtype",
                            "float16", "--enable-mamba-cache-stochastic-rounding", "--mamba-cache-philox-rounds", 7)
    assert stochastic["reference_perplexity"] == rounded["reference_perplexity"]
    assert 0 < stochastic["mean_kl_divergence"] < 1e-5


@pytest.mark.parametrize(("compute", "weights", "percent"), [("bfloat16", "none", 0.2), ("float32", "int8", 0.5)])
def test_drift_stays_within_its_bar(compute: str, weights: str, percent: float) -> None:
    found = perplexity("--file", EVAL, "--compute-dtype", compute, "--quantization", weights, "--reference")
    assert (found["quantization"], found["reference"]["quantization"]) == (weights, "none")
    assert found["reference_perplexity"] == pytest.approx(GOLDEN["perplexity"], rel=1e-4)
    assert abs(found["perplexity_change_percent"]) <= percent


def test_a_stride_scores_every_token_but_the_first(fable: Path) -> None:
    found = perplexity("--file", fable, "--context", 128, "--stride", 64)
    assert found["scored_tokens"] == found["files"][0]["tokens"] - 1
    assert found["perplexity"] < perplexity("--file", fable, "--context", 128)["perplexity"]


def test_several_texts_are_scored_apart_and_together(fable: Path) -> None:
    found = perplexity("--file", fable, fable)
    one, two = found["files"]
    assert one["mean_nll"] == two["mean_nll"] == pytest.approx(found["mean_nll"])
    assert found["scored_tokens"] == 2 * one["scored_tokens"]
    run = run_krait("perplexity", DEMO, "--file", fable, "--file", fable)
    assert run.stdout.count("perplexity") == 3 and "all: " in run.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--file", "missing.txt"), ("missing.txt", "cannot be read")),
        (("--file", EVAL, "--context", 1), ("--context is 1", "2 to 4096")),
        (("--file", EVAL, "--context", 64, "--stride", 65), ("--stride is 65", "1 to 64")),
        (("--file", EVAL, "--skip-tokenizer-init"), ("--skip-tokenizer-init",)),
        (("--file", EVAL, "--reference-compute-dtype", "int3"), ("--reference-compute-dtype", "int3")),
        (("--file", EVAL, "--reference-model", "no/such"), ("no/such",)),
        ((), ("--file",)),
    ],
)
def test_what_cannot_be_scored_is_said(flags: tuple[object, ...], words: tuple[str, ...]) -> None:
    run = run_krait("perplexity", DEMO, *flags)
    assert run.returncode != 0 and not run.stdout
    for word in words:
        assert word in run.stderr


def test_a_text_needs_two_tokens(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    run = run_krait("perplexity", DEMO, "--file", tmp_path / "empty.txt")
    assert run.returncode == 1 and "empty.txt has 0 tokens" in run.stderr


def test_bench_engine_prints_a_line_a_test() -> None:
    run = run_krait("bench", "engine", DEMO, "-p", "16,32", "-n", 4, "-b", "1,3", "-r", 2, "-t", 1, "--json")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(line["test"], line["batch"]) for line in lines] == [
        ("pp16", 1), ("pp16", 3), ("pp32", 1), ("pp32", 3), ("tg4", 1), ("tg4", 3),
    ]
    for line in lines:
        assert line["threads"] == 1
        assert len(line["tokens_per_second"]) == 2
        assert 0 < line["minimum"] <= line["median"] <= line["maximum"]
    assert lines[5]["step_bytes"] > lines[4]["step_bytes"] > lines[4]["streamed_weight_bytes"]
    assert lines[4]["streamed_weight_bytes"] < lines[4]["weight_bytes"]
    table = run_krait("bench", "engine", DEMO, "-p", 0, "-n", 4, "-r", 1)
    assert table.returncode == 0 and "| tg4 | 1 |" in table.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-p", "5x"), ("--prompt is '5x'",)),
        (("-p", 0, "-n", 0), ("nothing to measure",)),
        (("-b", 2, "--max-num-seqs", 1), ("--max-num-seqs",)),
        (("-p", 5000), ("5001 tokens", "4096")),
        (("-r", 0), ("--repetitions is 0",)),
        (("-t", 100000), ("-t",)),
    ],
)
def test_what_cannot_be_measured_is_said(flags: tuple[object, ...], words: tuple[str, ...]) -> None:
    run = run_krait("bench", "engine", DEMO, *flags)
    assert run.returncode == 1 and not run.stdout
    for word in words:
        assert word in run.stderr


@pytest.mark.parametrize(
    ("shape", "millions"),
    [
        ("granite-4.0-h-350m", 340), ("granite-4.0-h-1b", 1462), ("mamba2-370m", 368), ("falcon-h1-0.5b", 521),
        ("lfm2-350m", 354), ("qwen3.5-0.8b", 752),
    ],
)
def test_the_shapes_of_the_benchmarks_have_their_models_sizes(shape: str, millions: int) -> None:
    run = run_krait("info", ROOT / "bench/shapes/configs" / shape, "--json")
    assert run.returncode == 0, run.stderr
    assert round(json.loads(run.stdout)["parameters"] / 1e6) == millions
