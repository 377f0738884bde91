"""`vertex-tuning pipeline`, as people use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import rows, write_rows
from tests.cli.terminals import COMMAND
from vertex_tuning import connect

SAMPLES = Path(__file__).parents[2] / "samples" / "data"
OWN = '''
from kfp import dsl


@dsl.component(base_image="example.com/steps:1", install_kfp_package=False)
def add(one: int, other: int) -> int:
    print("adding", one, other)
    return one + other


@dsl.pipeline(name="sums")
def sums(one: int, other: int = 2):
    """Add numbers.

    Args:
        one: A number.
        other: Another.
    """
    first = add(one=one, other=other)
    add(one=first.output, other=1)
'''


@pytest.fixture
def own(tmp_path, cli):
    """A pipeline of a user's own, compiled."""
    (tmp_path / "sums.py").write_text(OWN)
    assert cli("pipeline", "compile", "sums.py").status == 0
    return tmp_path / "sums.yaml"


def test_the_pipelines_are_listed(cli):
    found = json.loads(cli("pipeline", "list", "--json").out)
    assert {"supervised", "preference"} <= {one["name"] for one in found}
    assert "training_data" in cli("pipeline", "list").out


def test_what_a_pipeline_takes_is_shown(cli):
    done = cli("pipeline", "show", "supervised")
    assert "(must be given)" in done.out
    assert "Passes over the data" in done.out
    assert "Steps: check-data, split-data" in done.out
    found = json.loads(cli("pipeline", "show", "supervised", "--json").out)
    assert found["parameters"][0] == {
        "name": "training_data",
        "kind": "STRING",
        "description": "Examples: a gs:// URI of JSONL.",
    }


def test_a_pipeline_of_one_s_own_is_compiled_linted_and_run(cli, own):
    assert "runs everywhere" in cli("pipeline", "lint", str(own)).out
    done = cli("pipeline", "run", str(own), "-p", "one=40", "--json")
    assert done.status == 0, done.err
    ended = json.loads(done.out.splitlines()[-1])["run"]
    assert [task["parameters"] for task in ended["tasks"]] == [{"Output": 42}, {"Output": 43}]


def test_a_second_run_is_taken_from_the_cache_unless_it_is_not_wanted(cli, own):
    cli("pipeline", "run", str(own), "-p", "one=1")
    again = cli("pipeline", "run", str(own), "-p", "one=1")
    assert again.err.count("taken from the cache") == 2
    afresh = cli("pipeline", "run", str(own), "-p", "one=1", "--no-cache")
    assert "cache" not in afresh.err


def test_what_steps_say_is_shown_where_it_is_wanted(cli, own):
    assert "adding 1 2" in cli("pipeline", "run", str(own), "-p", "one=1", "--no-cache", "--logs").err
    assert "adding" not in cli("pipeline", "run", str(own), "-p", "one=1", "--no-cache").err


def test_parameters_come_from_a_file_and_the_command_line_over_it(cli, own, tmp_path):
    (tmp_path / "values.yaml").write_text("one: 5\nother: 6\n")
    done = cli("pipeline", "run", str(own), "--parameters", "values.yaml", "-p", "one=1", "--json")
    assert json.loads(done.out.splitlines()[-1])["run"]["tasks"][0]["parameters"] == {"Output": 7}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "supervized"), "do you mean supervised"),
        (("run", "supervised"), "training_data: it must be given"),
        (("run", "supervised", "-p", "training_data=x.jsonl", "-p", "epochs=x"), "VT734"),
        (("run", "supervised", "-p", "training_data=gone.jsonl"), "VT201"),
        (("run", "supervised", "-p", "nonsense"), "is not NAME=VALUE"),
        (("run", "supervised", "--parameters", "gone.yaml"), "cannot be read"),
        (("submit", "supervised", "-p", "epochs=x"), "VT735"),
        (("schedule", "supervised", "--cron", "0 3 * * 1"), "VT733"),
        (("submit", "supervised", "-p", "training_data=gs://b/x.jsonl", "--target", "vertex"), "--image"),
        (("show", "gone.yaml"), "VT730"),
        (("lint", "supervised", "gone.yaml"), "VT730"),
        (("run", "mine.py"), "vertex-tuning pipeline compile mine.py"),
        (("lint", "here/mine.py"), "vertex-tuning pipeline compile here/mine.py"),
        (("compile", "gone.py"), "there is no such file"),
    ],
)
def test_what_cannot_be_is_said_in_words(cli, arguments, words):
    done = cli("pipeline", *arguments)
    assert done.status != 0
    assert words in done.err


def test_what_is_not_portable_is_not_compiled(cli, tmp_path):
    (tmp_path / "mine.py").write_text(OWN.replace(", install_kfp_package=False", ""))
    done = cli("pipeline", "compile", "mine.py")
    assert done.status == 1
    assert "VT738" in done.err
    assert cli("pipeline", "compile", "mine.py", "--no-lint").status == 0
    linted = cli("pipeline", "lint", "sums.yaml", "--json")
    assert linted.status == 1
    assert json.loads(linted.out)["sums.yaml"][0]["rule"] == "VT738"


