"""Tokenizers: this project against the Hugging Face package `tokenizers`, on the same text, in one run.

    python bench/tokenizer_bench.py --bench build/release/bench/tokenizer_bench --text TEXT FOLDER...

Each FOLDER holds a tokenizer.json. Both sides use one thread and state the best of five rounds of processor time. Both
return token ids; the package also builds offsets and spellings, which its interface cannot leave out. Prints JSON lines
to standard error as it goes, and a Markdown table at the end. Without the package, only this project's columns.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

os.environ["TOKENIZERS_PARALLELISM"] = "false"
try:
    import tokenizers
except ImportError:
    tokenizers = None

ROUNDS = 5


def best_of(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(rounds):
        begin = time.thread_time()
        result = work()
        best = min(best, time.thread_time() - begin)
    return best, result


def checksum(ids: list[list[int]]) -> int:
    total = 0
    for piece in ids:
        for token in piece:
            total = (total * 31 + token) % 2**58
    return total


def measure(tokenizer: Any, pieces: list[str]) -> dict[str, Any]:
    encode_seconds, encodings = best_of(ROUNDS, lambda: [tokenizer.encode(piece, add_special_tokens=False) for piece in pieces])
    ids = [encoding.ids for encoding in encodings]
    decode_seconds, texts = best_of(ROUNDS, lambda: [tokenizer.decode(piece, skip_special_tokens=True) for piece in ids])
    return {
        "bytes": sum(len(piece.encode()) for piece in pieces),
        "tokens": sum(map(len, ids)),
        "checksum": checksum(ids),
        "decoded_bytes": sum(len(text.encode()) for text in texts),
        "encode_seconds": encode_seconds,
        "decode_seconds": decode_seconds,
    }


def reference(file: Path, text: str, characters: int) -> dict[str, Any] | None:
    if tokenizers is None:
        return None
    load_seconds, tokenizer = best_of(1, lambda: tokenizers.Tokenizer.from_file(str(file)))
    pieces = [text[at : at + characters] for at in range(0, len(text), characters)]
    return {"load_seconds": load_seconds, "pieces": measure(tokenizer, pieces), "whole": measure(tokenizer, [text])}


def rates(result: dict[str, Any], part: str) -> tuple[float, float]:
    """Encoding in MB/s and decoding in millions of tokens a second."""
    found = result[part]
    return found["bytes"] / found["encode_seconds"] / 1e6, found["tokens"] / found["decode_seconds"] / 1e6


def cell(ours: float, theirs: float | None) -> str:
    return f"{ours:.1f}" if theirs is None else f"{ours:.1f} / {theirs:.1f} = {ours / theirs:.1f}×"


def row(name: str, ours: dict[str, Any], theirs: dict[str, Any] | None) -> str:
    cells = [name, f"{1000 * ours['load_seconds']:.0f}" + (f" / {1000 * theirs['load_seconds']:.0f}" if theirs else "")]
    for kind in (0, 1):
        for part in ("pieces", "whole"):
            cells.append(cell(rates(ours, part)[kind], rates(theirs, part)[kind] if theirs else None))
    same = theirs is None or all(ours[part][key] == theirs[part][key] for part in ("pieces", "whole") for key in ("checksum", "decoded_bytes"))
    return "| " + " | ".join(cells) + (" |" if same else " | **results differ** |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--bench", type=Path, default=Path("build/release/bench/tokenizer_bench"))
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--characters", type=int, default=2000, help="length of a piece [2000]")
    options = parser.parse_args()
    text = options.text.read_bytes().decode()
    rows = []
    for folder in options.folders:
        file = folder / "tokenizer.json" if folder.is_dir() else folder
        theirs = reference(file, text, options.characters)
        run = subprocess.run([options.bench, file, options.text, str(options.characters)], capture_output=True, text=True, check=False)
        name = file.parent.name
        if run.returncode != 0:
            rows.append(f"| {name} | {run.stderr.strip()} |")
            continue
        ours = json.loads(run.stdout)
        print(json.dumps({"tokenizer": name, "krait": ours, "reference": theirs}), file=sys.stderr, flush=True)
        rows.append(row(name, ours, theirs))
    version = f" / tokenizers {tokenizers.__version__}" if tokenizers else ""
    print(f"Each cell: krait{version}\n")
    print(f"| tokenizer | load, ms | encode, MB/s, {options.characters} characters | one string | decode, M tokens/s, {options.characters} characters | one string |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
