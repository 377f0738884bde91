"""`batch`: a file of prompts in, answers on standard output in the same order; what is said about it goes elsewhere."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from tests.cli.conftest import BASE, interrupt, write_rows

SHORT = ("--temperature", "0", "--max-output-tokens", "6")


@pytest.fixture
def prompts(tmp_path):
    rows = [{"id": f"row-{n}", "prompt": f"Say {n}.", "n": n} for n in range(12)]
    return write_rows(tmp_path / "prompts.jsonl", rows)


@pytest.fixture
def long_batch(cli, tmp_path):
    """A job that takes its time; cancelled at the end."""
    path = write_rows(tmp_path / "long.jsonl", [f"Count to {n}. {uuid.uuid4().hex}" for n in range(3000)])
    done = cli("batch", "run", str(path), "--model", BASE, "--max-output-tokens", "100", "--no-wait")
    assert done.status == 0, done.err
    name = done.out.strip()
    assert f"vertex-tuning batch watch {name}" in done.err
    yield name
    cli("batch", "cancel", name)


def test_answers_come_in_the_order_of_the_rows(cli, prompts):
    done = cli("batch", "run", str(prompts), "--model", BASE, *SHORT)
    assert done.status == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["id"] for row in rows] == [f"row-{n}" for n in range(12)]
    assert [row["n"] for row in rows] == list(range(12))
    assert all(row["prompt_tokens"] > 0 and isinstance(row["text"], str) for row in rows)
    assert "/batchPredictionJobs/" in done.err.splitlines()[0]
    assert "succeeded, row 12/12, took" in done.err
    assert done.err.splitlines()[-1] == "12 answers"


def test_answers_go_to_a_file_and_json_tells_of_the_job(cli, prompts, tmp_path):
    output = tmp_path / "answers.jsonl"
    done = cli("batch", "run", str(prompts), "--model", BASE, *SHORT, "--output", str(output), "--json")
    assert (done.status, done.err) == (0, "")
    *changes, last = [json.loads(line) for line in done.out.splitlines()]
    assert changes[-1]["state"] == "JOB_STATE_SUCCEEDED"
    assert changes[-1]["answered"] == changes[-1]["total"] == 12
    assert (last["answered"], last["without_answer"]) == (12, 0)
    written = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in written] == [f"row-{n}" for n in range(12)]
    name = last["job"]["name"]
    again = cli("batch", "get", name)
    assert [json.loads(line) for line in again.out.splitlines()] == written
    listed = json.loads(cli("batch", "list", "--json").out)
    assert name in [job["name"] for job in listed]
    assert name.rsplit("/", 1)[1] in cli("batch", "list").out
    watched = cli("batch", "watch", name)
    assert watched.out.strip() == last["job"]["output_info"]["gcs_output_directory"]
    assert json.loads(cli("batch", "watch", name, "--json").out.splitlines()[-1])["job"]["name"] == name


def test_a_row_that_is_refused_is_counted_and_does_not_hurt(cli, tmp_path):
    bad = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {"temperature": 9}}
    path = write_rows(tmp_path / "rows.jsonl", ["Say red.", bad])
    done = cli("batch", "run", str(path), "--model", BASE, "--max-output-tokens", "4")
    assert done.status == 0
    assert "temperature" in json.loads(done.out.splitlines()[1])["error"]
    assert done.err.splitlines()[-1] == "1 answer, 1 row without one"


def test_answers_that_cannot_be_written_are_not_asked_for(cli, prompts, tmp_path):
    for path in (tmp_path / "nowhere" / "answers.jsonl", tmp_path, "/proc/answers.jsonl"):
        done = cli("batch", "run", str(prompts), "--model", BASE, "--output", str(path))
        assert (done.status, done.out) == (2, "")
        assert "--output" in done.err


def test_answers_are_not_written_over_the_questions(cli, prompts, tmp_path):
    before = prompts.read_bytes()
    (tmp_path / "again").symlink_to(prompts)
    for path in (prompts, tmp_path / "again"):
        done = cli("batch", "run", str(prompts), "--model", BASE, "--output", str(path))
        assert (done.status, done.out) == (2, "")
        assert "is what is read" in done.err
    assert prompts.read_bytes() == before


def test_a_file_with_faults_is_not_sent(cli, tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [7, {"id": "a"}, {"prompt": ""}])
    done = cli("batch", "run", str(path), "--model", BASE)
    assert (done.status, done.out) == (1, "")
    assert "VT340  rows.jsonl line 1" in done.err
    assert "VT212  rows.jsonl line 3" in done.err
    faults = json.loads(cli("batch", "run", str(path), "--model", BASE, "--json").out)["faults"]
    assert {fault["rule"] for fault in faults} == {"VT340", "VT212"}


def test_a_job_is_watched_cancelled_and_what_was_answered_is_there(cli, long_batch):
    early = cli("batch", "watch", long_batch, "--timeout", "2")
    assert early.status == 1
    assert "vertex-tuning batch watch" in early.err
    said = cli("batch", "get", long_batch).out
    assert " is running, row " in said
    deadline = time.monotonic() + 60
    while " row 0" in said and time.monotonic() < deadline:  # the model is loaded first
        said = cli("batch", "get", long_batch).out
    done = cli("batch", "cancel", long_batch)
    assert done.out.strip() == f"{long_batch} is cancelled"
    assert f"vertex-tuning batch get {long_batch} --partial" in done.err
    assert cli("batch", "watch", long_batch).status == 1
    assert "VT602" in cli("batch", "get", long_batch).err
    rows = [json.loads(line) for line in cli("batch", "get", long_batch, "--partial").out.splitlines()]
    assert len(rows) == 3000
    assert sum("text" in row for row in rows) > 0
    assert "VT655" in cli("batch", "cancel", long_batch).err or cli("batch", "cancel", long_batch).status == 1


def test_ctrl_c_leaves_the_batch_and_says_how_to_follow_it(running, long_batch):
    watching = running("batch", "watch", long_batch)
    assert watching.stderr.readline().startswith(("pending", "running"))
    interrupt(watching)
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"{long_batch} goes on." in said
    assert f"vertex-tuning batch watch {long_batch}" in said
    assert f"vertex-tuning batch cancel {long_batch}" in said


def test_ctrl_c_on_a_terminal_asks_and_yes_cancels(terminal, cli, long_batch):
    shown = terminal("batch", "watch", long_batch)
    shown.until("row ")
    shown.type("\x03")
    shown.until(r"\[y/N\]")
    shown.type("y\n")
    assert shown.end() == 130
    assert f"{long_batch} is cancelled." in shown.text
