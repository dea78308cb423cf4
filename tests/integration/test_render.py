"""`krait render`: JSON lines of conversations in, prompts out, against the reference's renderings."""

import json
from pathlib import Path
from typing import Any

import pytest
from server_process import DEMO, ROOT, run_krait

FOLDER = ROOT / "tests/golden/chat_templates"
GOLDENS = sorted((FOLDER / "golden").iterdir())


def ask(path: Path, *flags: str, lines: list[Any]) -> list[dict[str, Any]]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    run = run_krait("render", path, *flags, stdin=text)
    assert run.returncode == 0, run.stderr
    assert run.stdout.isascii()
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_every_golden(path: Path) -> None:
    golden = json.loads(path.read_text())
    cases = json.loads((FOLDER / "cases.json").read_text())
    lines = [cases["defaults"] | {key: value for key, value in case.items() if key != "name"} for case in cases["cases"]]
    tokens = (f"--bos-token={golden['bos_token']}", f"--eos-token={golden['eos_token']}")
    answers = ask(FOLDER / golden["template"], *tokens, "--now", cases["now"], lines=lines)
    for case, answer in zip(cases["cases"], answers):
        wanted = golden["results"][case["name"]]
        if wanted["ok"]:
            assert answer == {"text": wanted["text"]}, case["name"]
        else:
            assert list(answer) == ["error"], case["name"]
            if wanted["error_kind"] == "raise_exception":
                assert answer["error"].startswith(wanted["error"])


def test_a_line_that_fails_is_answered_and_the_next_ones_too() -> None:
    good = {"messages": [{"role": "user", "content": "A fox."}]}
    lines = [good, "", "{", {}, {"messages": 1}, good | {"x": 1}, good | {"template": "rag"}, good]
    answers = ask(DEMO, lines=lines)
    assert [list(answer) for answer in answers[1:-1]] == [["error"]] * 6
    assert answers[0] == answers[-1] and answers[0]["text"]


def test_named_templates_and_what_is_given_on_the_command_line(tmp_path: Path) -> None:
    config = {"bos_token": "<s>", "chat_template": [{"name": "default", "template": "d{{ bos_token }}"}, {"name": "rag", "template": "r"}]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    line: dict[str, Any] = {"messages": []}
    assert ask(tmp_path, lines=[line, line | {"template": "rag"}]) == [{"text": "d<s>"}, {"text": "r"}]
    assert ask(tmp_path, "--chat-template", "rag", lines=[line]) == [{"text": "r"}]
    assert ask(tmp_path, "--bos-token=<b>", lines=[line, line | {"kwargs": {"bos_token": "k"}}]) == [{"text": "d<b>"}, {"text": "dk"}]
    assert run_krait("render", tmp_path, "--chat-template", "nothing").returncode == 1
    assert run_krait("render", tmp_path, "--now", "soon").returncode == 1


def test_a_template_that_cannot_be_parsed_answers_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.jinja"
    path.write_text("a\n{% if x %}")
    answer = ask(path, lines=[{"messages": []}])[0]
    assert "broken.jinja" in answer["error"] and "line 2" in answer["error"]
