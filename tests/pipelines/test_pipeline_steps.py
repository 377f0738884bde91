"""Steps: one job however often they are run, and nothing left behind where a run failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vertex_tuning
from tests.pipelines.conftest import pairs, rows, write_rows
from vertex_tuning import PipelineError, VertexTuningError
from vertex_tuning.errors import DatasetError, JobCancelledError
from vertex_tuning.pipelines.steps import cleaning, data, evaluation, registry, tuning

SAMPLES = Path(__file__).parents[2] / "samples" / "data"
TINY = Path(vertex_tuning.__file__).parent / "training" / "tiny" / "tiny-0.1m"
BASE = "gemini-2.5-flash"


def tune(uri, place, folder, **options):
    about, figures = {}, {}
    made = tuning.tune(
        uri,
        method=options.pop("method", "supervised"),
        base_model=options.pop("base_model", BASE),
        place=place,
        model=str(folder / "model"),
        about=about,
        measured=str(folder / "metrics"),
        metrics=figures,
        **{"epochs": 1, "adapter_size": 0, "learning_rate_multiplier": 0.0, **options},
    )
    return made, about, figures


def jobs_of(client, place):
    return client.jobs.list(filter=f'labels.{tuning.STEP}="{tuning.key_of(place)}"')


def test_data_is_fetched_and_checked(client, train, tmp_path):
    uri = client.upload(train)
    checked, report = tmp_path / "checked", tmp_path / "report.md"
    found = data.check(uri, method="supervised", base_model=BASE, checked=str(checked), report=str(report))
    assert found.rows == 80
    assert checked.read_bytes() == train.read_bytes()
    assert "ready to tune" in report.read_text()


def test_bad_data_is_told_with_every_fault_and_a_report(home, tmp_path):
    bad = write_rows(tmp_path / "bad.jsonl", [{"contents": []}, {"nonsense": 1}, *rows(3)])
    report = tmp_path / "report.md"
    with pytest.raises(DatasetError) as caught:
        data.check(
            str(bad), method="supervised", base_model=BASE, checked=str(tmp_path / "c"), report=str(report)
        )
    assert len(caught.value.faults) == 2
    assert report.read_text().count("VT2") >= 2


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"measure": "nonsense"}, "VT750"),
        ({"alias": "Not one"}, "VT749"),
        ({"alias": "approved", "base_model": "google/gemma3@gemma-3-1b-it"}, "VT749"),
    ],
)
def test_what_would_only_fail_after_the_tuning_is_said_before_it(home, train, tmp_path, told, rule):
    with pytest.raises(VertexTuningError) as caught:
        data.check(
            str(train),
            **{"method": "supervised", "base_model": BASE, **told},
            checked=str(tmp_path / "c"),
            report=str(tmp_path / "r"),
        )
    assert caught.value.rule == rule


@pytest.mark.parametrize("source", ["gs://no-such-bucket/a.jsonl", "no-such-file.jsonl"])
def test_data_that_is_not_there_is_told(client, source, tmp_path):
    with pytest.raises(DatasetError) as caught:
        data.fetch(source, str(tmp_path / "x"))
    assert caught.value.rule == "VT201"
    assert source in str(caught.value)


def test_what_is_held_out_is_not_learnt_from(home, train, tmp_path):
    learnt, held = tmp_path / "learnt", tmp_path / "held"
    parts = data.split(
        str(train),
        method="supervised",
        test_source="",
        test_share=0.25,
        seed=1,
        training=str(learnt),
        test=str(held),
    )
    assert parts == (60, 20)
    assert not set(learnt.read_text().splitlines()) & set(held.read_text().splitlines())


def test_rows_that_were_given_for_the_test_are_taken(home, train, tmp_path):
    given = write_rows(tmp_path / "test.jsonl", rows(7, tag="?"))
    learnt, held = tmp_path / "learnt", tmp_path / "held"
    parts = data.split(
        str(train),
        method="supervised",
        test_source=str(given),
        test_share=0.2,
        seed=1,
        training=str(learnt),
        test=str(held),
    )
    assert parts == (80, 7)
    assert learnt.read_bytes() == train.read_bytes()


def test_a_step_that_is_tried_again_takes_up_its_job(client, train, tmp_path, place):
    uri = client.upload(train)
    first, about, figures = tune(uri, place("tune"), tmp_path)
    again, _, _ = tune(uri, place("tune"), tmp_path)
    assert again == first
    assert about["resourceName"] == first.model_name
    assert json.loads((tmp_path / "model").read_text())["model"] == first.model_name
    assert figures["loss"] > 0
    assert len(jobs_of(client, place("tune"))) == 1


def test_another_run_begins_another_job(client, train, tmp_path, place):
    uri = client.upload(train)
    first, _, _ = tune(uri, place("tune"), tmp_path)
    other, _, _ = tune(uri, place("another"), tmp_path)
    assert other.job != first.job


def test_a_job_that_somebody_cancelled_is_not_begun_again(client, train, tmp_path, place, step):
    uri = client.upload(train)
    started = step(uri, place("tune"))
    job = running_job(client, place("tune"), started)
    job.cancel()
    started.wait(30)
    with pytest.raises(JobCancelledError):
        tune(uri, place("tune"), tmp_path, epochs=100)
    assert len(jobs_of(client, place("tune"))) == 1


def test_without_examples_the_model_goes_on_as_it_is(home, tmp_path, place):
    made, about, _ = tune("", place("tune"), tmp_path)
    assert made == (BASE, "")
    assert about == {"resourceName": BASE}


STEP = """
import sys
from vertex_tuning.pipelines.steps import tuning
uri, place, folder, epochs = sys.argv[1:]
tuning.tune(uri, method="supervised", base_model="gemini-2.5-flash", place=place, model=folder + "/model", about={},
            measured=folder + "/metrics", metrics={}, epochs=int(epochs))
