"""`kfp.Client`, as it is: it submits to the emulator and follows, as it would a cluster of Kubeflow's."""

from __future__ import annotations

import time
import uuid
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.jobs.conftest import PATIENCE
from tests.pipelines import small

from .conftest import Pipelines, gone, tasks, until_written

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kfp
    import kfp_server_api


@pytest.fixture
def client(pipelines: Pipelines) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kfp.Client(host=pipelines.running.address)


@pytest.fixture
def package(tmp_path: Path) -> Any:
    def write(pipeline: Any) -> str:
        path = tmp_path / "pipeline.yaml"
        path.write_text(small.text(pipeline), encoding="utf-8")
        return str(path)

    return write


def waited(client: Any, run: Any) -> Any:
    return client.wait_for_run_completion(run.run_id, timeout=PATIENCE, sleep_duration=0.1)


def test_a_package_is_submitted_and_followed(pipelines: Pipelines, client: Any, package: Any) -> None:
    title = f"experiment {uuid.uuid4().hex[:8]}"
    run = client.create_run_from_pipeline_package(
        package(small.chain), arguments={"text": "by kfp", "n": 4}, experiment_name=title, run_name="a run"
    )
    done = waited(client, run)
    assert done.state == "SUCCEEDED"
    assert done.display_name == "a run"
    assert done.created_at <= done.finished_at
    assert done.runtime_config.parameters == {"text": "by kfp", "n": 4}
    assert {task.display_name: task.state for task in done.run_details.task_details} == {
        "write": "SUCCEEDED",
        "measure": "SUCCEEDED",
        "number": "SUCCEEDED",
    }
    # The same run, told in Vertex AI's words.
    job = pipelines.get(f"projects/vertex-tuning-local/locations/us-central1/pipelineJobs/{run.run_id}")
    assert tasks(job)["measure"]["execution"]["metadata"]["output:Output"] == 6
    uri = tasks(job)["write"]["outputs"]["data"]["artifacts"][0]["uri"]
    assert uri.startswith("gs://vertex-tuning-local-kubeflow/v2/artifacts/")
    assert pipelines.text(uri) == "by kfp"
    experiment = client.get_experiment(experiment_name=title)
    listed = client.list_runs(experiment_id=experiment.experiment_id)
    assert [one.run_id for one in listed.runs] == [run.run_id]


def test_a_failure_has_its_words(client: Any, package: Any) -> None:
    done = waited(client, client.create_run_from_pipeline_package(package(small.failing)))
    assert done.state == "FAILED"
    assert "The failed tasks are: [fail]" in done.error.message
    failed = {task.display_name: task for task in done.run_details.task_details}
    assert "seven is bad" in failed["fail"].error.message
    assert failed["number"].state == "SKIPPED"


def test_a_run_is_terminated_and_deleted(client: Any, package: Any, tmp_path: Path) -> None:
    run = client.create_run_from_pipeline_package(
        package(small.lingering), arguments={"note": str(tmp_path / "note")}
    )
    processes = until_written(tmp_path / "note")
    client.terminate_run(run.run_id)
    deadline = time.monotonic() + PATIENCE
    while (state := client.get_run(run.run_id).state) != "CANCELED":
        assert state in ("RUNNING", "CANCELING")
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert gone(processes)
    client.delete_run(run.run_id)
    with pytest.raises(kfp_server_api.ApiException, match="404"):
        client.get_run(run.run_id)


def test_a_pipeline_is_kept_and_run_by_its_version(client: Any, package: Any) -> None:
    title = f"kept {uuid.uuid4().hex[:8]}"
    kept = client.upload_pipeline(package(small.chain), pipeline_name=title)
    assert client.get_pipeline_id(title) == kept.pipeline_id
    (version,) = client.list_pipeline_versions(kept.pipeline_id).pipeline_versions
    experiment = client.create_experiment("Default")
    run = client.run_pipeline(
        experiment.experiment_id,
        "of a version",
        pipeline_id=kept.pipeline_id,
        version_id=version.pipeline_version_id,
        enable_caching=False,
    )
    assert waited(client, run).state == "SUCCEEDED"
    client.delete_pipeline(kept.pipeline_id)
    assert client.get_pipeline_id(title) is None


def test_wrong_parameters_are_refused_with_every_fault(client: Any, package: Any) -> None:
    with pytest.raises(kfp_server_api.ApiException) as raised:
        client.create_run_from_pipeline_package(package(small.chain), arguments={"n": "x", "not": 1})
    assert raised.value.status == 400
    assert "parameter_values.not" in raised.value.body
    assert "NUMBER_INTEGER, and the value is 'x'" in raised.value.body
