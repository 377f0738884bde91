"""`data convert`: rows of another form, from a file or a pipe, into a file that can be tuned on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import rows, write_rows


def openai(count: int = 100) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": turn["role"].replace("model", "assistant"), "content": turn["parts"][0]["text"]}
                for turn in row["contents"]
            ]
        }
        for row in rows(count)
    ]


def test_a_file_is_converted_checked_and_followed_by_what_comes_next(cli, tmp_path):
    write_rows(tmp_path / "train.jsonl", [*openai(), {**openai(1)[0], "id": 7}])
    done = cli("data", "convert", "train.jsonl")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "train.jsonl: 101 rows (101 OpenAI chat), for supervised tuning"
    assert lines[1] == "  id: left out: a row for supervised tuning has no such member (1 row, line 101)"
    assert "train-vertex.jsonl: 101 rows" in done.out
    assert "ready to tune" in done.out
    assert lines[-1] == "Next: vertex-tuning tune supervised train-vertex.jsonl --base-model gemini-3.5-flash"
    assert cli("data", "check", "train-vertex.jsonl").status == 0
    again = cli("data", "convert", "train.jsonl")
    assert (again.status, again.rule) == (1, "VT260")


def test_machines_are_told_the_same(cli, tmp_path):
    write_rows(tmp_path / "train.jsonl", [*openai(), {"foo": 1}])
    done = cli("data", "convert", "train.jsonl", "--drop", "--json")
    assert done.status == 0
    assert done.json["forms"] == {"OpenAI chat": 100}
    assert (done.json["rows"], done.json["written"], done.json["left_out"]) == (101, 100, [101])
    assert [(fault["rule"], fault["lines"]) for fault in done.json["faults"]] == [("VT255", [101])]
    assert done.json["check"]["ok"] is done.json["ok"] is True
    assert done.json["output"] == "train-vertex.jsonl"


@pytest.mark.parametrize("method", ["preference", "reinforcement", "distillation"])
def test_a_method_is_asked_for(cli, tmp_path, method):
    asked = [{"prompt": f"{number} + 1?", "chosen": "a", "rejected": "b"} for number in range(200)]
    write_rows(tmp_path / "pairs.jsonl", asked)
    done = cli("data", "convert", "pairs.jsonl", "--method", method, "--output", "out/set.jsonl")
    assert done.status == 0, done.err
    assert method in done.out.splitlines()[-1] or "reward test" in done.out.splitlines()[-1]
    assert cli("data", "check", "out/set.jsonl", "--method", method).status == 0


def test_faults_are_told_with_lines_and_cures_and_nothing_is_written(cli, tmp_path):
    write_rows(tmp_path / "train.jsonl", [openai(1)[0], {"messages": openai(1)[0]["messages"][:1]}])
    done = cli("data", "convert", "train.jsonl")
    assert (done.status, done.rule, done.out) == (1, "VT258", "")
    assert "train.jsonl line 2" in done.err
    assert "--method reinforcement or distillation" in done.err
    assert not (tmp_path / "train-vertex.jsonl").exists()


def test_a_dash_is_standard_input_and_needs_a_name(command, tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in openai())
    done = command("data", "convert", "-", "--output", "out.jsonl", input=lines)
    assert done.status == 0, done.err
    assert Path(tmp_path / "out.jsonl").read_text(encoding="utf-8").count("\n") == 100
    assert command("data", "convert", "-", "--output", "list.jsonl", input=json.dumps(openai())).status == 0
    refused = command("data", "convert", "-", input=lines)
    assert refused.status == 2
    assert "--output" in refused.err


def test_the_check_of_a_set_in_another_form_names_the_command(cli, tmp_path):
    write_rows(tmp_path / "train.jsonl", openai())
    done = cli("data", "check", "train.jsonl")
    assert done.status == 1
    assert "vertex-tuning data convert FILE --method supervised" in done.out
