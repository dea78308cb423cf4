"""Runs krait and llama.cpp on the same random-weight checkpoints, threads and bits, in turn, and prints the ratios of their
speeds: `python3 bench/compare_llamacpp [SHAPE...]`. By hand only, on a machine that does nothing else (docs/performance.md)."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from llama_cpp import LlamaCpp, say
from programs import Run, Work, measure_peaks, run_krait, run_llama
from serving import CLIENTS, serve_krait, serve_llama

ROOT = Path(__file__).resolve().parent.parent.parent
SHAPES = sorted(folder.name for folder in (ROOT / "bench/shapes/configs").iterdir())
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "krait" / "compare_llamacpp"

# Bits: llama.cpp's types, and our flags.
FORMATS = {
    16: (("BF16",), ()),
    8: (("Q8_0",), ("--quantization", "int8", "--compute-dtype", "int8")),
    4: (("Q4_0", "Q4_K_M"), ("--quantization", "int4", "--compute-dtype", "int8")),
}


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part and int(part) > 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare_llamacpp", description=__doc__)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"{', '.join(SHAPES)} [granite-4.0-h-350m]")
    parser.add_argument("--bits", type=numbers, default=(16, 8, 4), help="of a weight [16,8,4]")
    parser.add_argument("-p", "--prompt", type=numbers, default=(512,), help="tokens of prompts [512]")
    parser.add_argument("-n", "--generate", type=int, default=64, help="tokens to generate [64]")
    parser.add_argument("-b", "--batch", type=numbers, default=(), help="sequences that generate together, beside 1 []")
    parser.add_argument("-t", "--threads", type=int, default=2, help="of both programs [2]")
    parser.add_argument("-r", "--repetitions", type=int, default=5, help="rounds, each a run of both [5]")
    parser.add_argument("--isa", choices=("native", "avx2"), default="native", help="of both programs [native]")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="of krait [build/release]")
    parser.add_argument("--cache", type=Path, default=CACHE, help="what is fetched, built and made [%(default)s]")
    parser.add_argument("--converter-python", help="a Python that has torch, transformers and sentencepiece")
    parser.add_argument("--serve", action="store_true",
                        help=f"instead: servers under {CLIENTS} streaming clients, with the first type of each --bits")
    parser.add_argument("--json", action="store_true", help="a line of JSON a row instead of a table")
    arguments = parser.parse_args()
    arguments.shapes = arguments.shapes or ["granite-4.0-h-350m"]
    for shape in arguments.shapes:
        if shape not in SHAPES:
            parser.error(f"there is no shape '{shape}'. Valid: {', '.join(SHAPES)}")
    for bits in arguments.bits:
        if bits not in FORMATS:
            parser.error(f"--bits has {bits}. Valid: {', '.join(map(str, FORMATS))}")
    if arguments.repetitions < 1 or arguments.threads < 1 or arguments.generate < 1:
        parser.error("--repetitions, --threads and --generate must be at least 1")
    return arguments


def make_checkpoint(arguments: argparse.Namespace, shape: str) -> Path:
    folder = arguments.cache / "shapes" / shape
    if not (folder / "complete").exists():
        say(f"writing random weights of {shape}")
        subprocess.run([arguments.build / "bench/random_checkpoint", shape, folder], check=True)
        (folder / "complete").touch()
    return folder


def find_rate(run: Run, test: str, batch: int) -> Any:
    for row in run.rows:
        if (row.test, row.batch) == (test, batch):
            return row
    raise RuntimeError(f"{run.name} has no row {test} of {batch} sequences: {run.rows}")


def compare(arguments: argparse.Namespace, llama: LlamaCpp, shape: str, bits: int) -> list[dict[str, Any]]:
    """Rows of one shape and one number of bits: in every round first llama.cpp's types, then ours."""
    checkpoint = make_checkpoint(arguments, shape)
    kinds, flags = FORMATS[bits]
    if arguments.isa != "native":
        flags += ("--cpu-isa", arguments.isa)
    files = {kind: llama.gguf(checkpoint, kind) for kind in kinds}
    work = Work(arguments.prompt, arguments.generate, arguments.batch, arguments.threads)
    theirs: dict[str, list[Run]] = {kind: [] for kind in kinds}
    ours: list[Run] = []
    peaks: list[dict[str, Any]] = []
    for number in range(arguments.repetitions):
        say(f"{shape}, {bits} bits, round {number + 1} of {arguments.repetitions}")
        for kind in kinds:
            theirs[kind].append(run_llama(llama, files[kind], work))
        ours.append(run_krait(arguments.build / "krait", checkpoint, flags, work))
        isa = "auto" if arguments.isa == "native" else arguments.isa
        peaks.append(measure_peaks(arguments.build / "bench/machine_peaks", arguments.threads, isa))
    rows = []
    for first in ours[0].rows:
        mine = [find_rate(run, first.test, first.batch) for run in ours]
        for kind in kinds:
            other = [find_rate(run, first.test, first.batch).tokens_per_second for run in theirs[kind]]
            ratios = [a.tokens_per_second / b for a, b in zip(mine, other)]
            rows.append({
                "shape": shape, "test": first.test, "batch": first.batch, "bits": bits, "threads": arguments.threads,
                "isa": arguments.isa,
                "llama_type": kind, "llama_bits_per_weight": theirs[kind][0].bits_per_weight,
                "krait_type": ours[0].name, "krait_bits_per_weight": ours[0].bits_per_weight,
                "krait_projection_parameters": ours[0].projection_parameters, "llama": other, "krait": [each.tokens_per_second for each in mine],
                "ratio_minimum": min(ratios), "ratio_median": statistics.median(ratios), "ratio_maximum": max(ratios),
                "krait_gbs": [each.gigabytes_per_second for each in mine], "peaks": peaks,
            })
    return rows