@pytest.mark.parametrize(
    ("source", "words"),
    [("x = 1", "no pipelines"), ("raise ValueError('no')", "ValueError: no"), ("x = ", "SyntaxError")],
)
def test_a_file_without_a_pipeline_is_told(cli, tmp_path, source, words):
    (tmp_path / "mine.py").write_text(source)
    done = cli("pipeline", "compile", "mine.py")
    assert done.status != 0
    assert words in done.err


def test_ours_are_made_ready_for_any_client(cli, tmp_path):
    image = "eu-docker.pkg.dev/p/r/vertex-tuning@sha256:1"
    done = cli(
        *("pipeline", "compile", "supervised", "--image", image),
        *("--project", "p", "--bucket", "b", "--output", "out.yaml"),
    )
    assert done.status == 0, done.err
    text = (tmp_path / "out.yaml").read_text()
    assert image in text
    assert "registry.invalid" not in text
    assert "VERTEX_TUNING_BUCKET" in text
    assert cli("pipeline", "lint", "out.yaml").status == 0


@pytest.mark.slow
def test_a_pipeline_runs_to_its_reports(command, tmp_path):
    data = write_rows(tmp_path / "train.jsonl", rows(100, tag=f" {tmp_path.name}"))
    done = command(
        *("pipeline", "run", "supervised", "-p", f"training_data={data}", "-p", "epochs=1"),
        *("-p", "max_output_tokens=4", "-p", "min_rows=10", "-p", "margin=-2", "-p", "deploy=true"),
    )
    assert done.status == 0, done.err
    for name in ("check-data", "tune-model", "gate", "register-model", "deploy-model", "clean-up"):
        assert f"✓ {name}" in done.err
    reports = dict(line.rsplit(maxsplit=1) for line in done.out.splitlines())
    assert Path(reports["evaluate-model, report"]).read_text().startswith("<!doctype html>")
    assert "The gate is open" in Path(reports["gate, decision"]).read_text()
    assert "The gate is open.\n  yes: 20 rows were compared" in done.err, "nobody needs to look for it"


@pytest.mark.parametrize("way", ["run", "submit", "schedule"])
def test_data_that_no_step_would_take_is_told_by_its_name_before_anything_begins(cli, tmp_path, way):
    write_rows(tmp_path / "openai.jsonl", [{"messages": [{"role": "user", "content": "hi"}]}])
    write_rows(tmp_path / "pairs.jsonl", [{"contents": []}])
    sets = ("-p", "training_data=pairs.jsonl", "-p", "examples_data=openai.jsonl")
    done = cli("pipeline", way, "preference", *sets, *(("--cron", "0 3 * * 1") if way == "schedule" else ()))
    assert done.status == 1
    assert "pairs.jsonl line 1" in done.err
    assert "openai.jsonl line 1" in done.err
    assert "data convert" in done.err
    assert "check-data" not in done.err, "no step has begun"


@pytest.mark.parametrize(
    ("pipeline", "parameter"),
    [("rlhf", "preference_data"), ("rlhf-managed", "preference_data"), ("distillation", "annotated_data")],
)
def test_data_that_are_always_for_the_same_are_checked_as_that(cli, tmp_path, pipeline, parameter):
    write_rows(tmp_path / "own.jsonl", [{"neither": "nor"}])
    given = {parameter: "own.jsonl"}
    if pipeline == "distillation":
        given |= {"question_data": "gs://b/questions.jsonl", "test_data": "gs://b/test.jsonl"}
    done = cli("pipeline", "run", pipeline, *(f"-p{name}={value}" for name, value in given.items()))
    assert done.status == 1
    assert "own.jsonl line 1" in done.err
    assert "✗" not in done.err, "no step has begun"


def test_held_out_rows_are_checked_before_anything_begins(cli, tmp_path):
    write_rows(tmp_path / "train.jsonl", rows(20))
    write_rows(tmp_path / "test.jsonl", [{"contents": []}])
    sets = ("-p", "training_data=train.jsonl", "-p", "test_data=test.jsonl")
    done = cli("pipeline", "run", "supervised", *sets)
    assert done.status == 1
    assert "test.jsonl line 1" in done.err
    assert "check-data" not in done.err
    done = cli(
        "pipeline", "run", "supervised", "-p", "training_data=train.jsonl", "-p", "base_model=gemini-9"
    )
    assert done.status == 1
    assert "VT301" in done.err


def test_a_run_that_fails_says_where_and_cleans_up(command, tmp_path, emulator, monkeypatch):
    bad = write_rows(tmp_path / "bad.jsonl", [{"contents": []}, *rows(20)])
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect() as client:
        uri = client.upload(bad)  # what lies there is for the steps to look at
    done = command("pipeline", "run", "supervised", "-p", f"training_data={uri}")
    assert done.status == 1
    assert "✗ check-data" in done.err
    assert "✓ clean-up" in done.err
    assert "VT601" in done.err


