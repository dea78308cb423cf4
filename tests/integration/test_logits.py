"""`krait logits`: the interface for people who compare implementations, against the demo model's goldens."""

import json
import math
import re
from typing import Any

import pytest
from server_process import DEMO, golden, run_krait

GOLDEN = golden()


def ask(*requests: dict[str, Any] | str, flags: tuple[str, ...] = ()) -> Any:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in requests]
    return run_krait("logits", DEMO, *flags, stdin="\n".join(lines) + "\n")


def answers(*requests: dict[str, Any], flags: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    run = ask(*requests, flags=flags)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def logprob(row: list[float], token: int) -> float:
    top = max(row)
    return row[token] - top - math.log(sum(math.exp(value - top) for value in row))


def test_all_fifteen_goldens_in_float32_up_to_the_first_near_tie() -> None:
    cases = GOLDEN["cases"]
    requests = [{"ids": case["prompt_ids"], "generate": len(case["ids"]), "positions": "last"} for case in cases]
    results = answers(*requests, flags=("--compute-dtype", "float32"))
    assert len(results) == 15
    for case, result in zip(cases, results):
        sure = next((i for i, margin in enumerate(case["margin"]) if margin < 0.001), len(case["ids"]))
        assert result["tokens"][:sure] == case["ids"][:sure], case["prompt"]
        assert len(result["tokens"]) == len(result["logprobs"]) == len(case["ids"])
        assert result["logprobs"][:sure] == pytest.approx(case["logprob"][:sure], abs=2e-3), case["prompt"]


def test_logprobs_of_a_passage() -> None:
    passage = GOLDEN["passage"]
    rows = answers({"ids": passage["ids"], "generate": 0})[0]["logits"]
    assert len(rows) == len(passage["ids"]) and len(rows[0]) == 3072
    found = [logprob(row, token) for row, token in zip(rows, passage["ids"][1:])]
    assert found == pytest.approx(passage["logprobs"], abs=5e-3)
    assert -sum(found) / len(found) == pytest.approx(passage["mean_nll"], abs=2e-4)


def test_last_position_is_the_last_of_all() -> None:
    ids = GOLDEN["cases"][5]["prompt_ids"]
    every, last = answers({"ids": ids, "generate": 2}, {"ids": ids, "generate": 2, "positions": "last"})
    assert len(every["logits"]) == len(ids) and len(last["logits"]) == 1
    assert every["logits"][-1] == last["logits"][0]
    assert every["tokens"] == last["tokens"]
    assert every["tokens"][0] == max(range(3072), key=last["logits"][0].__getitem__)
    assert every["logprobs"][0] == pytest.approx(logprob(last["logits"][0], every["tokens"][0]), abs=1e-5)


def test_numbers_have_nine_digits() -> None:
    run = ask({"ids": [311, 538], "generate": 1, "positions": "last"})
    numbers = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", run.stdout.split('"tokens"')[0])
    digits = [len(re.sub(r"e.*|[-.]", "", number).lstrip("0")) for number in numbers]
    assert max(digits) == 9
    assert sum(d >= 8 for d in digits) > len(digits) * 0.9


def test_end_of_sequence_does_not_end_the_tokens() -> None:
    case = GOLDEN["cases"][11]
    result = answers({"ids": case["prompt_ids"], "generate": 20, "positions": "last"})[0]
    assert result["tokens"][: len(case["ids"])] == case["ids"]
    assert len(result["tokens"]) == 20


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "{}", '{"ids":[]}', '{"ids":[3072]}', '{"ids":[-1]}', '{"ids":["a"]}', '{"ids":[1],"generate":-1}',
     '{"ids":[1],"positions":"first"}'],
)
def test_a_bad_line_is_an_error_and_its_neighbours_are_answered(line: str) -> None:
    good = {"ids": [311, 538], "generate": 1, "positions": "last"}
    run = ask(good, line, good)
    assert run.returncode == 0
    lines = [json.loads(each) for each in run.stdout.splitlines()]
    assert len(lines) == 3
    assert lines[0] == lines[2] and "logits" in lines[0]
    assert "error" in lines[1]


def test_no_tokenizer_is_needed(tmp_path: object) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(DEMO / name)
    run = run_krait("logits", tmp_path, stdin='{"ids":[311,538],"generate":1,"positions":"last"}\n')
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["tokens"]
