"""`krait tokenize`: JSON lines in and out, against the goldens of the tokenizers that the project keeps."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from server_process import BINARY, DEMO, ROOT, clean_environment, run_krait

FOLDERS = sorted(path for path in (ROOT / "tests/golden/tokenizers").iterdir() if path.is_dir())


def unpack(folder: Path, target: Path) -> Path:
    """A copy of the folder with its compressed files unpacked."""
    for path in folder.iterdir():
        content = path.read_bytes()
        packed = path.suffix == ".gz"
        (target / (path.stem if packed else path.name)).write_bytes(gzip.decompress(content) if packed else content)
    return target


def ask(path: Path, *flags: str, lines: list[Any]) -> list[dict[str, Any]]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    run = run_krait("tokenize", path, *flags, stdin=text)
    assert run.returncode == 0, run.stderr
    assert run.stdout.isascii()
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_golden_in_both_directions(folder: Path, tmp_path: Path) -> None:
    folder = unpack(folder, tmp_path)
    golden = json.loads((folder / "golden.json").read_text())
    cases = golden["cases"]
    for special, key in ((False, "ids"), (True, "ids_with_special")):
        answers = ask(folder, lines=[{"text": case["text"], "add_special_tokens": special} for case in cases])
        assert [answer["ids"] for answer in answers] == [case[key] for case in cases]
        assert all(len(answer["tokens"]) == len(answer["ids"]) for answer in answers)
    for skip, key in ((False, "decode"), (True, "decode_skip_special")):
        lines = [{"ids": case["ids_with_special"], "skip_special_tokens": skip} for case in cases]
        assert [answer["text"] for answer in ask(folder / "tokenizer.json", "--decode", lines=lines)] == [case[key] for case in cases]
    answers = ask(folder, "--stream-decode", lines=[{"ids": case["ids_with_special"], "skip_special_tokens": True} for case in cases])
    for case, answer in zip(cases, answers):
        assert len(answer["pieces"]) == len(case["ids_with_special"]) + 1
        assert "".join(answer["pieces"]) == case["decode_skip_special"]


def test_a_line_that_fails_is_answered_and_the_next_ones_too() -> None:
    good = {"text": "A fox."}
    answers = ask(DEMO, lines=[good, "", "{", "[]", {"text": 1}, {"text": "a", "x": 1}, '{"text": "\\ud800"}', good])
    assert [list(answer) for answer in answers[1:-1]] == [["error"]] * 6
    assert answers[0] == answers[-1] and answers[0]["ids"]


def test_bytes_that_are_not_utf8_are_a_failed_line() -> None:
    run = subprocess.run([str(BINARY), "tokenize", str(DEMO)], input=b'{"text": "\xff"}\n{"text": "a"}\n', env=clean_environment(),
                         capture_output=True, check=True)
    first, second = map(json.loads, run.stdout.splitlines())
    assert "UTF-8" in first["error"] and "ids" in second


def test_each_answer_comes_before_the_next_line_is_asked_for() -> None:
    with subprocess.Popen([str(BINARY), "tokenize", str(DEMO)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(),
                          text=True) as process:
        assert process.stdin and process.stdout
        for text in ("a", "b"):
            process.stdin.write(json.dumps({"text": text}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["ids"]
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("tokenize",), ["PATH"]),
        (("tokenize", "no-such-folder"), ["no-such-folder"]),
        (("tokenize", ROOT / "docs"), ["tokenizer.json", "cannot be opened"]),
        (("tokenize", ROOT / "README.md"), ["README.md", "not valid JSON"]),
        (("tokenize", DEMO, "--decode", "--stream-decode"), ["--decode", "--stream-decode"]),
    ],
)
def test_a_wrong_start_fails_with_a_sentence(arguments: tuple[object, ...], words: list[str]) -> None:
    run = run_krait(*arguments)
    assert run.returncode not in (0, -6, -11) and run.stdout == ""
    for word in words:
        assert word in run.stderr, run.stderr