@pytest.mark.slow
def test_ctrl_c_ends_a_run_and_its_job(env, tmp_path, emulator, monkeypatch):
    data = write_rows(tmp_path / "train.jsonl", rows(100, tag=f" {tmp_path.name}"))
    given = {"training_data": str(data), "epochs": "100", "display_name": tmp_path.name}
    started = subprocess.Popen(
        [COMMAND, "pipeline", "run", "supervised", *(f"-p{name}={value}" for name, value in given.items())],
        env=env,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect() as client:
        job = None
        while job is None:
            assert started.poll() is None, started.communicate()[1]
            found = client.jobs.list(filter='state="JOB_STATE_RUNNING"')
            job = next((one for one in found if one.display_name == tmp_path.name), None)
            time.sleep(0.2)
        below = psutil.Process(started.pid).children(recursive=True)
        os.kill(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=60)
        assert started.returncode == 130
        assert "nothing of it runs any more" in said
        assert [one for one in below if one.is_running() and one.status() != "zombie"] == []
        assert job.wait(timeout=30).state == "JOB_STATE_CANCELLED"


WITHOUT_KFP = "import sys; sys.modules['kfp'] = None; from vertex_tuning.cli import main; main()"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list",), "supervised"),
        (("show", "supervised"), "training_data"),
        (("lint", "supervised"), "runs everywhere"),
        (("run", "supervised", "-p", "training_data=gs://b/x.jsonl"), "VT710"),
        (("compile", "sums.py"), "vertex-tuning[pipelines]"),
    ],
)
def test_kfp_is_needed_only_to_run_and_to_compile(command, arguments, words):
    done = command("pipeline", *arguments, argv=(sys.executable, "-c", WITHOUT_KFP))
    assert words in done.out + done.err


# At the service


def submitted(cli, own, *options):
    done = cli("pipeline", "submit", str(own), "-p", "one=40", *options)
    assert done.status == 0, done.err
    return done


def test_a_pipeline_is_submitted_and_followed(cli, own):
    done = submitted(cli, own, "--no-cache", "--label", "team=of-the-command", "--json")
    *changes, ended = [json.loads(line) for line in done.out.splitlines()]
    assert ended["run"]["state"] == "SUCCEEDED"
    assert changes[-1]["steps"] == {"add": "SUCCEEDED", "add-2": "SUCCEEDED"}
    name = ended["run"]["name"]
    listed = json.loads(cli("pipeline", "runs", "--filter", 'labels.team="of-the-command"', "--json").out)
    assert name in [run["name"] for run in listed]
    watched = cli("pipeline", "watch", name.rpartition("/")[2])
    assert watched.status == 0
    assert "✓ add" in watched.err


def test_a_pipeline_is_submitted_to_kubeflow(cli, own, emulator):
    done = submitted(cli, own, "--kubeflow", emulator.address)
    assert "✓ add" in done.err
    assert "succeeded." in done.err


def test_a_submitted_run_is_cancelled(cli, tmp_path):
    (tmp_path / "slow.py").write_text(OWN.replace("print(", "import time; time.sleep(60); print("))
    cli("pipeline", "compile", "slow.py")
    done = cli("pipeline", "submit", "sums.yaml", "-p", "one=1", "--no-wait", "--json")
    name = json.loads(done.out)["name"]
    assert cli("pipeline", "cancel", name).out.strip().endswith("is cancelled")
    watched = cli("pipeline", "watch", name)
    assert watched.status == 1
    assert "VT602" in watched.err


def test_a_pipeline_is_scheduled(cli, own):
    done = cli(
        "pipeline", "schedule", str(own), "-p", "one=1", "--cron", "0 3 * * 1", "--max-runs", "2", "--json"
    )
    assert done.status == 0, done.err
    made = json.loads(done.out)
    assert made["cron"] == "0 3 * * 1"
    assert made["maxRunCount"] in (2, "2")


def test_a_submitted_run_that_fails_leaves_no_upload_behind(cli, tmp_path, emulator):
    """The same YAML, at the service: the exit step finds what its run uploaded."""
    data = write_rows(tmp_path / "train.jsonl", rows(100, tag=f" {tmp_path.name}"))
    done = cli(
        *("pipeline", "submit", "supervised", "-p", f"training_data={data}"),
        *("-p", "epochs=1000", "--json"),
    )
    assert done.status == 1
    ended = json.loads(done.out.splitlines()[-2])["run"]
    steps = {task["name"]: task for task in ended["tasks"]}
    assert ended["state"] == "FAILED"
    assert steps["tune-model"]["state"] == "FAILED"
    assert steps["clean-up"]["state"] == "SUCCEEDED"
    assert steps["clean-up"]["parameters"]["objects"] == 1