"""


@pytest.fixture
def step(tmp_path):
    """Runs the step in a process of its own, as a pipeline does: `step(uri, place, epochs=3)`."""
    started = []

    def run(uri: str, place: str, *, epochs: int = 100) -> subprocess.Popen:
        command = [sys.executable, "-c", STEP, uri, place, str(tmp_path), str(epochs)]
        started.append(subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def running_job(client, place, process):
    while process.poll() is None:
        for job in jobs_of(client, place):
            if job.state == "JOB_STATE_RUNNING":
                return job
        time.sleep(0.1)
    raise AssertionError(process.communicate()[1])


def test_a_step_that_is_killed_is_followed_on_by_the_next_try(client, train, tmp_path, place, step):
    uri = client.upload(train)
    started = step(uri, place("tune"), epochs=10)
    job = running_job(client, place("tune"), started)
    started.kill()
    made, _, _ = tune(uri, place("tune"), tmp_path, epochs=10)
    assert made.job == job.name
    assert len(jobs_of(client, place("tune"))) == 1


def test_a_step_that_is_asked_to_end_cancels_its_job(client, train, tmp_path, place, step):
    uri = client.upload(train)
    started = step(uri, place("tune"))
    job = running_job(client, place("tune"), started)
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=30)
    assert started.returncode == 143
    assert job.wait(timeout=30).state == "JOB_STATE_CANCELLED"


def test_a_step_ends_with_the_error_s_own_words(client, tmp_path, place, step):
    bad = write_rows(tmp_path / "bad.jsonl", [{"contents": []}])
    uri = client.upload(bad)
    started = step(uri, place("tune"), epochs=1)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "Traceback" not in said
    assert "VT601" in said


def test_a_failed_run_leaves_neither_job_nor_data_behind(client, train, tmp_path, place, step):
    uri = data.upload(str(train), place=place("upload"), uploaded=str(tmp_path / "uploaded"))
    started = step(uri, place("tune"))
    job = running_job(client, place("tune"), started)
    started.kill()
    report = tmp_path / "report.md"
    cleaned = cleaning.clean(
        state="FAILED", message="it broke", run=["77", tmp_path.name], report=str(report)
    )
    assert cleaned == (1, 1)
    assert job.wait(timeout=30).state == "JOB_STATE_CANCELLED"
    assert not data.blob_of(client, uri).exists()
    assert all(words in report.read_text() for words in ("it broke", job.name, uri.rpartition("/")[2]))


def test_a_failed_run_leaves_no_custom_job_behind(client, train, tmp_path, place):
    config = {"model": str(TINY), "training": str(train), "learning_rate": 1e-3, "steps": 100_000}
    ours = tuning.begin_training(client, "supervised", config, place("train"))
    assert tuning.begin_training(client, "supervised", config, place("train")).name == ours.name
    elsewhere = f"gs://bucket/root/of-another-run-{tmp_path.name}/train/out"
    theirs = tuning.begin_training(client, "supervised", config, elsewhere)
    try:
        report = str(tmp_path / "report.md")
        cleaned = cleaning.clean(state="FAILED", message="", run=[tmp_path.name], report=report)
        assert cleaned == (1, 0)
        assert ours.wait(timeout=60).state == "JOB_STATE_CANCELLED"
        assert not theirs.refresh().ended
    finally:
        theirs.cancel()
        theirs.wait(timeout=60)


def test_a_run_that_succeeded_keeps_everything(client, train, tmp_path, place):
    uri = data.upload(str(train), place=place("upload"), uploaded=str(tmp_path / "uploaded"))
    report = str(tmp_path / "report.md")
    assert cleaning.clean(state="SUCCEEDED", message="", run=[tmp_path.name], report=report) == (0, 0)
    assert data.blob_of(client, uri).exists()


def test_what_a_later_run_uses_is_not_cleaned_away(client, train, tmp_path, place):
    uri = data.upload(str(train), place=place("upload"), uploaded=str(tmp_path / "uploaded"))
    other = data.upload(str(train), place="gs://bucket/root/later/upload/out", uploaded=str(tmp_path / "u"))
    assert other == uri
    report = str(tmp_path / "report.md")
    assert cleaning.clean(state="FAILED", message="", run=[tmp_path.name], report=report) == (0, 0)
    assert data.blob_of(client, uri).exists()


def test_what_a_run_takes_up_while_it_is_cleaned_away_stays(client, train, tmp_path, place):
    uri = data.upload(str(train), place=place("upload"), uploaded=str(tmp_path / "uploaded"))
    seen = data.blob_of(client, uri)
    seen.reload()
    data.upload(str(train), place="gs://bucket/root/later/upload/out", uploaded=str(tmp_path / "u"))
    assert not data.remove(seen)
    assert data.blob_of(client, uri).exists()


def test_what_people_uploaded_is_never_cleaned_away(client, train, tmp_path):
    uri = client.upload(train)
    report = str(tmp_path / "report.md")
    assert cleaning.clean(state="FAILED", message="", run=[tmp_path.name], report=report) == (0, 0)
    assert data.blob_of(client, uri).exists()


@pytest.mark.slow
def test_what_got_better_passes_the_gate_and_is_registered(client, tmp_path, place):
    uri = client.upload(SAMPLES / "tickets-train.jsonl")
    made, _, _ = tune(uri, place("tune"), tmp_path, epochs=4, adapter_size=8)
    test = SAMPLES / "tickets-validation.jsonl"
    figures = {}
    found = evaluation.evaluate(
        str(test),
        model=made.model_name,
        base_model=BASE,
        measure="exact_match",
        max_output_tokens=8,
        comparison=str(tmp_path / "comparison"),
        figures=figures,
        page=str(tmp_path / "page.html"),
        summary=str(tmp_path / "summary.md"),
    )
    assert found.candidate > found.baseline
    assert figures["difference"] == found.difference
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    decided = str(tmp_path / "decision.md")
    gate = {"comparison": str(tmp_path / "comparison"), "min_rows": 30, "decision": decided}
    assert evaluation.gate(**gate, margin=0.0, at_least=0.0)
    assert not evaluation.gate(**gate, margin=2.0, at_least=0.0)
    assert "no: " in Path(decided).read_text()
    link = client.lineage.of(made.model_name)
    assert link.manifest["note"] == {"pipeline": place("tune")}
    assert [note["kind"] for note in link.notes] == ["evaluation"]
    name = registry.register(made.model_name, alias="approved", registered=str(tmp_path / "registered"))
    assert name.endswith("@approved")
    assert client.models.get(name).version == made.model_name.rpartition("@")[2]
    endpoint = registry.deploy(
        made.model_name, registered=name, question="Hello", deployed=str(tmp_path / "d")
    )
    assert "/endpoints/" in endpoint


def test_of_a_pair_the_likelier_answer_is_chosen(home, tmp_path):
    test = write_rows(tmp_path / "pairs.jsonl", pairs(6))
    found = evaluation.evaluate(
        str(test),
        model=BASE,
        base_model=BASE,
        measure="exact_match",
        max_output_tokens=8,
        comparison=str(tmp_path / "comparison"),
        figures={},
        page=str(tmp_path / "page.html"),
        summary=str(tmp_path / "summary.md"),
    )
    assert found.difference == 0
    assert 0 <= found.baseline <= 1


@pytest.mark.parametrize("alias", ["", "Approved", "default", "1", "a b"])
def test_an_alias_that_the_registry_would_not_take_is_refused(alias, tmp_path):
    with pytest.raises(PipelineError) as caught:
        registry.register("projects/p/locations/l/models/1@1", alias=alias, registered=str(tmp_path / "r"))
    assert caught.value.rule == "VT749"
