"""`data check`: what is wrong with a file, before it costs anything."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import rows, write_rows


def test_a_good_file_is_ready_to_tune(cli, tmp_path):
    write_rows(tmp_path / "good.jsonl", rows(100))
    done = cli("data", "check", "good.jsonl")
    assert (done.status, done.err) == (0, "")
    assert "100 rows" in done.out
    found = cli("data", "check", "good.jsonl", "--json")
    assert found.status == 0
    assert found.json["ok"] is True
    assert found.json["rows"] == 100
    assert found.json["faults"] == []


def test_a_bad_file_has_all_its_faults_listed_with_lines_and_cures(cli, tmp_path):
    wrong = {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}
    lines = [*map(json.dumps, rows(3)), "not json", json.dumps(wrong), json.dumps({"contents": []})]
    (tmp_path / "bad.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = cli("data", "check", "bad.jsonl")
    assert done.status == 1
    for rule, line in (("VT204", 4), ("VT203", 5), ("VT206", 6)):
        assert f"{rule}  bad.jsonl line {line}" in done.out
    assert done.out.count("Fix:") >= 3
    found = cli("data", "check", "bad.jsonl", "--json")
    assert found.status == 1
    assert found.json["ok"] is False
    assert {"VT203", "VT204", "VT206"} <= {fault["rule"] for fault in found.json["faults"]}
    assert {fault["where"].partition(",")[0] for fault in found.json["faults"]} >= {"bad.jsonl line 4"}


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("none.jsonl", None, "VT201"),
        ("folder", "folder", "VT202"),
        ("packed.jsonl", gzip.compress(b"{}"), "VT202"),
        ("wide.jsonl", "{}".encode("utf-16"), "VT213"),
    ],
    ids=["missing", "folder", "compressed", "utf-16"],
)
def test_what_is_no_data_set_at_all_is_an_error(cli, tmp_path, name, content, rule):
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    done = cli("data", "check", name)
    assert (done.status, done.out, done.rule) == (1, "", rule)
    assert name in done.err
    found = cli("data", "check", name, "--json")
    assert (found.status, found.err) == (1, "")
    assert found.json["error"]["rule"] == found.json["faults"][0]["rule"] == rule


def test_an_empty_file_is_a_fault(cli, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    done = cli("data", "check", "empty.jsonl", "--json")
    assert done.status == 1
    assert [fault["rule"] for fault in done.json["faults"]] == ["VT217"]


def test_a_base_model_that_there_is_not_is_named_with_the_way_out(cli, train):
    done = cli("data", "check", str(train), "--base-model", "gemini-9")
    assert (done.status, done.rule) == (1, "VT301")
    assert "Fix:" in done.err


def test_a_dash_is_standard_input(command):
    lines = "".join(json.dumps(row) + "\n" for row in rows(100))
    done = command("data", "check", "-", "--json", input=lines)
    assert (done.status, done.json["rows"]) == (0, 100)
    assert command("data", "check", "-", input="no\n").status == 1


def test_nobody_is_asked_and_nothing_is_started(cli, train, alone, home):
    assert cli("data", "check", str(train)).status == 0
    assert not Path(home).exists()


def test_held_out_rows_are_checked_beside_the_others(cli, train, tmp_path):
    lines = train.read_text(encoding="utf-8").splitlines()
    (tmp_path / "valid.jsonl").write_text("\n".join([lines[0], "{}"]), encoding="utf-8")
    done = cli("data", "check", str(train), "--validation", str(tmp_path / "valid.jsonl"))
    assert done.status == 1
    assert "train.jsonl: 100 rows" in done.out
    assert "valid.jsonl line 2" in done.out
    assert "VT226" in done.out  # the first row stands in both
    found = cli("data", "check", str(train), "--validation", str(tmp_path / "valid.jsonl"), "--json").json
    assert (found["training"]["ok"], found["validation"]["ok"]) == (True, False)


def test_a_set_is_split(cli, train, tmp_path):
    done = cli("data", "split", str(train), "--validation", "0.25", "--output-dir", "out", "--json")
    assert done.status == 0, done.err
    assert (done.json["training_rows"], done.json["validation_rows"]) == (75, 25)
    assert (tmp_path / done.json["validation"]).read_text(encoding="utf-8").count("\n") == 25
    again = cli("data", "split", str(train), "--output-dir", "out")
    assert (again.status, again.rule) == (1, "VT240")
    told = cli("data", "split", str(train), "--seed", "7")
    assert "train-validation.jsonl  10 rows, 10 different prompts" in told.out
    assert cli("data", "split", str(train), "--validation", "2", "--output-dir", "new").rule == "VT241"


def test_a_model_that_does_not_take_the_method_is_not_checked_for(cli, tmp_path):
    path = tmp_path / "prompts.jsonl"
    asked = {"contents": [{"role": "user", "parts": [{"text": "2 + 2?"}]}], "references": {"answer": "4"}}
    path.write_text((json.dumps(asked) + "\n") * 100, encoding="utf-8")
    assert cli("data", "check", str(path), "--method", "reinforcement").status == 0
    done = cli("data", "check", str(path), "--method", "reinforcement", "--base-model", "gemini-2.5-flash")
    assert (done.status, done.rule) == (1, "VT302")
    assert "gemini-3.5-flash" in done.err


@pytest.mark.parametrize(("name", "words"), [("smss", "do you mean sms?"), ("x", "film-reviews and sms")])
def test_a_data_set_that_there_is_not_is_told_with_those_that_there_are(cli, name, words):
    done = cli("data", "fetch", name)
    assert done.status == 2
    assert words in done.err


def test_a_data_set_that_is_here_is_not_fetched_again(cli, home):
    path = home / "datasets/sms.csv"
    path.parent.mkdir(parents=True)
    path.write_text(",spam,text\n", encoding="utf-8")
    assert cli("data", "fetch", "sms").out == f"{path}\n"
    assert cli("data", "fetch", "sms", "--json").json["path"] == str(path)


def test_a_data_set_that_nobody_knows_is_named(cli):
    done = cli("data", "fetch", "tweets")
    assert done.status == 2
    assert "there is no data set tweets" in done.err
