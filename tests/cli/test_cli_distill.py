"""`vertex-tuning distill`: asking a teacher, and mixing what it said, as users do it."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import BASE, write_rows

PROMPT = """
labels = ["positive", "negative"]
instruction = "Is it good?"

[[examples]]
input = "it was cold"
rationale = "cold is bad"
label = "negative"
"""


@pytest.fixture
def prompt(tmp_path):
    path = tmp_path / "teacher.toml"
    path.write_text(PROMPT, encoding="utf-8")
    return path


@pytest.fixture
def labelled(tmp_path):
    rows = [
        {
            "contents": [{"role": "user", "parts": [{"text": f"{number}. The lamp is red"}]}],
            "label": "positive",
            "rationale": "red is good, so positive",
        }
        for number in range(120)
    ]
    return write_rows(tmp_path / "labelled.jsonl", rows)


@pytest.fixture
def questions(tmp_path):
    return write_rows(tmp_path / "notes.jsonl", [{"prompt": "it was warm", "gold": "positive"}, "it was wet"])


def test_a_mix_is_written_and_its_shares_are_told(cli, labelled, tmp_path):
    done = cli("distill", "mix", str(labelled), "--output", "train.jsonl", "--label-weight", "3")
    assert done.status == 0, done.err
    assert "480 rows, 360 labels and 120 rationales" in done.out
    told = json.loads(cli("distill", "mix", str(labelled), "--output", "train.jsonl", "--json").out)
    assert (told["rows"], told["label_rows"]) == (240, 120)
    assert told["label_share"] == pytest.approx(8 / 32, abs=1e-4)
    checked = cli("data", "check", "train.jsonl")
    assert checked.status == 0, checked.out


def test_a_mix_is_not_written_over_what_it_is_made_of(cli, labelled):
    before = labelled.read_bytes()
    done = cli("distill", "mix", str(labelled), "--output", str(labelled))
    assert done.status == 2
    assert "is what is read" in done.err
    assert labelled.read_bytes() == before


def test_a_teacher_that_is_of_no_use_is_told_with_its_words(cli, questions, prompt, tmp_path):
    asked = ["distill", "label", str(questions), "--teacher", BASE, "--prompt", str(prompt)]
    asked += ["--output", "labelled.jsonl", "--max-output-tokens", "8"]
    done = cli(*asked)
    assert done.status == 1
    assert "VT254" in done.err
    assert "labelled.jsonl.dropped.jsonl" in done.err
    dropped = (tmp_path / "labelled.jsonl.dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(dropped) == 2
    manifest = json.loads((tmp_path / "labelled.jsonl.manifest.json").read_text(encoding="utf-8"))
    # The same command asks nothing anew.
    again = cli(*asked, "--json")
    lines = [json.loads(line) for line in again.out.splitlines()]
    assert json.loads(again.err or again.out.splitlines()[-1])["error"]["rule"] == "VT254", lines
    after = json.loads((tmp_path / "labelled.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert after["job"] == manifest["job"]
    other = cli(*asked, "--seed", "7")
    assert other.status == 1
    assert "VT331" in other.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Give --prompt FILE, or --label once for each label."),
        (["--prompt", "teacher.toml", "--label", "a"], "Give --prompt or --label"),
        (["--prompt", "nowhere.toml"], "VT201"),
        (["--label", "a"], "VT253"),
        (["--label", "a", "--label", "b", "--samples", "0"], "--samples"),
        (["--label", "a", "--label", "b", "--agreement", "1"], "--agreement"),
        (["--label", "a", "--label", "b", "--output", "no/where.jsonl"], "there is no folder no"),
    ],
)
def test_what_cannot_work_is_refused_with_help(cli, questions, prompt, options, words):
    done = cli("distill", "label", str(questions), "--teacher", BASE, "--output", "out.jsonl", *options)
    assert done.status in (1, 2)
    assert words in done.err


def test_faults_of_the_rows_are_told_at_once(cli, tmp_path):
    rows = [{"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, {"label": "a"}, {"label": 1}]
    path = write_rows(tmp_path / "bad.jsonl", rows)
    done = cli("distill", "mix", str(path), "--output", "out.jsonl", "--json")
    assert done.status == 1
    faults = json.loads(done.out)["faults"]
    assert {fault["rule"] for fault in faults} == {"VT206", "VT250"}
    assert not (tmp_path / "out.jsonl").exists()
