"""`evaluate`: a tuned model beside its base; the exit status tells the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import rows, write_rows
from vertex_tuning.cli.evaluate import evaluate
from vertex_tuning.evaluation import MEASURES


@pytest.fixture
def held_out(tmp_path):
    return str(write_rows(tmp_path / "test.jsonl", rows(8)))


QUICK = ("--max-output-tokens", "4")


def test_people_are_told_what_was_gained(cli, tuned, held_out, tmp_path):
    done = cli(
        "evaluate", tuned, held_out, *QUICK, "--measure", "token_f1", "--report", str(tmp_path / "page.html")
    )
    assert done.status == 0, done.err
    assert "baseline:  gemini-2.5-flash" in done.out
    assert "token_f1: " in done.out
    assert "8 rows" in done.out
    assert "page.html" in done.err
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_gate_that_stays_closed_is_3_and_an_open_one_is_0(cli, tuned, held_out, tmp_path):
    kept = ("--answers", str(tmp_path / "kept.jsonl"), *QUICK)
    closed = cli("evaluate", tuned, held_out, *kept, "--gate", "exact_match", "--json")
    assert closed.status == 3
    assert closed.json["gate"]["open"] is False
    assert "30 are needed" in closed.json["gate"]["conditions"][0]["reason"]
    options = ("--gate", "exact_match", "--margin", "-1.1", "--min-rows", "5", "--keep", "exact_match=1")
    opened = cli("evaluate", tuned, held_out, *kept, *options)
    assert opened.status == 0
    assert "The gate is open." in opened.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at-least", "0.5"), "--gate MEASURE"),
        (("--gate", "exact_match", "--keep", "a=b"), "MEASURE=LOSS"),
        (("--measure", "exact"), "exact_match"),
    ],
)
def test_a_command_line_that_means_nothing_is_2(cli, tuned, held_out, options, words):
    done = cli("evaluate", tuned, held_out, *options)
    assert done.status == 2
    assert words in done.err


def test_a_page_that_cannot_be_written_is_told_before_anybody_is_asked(cli, tuned, held_out):
    done = cli("evaluate", tuned, held_out, "--report", "/proc/page.html")
    assert (done.status, done.out) == (2, "")
    assert "/proc/page.html cannot be written" in done.err


def test_answers_are_not_added_to_a_file_of_something_else(cli, tuned, held_out):
    before = Path(held_out).read_bytes()
    done = cli("evaluate", tuned, held_out, *QUICK, "--answers", held_out)
    assert done.status == 1
    assert "VT759" in done.err
    assert Path(held_out).read_bytes() == before


def test_rows_that_cannot_be_read_are_told_all_at_once(cli, tuned, tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("question,answer\nhot,cold\n", encoding="utf-8")
    done = cli("evaluate", tuned, str(path))
    assert done.status == 1
    assert "VT204  test.csv line 1: not JSON" in done.err
    assert "1 other row" in done.err


def test_a_gate_about_something_else_is_a_fault(cli, tuned, held_out):
    done = cli("evaluate", tuned, held_out, "--gate", "token_f1", "--json")
    assert done.status == 1
    assert done.json["error"]["rule"] == "VT758"


def test_the_command_knows_every_measure():
    [option] = [one for one in evaluate.params if one.name == "measures"]
    assert tuple(option.type.choices) == MEASURES
