"""One run of each program on the same work. Every function gives tokens a second by test: ("pp512", 1), ("tg64", 16)."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cpp import LlamaCpp

# The prompts of llama-batched-bench, before its sequences generate.
BATCH_DEPTH = 128


@dataclass(frozen=True)
class Work:
    prompts: tuple[int, ...]
    generate: int
    batches: tuple[int, ...]  # beside 1
    threads: int


@dataclass(frozen=True)
class Row:
    """A test of one run."""

    test: str
    batch: int
    tokens_per_second: float
    gigabytes_per_second: float | None = None


@dataclass(frozen=True)
class Run:
    rows: tuple[Row, ...]
    bits_per_weight: float
    name: str
    projection_parameters: int = 0


def output(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def comma(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers)) or "0"


def run_llama(llama: LlamaCpp, gguf: Path, work: Work) -> Run:
    lines = json_lines(output(llama.tool("llama-bench"), "-m", gguf, "-t", work.threads, "-p", comma(work.prompts), "-n",
                              work.generate, "-r", 1, "-o", "jsonl"))
    rows = []
    for line in lines:
        name = f"pp{line['n_prompt']}" if line["n_prompt"] else f"tg{line['n_gen']}"
        rows.append(Row(name, 1, line["samples_ts"][0]))
    bits = 8 * lines[0]["model_size"] / lines[0]["model_n_params"]
    if work.batches:
        context = max(work.batches) * (BATCH_DEPTH + work.generate)
        batched = output(llama.tool("llama-batched-bench"), "-m", gguf, "-c", context, "-npp", BATCH_DEPTH, "-ntg",
                         work.generate, "-npl", comma(work.batches), "-t", work.threads, "-tb", work.threads,
                         "--output-format", "jsonl")
        for line in json_lines(batched):
            rows.append(Row(f"tg{line['tg']} @ d{BATCH_DEPTH}", line["pl"], line["speed_tg"]))
    return Run(tuple(rows), bits, gguf.stem)


def run_krait(krait: Path, checkpoint: Path, flags: tuple[str, ...], work: Work) -> Run:
    base = (krait, "bench", "engine", checkpoint, "-t", work.threads, "-r", 1, "--json", *flags)
    lines = json_lines(output(*base, "-p", comma(work.prompts), "-n", work.generate))
    if work.batches:
        lines += json_lines(output(*base, "-p", 0, "-n", work.generate, "-d", BATCH_DEPTH, "-b", comma(work.batches)))
    rows = tuple(Row(line["test"], line["batch"], line["median"], line.get("gigabytes_per_second")) for line in lines)
    first = lines[0]
    bits = 8 * first["streamed_weight_bytes"] / first["streamed_parameters"]
    name = f"{first['quantization']} ({first['compute_dtype']} rows)"
    return Run(rows, bits, name, first["projection_parameters"])


def measure_peaks(program: Path, threads: int, isa: str) -> dict[str, Any]:
    return json.loads(output(program, "--threads", threads, "--isa", isa))
