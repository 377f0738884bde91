"""Ctrl-C: the job is asked about, never lost."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.cli.conftest import BASE, interrupt

CTRL_C = "\x03"


def test_ctrl_c_asks_and_no_leaves_the_job_running(terminal, long_job):
    shown = terminal("jobs", "watch", long_job.id, "--location", "us-central1")
    shown.until("step ")
    shown.type(CTRL_C)
    shown.until(rf"Cancel {long_job.id}\?.*\[y/N\]")
    shown.type("n\n")
    assert shown.end() == 130
    assert f"{long_job.name} goes on." in shown.text
    assert f"vertex-tuning jobs watch {long_job.name} --location us-central1" in shown.text
    assert f"vertex-tuning jobs cancel {long_job.name} --location us-central1" in shown.text
    assert long_job.refresh().state == "JOB_STATE_RUNNING"


def test_ctrl_c_asks_and_yes_cancels_the_job(terminal, long_job):
    shown = terminal("jobs", "watch", long_job.id)
    shown.until("step ")
    shown.type(CTRL_C)
    shown.until(r"\[y/N\]")
    shown.type("y\n")
    assert shown.end() == 130
    assert f"{long_job.name} is cancelled." in shown.text
    assert long_job.refresh().state == "JOB_STATE_CANCELLED"


def test_ctrl_c_once_more_leaves_the_job_running(terminal, long_job):
    shown = terminal("jobs", "watch", long_job.id)
    shown.until("step ")
    shown.type(CTRL_C)
    shown.until(r"\[y/N\]")
    time.sleep(
        0.5
    )  # nobody answers before it is asked; Python may miss a signal that comes as it begins to wait
    shown.type(CTRL_C)
    assert shown.end() == 130
    assert "goes on." in shown.text
    assert not long_job.refresh().ended


def test_a_job_that_ends_while_one_thinks_is_told_so(terminal, long_job):
    shown = terminal("jobs", "watch", long_job.id)
    shown.until("step ")
    shown.type(CTRL_C)
    shown.until(r"\[y/N\]")
    long_job.cancel()
    long_job.wait()
    shown.type("y\n")
    assert shown.end() == 130
    assert f"{long_job.name} is cancelled." in shown.text


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_without_a_terminal_the_job_is_left_and_one_is_told_how_to_follow(running, long_job, options):
    watching = running("jobs", "watch", long_job.id, *options)
    line = (watching.stdout if options else watching.stderr).readline()
    assert line.startswith("{" if options else ("pending", "tuning", "processing dataset"))
    interrupt(watching)
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"vertex-tuning jobs watch {long_job.name}" in said
    assert "Traceback" not in said
    assert not long_job.refresh().ended


def test_ctrl_c_before_the_job_is_known_says_what_becomes_of_it(running, train, tmp_path):
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    waiting = running("batch", "run", str(pipe), "--model", BASE)
    with pipe.open("wb"):  # it reads now, and waits for more
        time.sleep(0.5)
        interrupt(waiting)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "the same command takes it up" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("patience", [0.05, 0.7])
def test_ctrl_c_while_tuning_starts_leaves_no_traceback(running, train, patience):
    """Whenever it comes: before there is a job, or after."""
    program = "import sys, vertex_tuning.cli as c; print('there', flush=True); c.main(sys.argv[1:])"
    arguments = ["tune", "supervised", str(train), "--base-model", BASE, "--epochs", "1"]
    tuning = running(*arguments, argv=[sys.executable, "-c", program])
    assert tuning.stdout.readline() == "there\n"
    time.sleep(patience)
    interrupt(tuning)
    _, said = tuning.communicate(timeout=60)
    assert tuning.returncode == 130, said
    assert "Traceback" not in said


def test_ctrl_c_that_a_library_takes_for_a_fault_of_its_own_is_ctrl_c(running):
    """Pydantic calls Python while it builds a schema, and wraps what comes of it."""
    program = (
        "import vertex_tuning.cli as c\n"
        "from pydantic_core import SchemaValidator, core_schema\n"
        "class Member:\n"
        "    @property\n"
        "    def value(self): raise KeyboardInterrupt\n"
        "@c.root.command()\n"
        "def build():\n"
        "    SchemaValidator(core_schema.enum_schema(int, [Member()]))\n"
        "c.main(['build'])\n"
    )
    _, said = (process := running(argv=[sys.executable, "-c", program])).communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
