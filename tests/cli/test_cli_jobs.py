"""`jobs`: list, show, watch, cancel."""

from __future__ import annotations

import pytest


def test_jobs_are_listed_a_line_each_with_nothing_cut_off(cli, job):
    done = cli("jobs", "list", "--limit", "1000", COLUMNS="40")
    assert (done.status, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split() == ["job", "state", "base", "model", "name", "created", "(UTC)"]
    (own,) = [line.split() for line in lines if line.startswith(job.rpartition("/")[2])]
    assert own[1:4] == ["succeeded", "gemini-2.5-flash", "opposites"]


def test_jobs_as_json_have_what_a_script_needs(cli, job):
    found = {item["name"]: item for item in cli("jobs", "list", "--json", "--limit", "100").json}
    assert found[job].items() >= {"state": "JOB_STATE_SUCCEEDED", "base_model": "gemini-2.5-flash"}.items()
    assert found[job]["tuned_model"]["model"]
    assert found[job]["create_time"]


def test_jobs_are_filtered_and_limited_and_none_is_said_on_standard_error(cli, job):
    assert job in {item["name"] for item in cli("jobs", "list", "--filter", 'labels.team="a"', "--json").json}
    assert len(cli("jobs", "list", "--limit", "1", "--json").json) == 1
    nothing = cli("jobs", "list", "--filter", 'labels.team="nobody"')
    assert (nothing.status, nothing.out, nothing.err) == (0, "", "No tuning jobs.\n")
    assert cli("jobs", "list", "--filter", 'labels.team="nobody"', "--json").json == []


def test_a_job_is_shown_by_name_or_id(cli, job, tuned):
    by_name, by_id = cli("jobs", "show", job), cli("jobs", "show", job.rpartition("/")[2])
    assert by_name.status == 0
    assert by_name.out == by_id.out
    for words in (
        job,
        "succeeded, step",
        "gemini-2.5-flash",
        "opposites",
        tuned,
        "created",
        "JOB_STATE_SUCCEEDED",
    ):
        assert words in by_name.out
    shown = cli("jobs", "show", job, "--json").json
    assert shown["name"] == job
    assert "sdk_http_response" not in shown, "how the answer travelled is nobody's business"


def test_watching_a_job_that_has_ended_gives_its_model_at_once(cli, job, tuned):
    done = cli("jobs", "watch", job)
    assert (done.status, done.out) == (0, f"{tuned}\n")
    assert len(done.err.splitlines()) == 1
    done = cli("jobs", "watch", job, "--json")
    assert [line.get("state") for line in done.lines] == ["JOB_STATE_SUCCEEDED", None]
    assert done.lines[-1]["model"]["name"] == tuned


def test_watching_ends_in_time_and_a_cancelled_job_ends_badly(cli, long_job):
    done = cli("jobs", "watch", long_job.id, "--timeout", "0.2")
    assert (done.status, done.rule) == (1, "VT603")
    assert f"vertex-tuning jobs watch {long_job.name}" in done.err
    lines = cli("jobs", "watch", long_job.id, "--timeout", "0", "--json").lines
    assert lines[0]["name"] == long_job.name
    assert lines[-1]["error"]["rule"] == "VT603"

    cancelled = cli("jobs", "cancel", long_job.id)
    assert (cancelled.status, cancelled.out) == (0, f"{long_job.name} is cancelled\n")
    watched = cli("jobs", "watch", long_job.id)
    assert (watched.status, watched.rule) == (1, "VT602")
    again = cli("jobs", "cancel", long_job.id, "--json")
    assert again.status == 1
    assert again.json["error"]["rule"] == "VT501"


def test_cancelling_need_not_wait(cli, long_job):
    done = cli("jobs", "cancel", long_job.id, "--no-wait", "--json")
    assert done.status == 0
    assert done.json["name"] == long_job.name
    assert done.json["state"].startswith("JOB_STATE_")
    assert long_job.wait().state == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize("words", [["show"], ["watch"], ["cancel"]], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("123", "VT501"),
        ("projects/p/locations/us-central1/tuningJobs/9", "VT501"),
        ("no such job", "VT320"),
        ("a/b", "VT320"),
        ("projects/p/locations/us-central1/batchPredictionJobs/9", "VT320"),
        ("", "VT320"),
    ],
)
def test_a_job_that_there_is_not(cli, words, name, rule):
    done = cli("jobs", *words, name)
    assert (done.status, done.out, done.rule) == (1, "", rule)
    found = cli("jobs", *words, name, "--json")
    assert (found.status, found.err) == (1, "")
    assert found.json["error"]["rule"] == rule
    assert found.json["error"]["what"]