def compare_servers(arguments: argparse.Namespace, llama: LlamaCpp, shape: str, bits: int) -> dict[str, Any]:
    """Servers under the same clients, in turn; ratios above 1 are ours being the better."""
    checkpoint = make_checkpoint(arguments, shape)
    kinds, flags = FORMATS[bits]
    gguf = llama.gguf(checkpoint, kinds[0])
    vocab_size = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    theirs, ours = [], []
    for number in range(arguments.repetitions):
        say(f"{shape}, {bits} bits, servers, round {number + 1} of {arguments.repetitions}")
        theirs.append(serve_llama(llama, gguf, arguments.threads, vocab_size, number))
        ours.append(serve_krait(arguments.build / "krait", checkpoint, flags, arguments.threads, vocab_size, number))
    row: dict[str, Any] = {"shape": shape, "test": f"serve{CLIENTS}", "bits": bits, "threads": arguments.threads,
                           "llama_type": kinds[0], "llama": theirs, "krait": ours}
    for key in theirs[0]:
        ratios = [(b[key] / a[key] if key == "tokens_per_second" else a[key] / b[key]) for a, b in zip(theirs, ours)]
        row[f"{key}_ratio"] = statistics.median(ratios)
        row[f"{key}_ratios"] = [min(ratios), max(ratios)]
    return row


def print_server_row(row: dict[str, Any]) -> None:
    def cell(key: str, factor: float) -> str:
        values = [statistics.median(run[key] * factor for run in row[who]) for who in ("llama", "krait")]
        low, high = row[f"{key}_ratios"]
        return f"{values[0]:.1f} / {values[1]:.1f} = {row[f'{key}_ratio']:.2f} ({low:.2f}-{high:.2f})"

    print(f"| {row['shape']} | {row['llama_type']} | {cell('tokens_per_second', 1)} | {cell('ttft_p50', 1000)} "
          f"| {cell('itl_p50', 1000)} | {cell('itl_p99', 1000)} |", flush=True)


def print_row(row: dict[str, Any]) -> None:
    verdict = "" if row["ratio_median"] >= 1 else " (slower)"
    print(f"| {row['shape']} | {row['test']} | {row['batch']} "
          f"| {row['llama_type']}, {row['llama_bits_per_weight']:.2f} | {row['krait_type']}, {row['krait_bits_per_weight']:.2f} "
          f"| {statistics.median(row['llama']):.1f} | {statistics.median(row['krait']):.1f} "
          f"| {row['ratio_median']:.2f}{verdict} | {row['ratio_minimum']:.2f}-{row['ratio_maximum']:.2f} |", flush=True)


def serve_all(arguments: argparse.Namespace, llama: LlamaCpp) -> int:
    if not arguments.json:
        print("| shape | llama.cpp's type | tokens/s, llama.cpp / krait | TTFT, median ms | between tokens, median ms | 99th percentile ms "
              "|\n|---|---|---|---|---|---|")
    for shape in arguments.shapes:
        for bits in arguments.bits:
            row = compare_servers(arguments, llama, shape, bits)
            print(json.dumps(row), flush=True) if arguments.json else print_server_row(row)
    return 0


def main() -> int:
    arguments = parse_arguments()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    llama = LlamaCpp(arguments.cache, arguments.isa, arguments.converter_python)
    if arguments.serve:
        return serve_all(arguments, llama)
    if not arguments.json:
        print("| shape | test | sequences | llama.cpp's type, bits a weight | ours | llama.cpp, tokens/s | krait | ratio, median "
              "| lowest-highest |\n|---|---|--:|---|---|--:|--:|--:|---|")
    for shape in arguments.shapes:
        for bits in arguments.bits:
            for row in compare(arguments, llama, shape, bits):
                print(json.dumps(row), flush=True) if arguments.json else print_row(row)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"compare_llamacpp: {error}")
