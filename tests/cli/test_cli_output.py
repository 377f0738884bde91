"""What is printed survives pipes, narrow terminals, other encodings and full disks."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import BASE
from tests.cli.terminals import COMMAND, PATIENCE, without_control
from vertex_tuning import catalog

_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models", "list", "--base"],
        ["models", "list", "--base", "--json"],
        ["data", "check", "none.jsonl", "--json"],
        ["models", "generate", BASE, "hi", "--stream"],
    ],
    ids=" ".join,
)
def test_a_reader_who_has_seen_enough_is_no_fault(env, tmp_path, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [COMMAND, *arguments],
            env=env,
            cwd=tmp_path,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_head_gets_its_line(command):
    done = command("-c", "vertex-tuning models list --base | head -1", argv=["bash"])
    assert (done.status, done.err) == (0, "")
    assert done.out.split()[0] == "model"


@pytest.mark.parametrize("how", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_stop_nothing(command, how):
    done = command("-c", f"vertex-tuning models list --base {how}", argv=["bash"])
    assert (done.status, done.err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_a_fault(command):
    done = command("-c", "vertex-tuning models list --base > /dev/full", argv=["bash"])
    assert done.status == 1
    assert "VT197  No space left on device" in done.err
    assert "free some space" in done.err


@pytest.mark.parametrize("columns", [200, 100, 80, 40, 20])
def test_on_a_terminal_of_any_width_nothing_is_cut_off(terminal, columns):
    listed = terminal("models", "list", "--base", columns=columns)
    assert listed.end() == 0
    found = catalog.base_model("meta/llama3_1@llama-3.1-8b-instruct")
    assert {found.id, *(f"{size}" for size in found.adapter_sizes), found.stand_in} <= set(
        listed.text.split()
    )
    assert "…" not in listed.text
    if columns >= 80:
        assert max(map(len, listed.text.splitlines())) <= columns
        assert listed.text.split()[0] == "model"


def test_where_a_table_has_no_room_rows_are_told_one_by_one(terminal, job):
    narrow = terminal("jobs", "list", "--limit", "500", columns=40)
    assert narrow.end() == 0
    assert re.search(rf"^job +{job.rpartition('/')[2]}$", narrow.text, re.MULTILINE)
    assert re.search(r"^state +succeeded$", narrow.text, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments", [["models", "list", "--base"], ["--help"], ["data", "check", "none"]], ids=" ".join
)
def test_no_color_is_obeyed(terminal, env, arguments):
    env["NO_COLOR"] = "1"
    said = terminal(*arguments)
    said.end()
    assert said.text.strip()
    assert not _COLOUR.search(said.raw)


def test_a_pipe_gets_no_control_characters(command):
    done = command("models", "list", "--base", FORCE_COLOR="", TERM="xterm-256color")
    assert done.out == without_control(done.out)


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["ascii", "latin-1", "posix"],
)
def test_a_locale_that_lacks_letters_stops_nothing(command, tmp_path, variables):
    name = "données-☃.jsonl"
    plain = command("data", "check", name, **variables)
    assert (plain.status, plain.rule) == (1, "VT201")
    assert "donn" in plain.err
    found = command("data", "check", name, "--json", **variables)
    assert found.status == 1
    assert json.loads(found.out)["error"]["rule"] == "VT201"
    assert found.out.isascii()
    listed = command("models", "list", "--base", **variables)
    assert (listed.status, listed.err) == (0, "")


def test_letters_go_in_and_out_as_they_are(command, tmp_path):
    found = command("data", "check", "données-☃.jsonl", "--json", PYTHONUTF8="1")
    assert "données-☃" in found.out
    answer = command("models", "generate", BASE, "Où est le ☃?", "--json", LC_ALL="C")
    assert answer.status == 0, answer.out


def test_a_name_that_is_no_text_stops_nothing(env, tmp_path):
    for options in ([], ["--json"]):
        done = subprocess.run(
            [COMMAND.encode(), b"data", b"check", b"\xff\xfe.jsonl", *(item.encode() for item in options)],
            env=env | {"PYTHONUTF8": "1"},
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 1
        said = (done.stdout or done.stderr).decode()
        assert "VT201" in said
        if options:
            assert json.loads(said)["error"]["rule"] == "VT201"
