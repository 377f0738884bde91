"""A program for Vertex AI Pipelines: a pipeline is compiled, submitted, waited for, looked at, listed, cancelled, scheduled."""

# ruff: noqa: PTH123
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path

from google.cloud import aiplatform, storage
from google.cloud.aiplatform import pipeline_jobs
from kfp import compiler, dsl

TRANSPORT = sys.argv[1]
pipeline_jobs._JOB_WAIT_TIME = 0.5


@dsl.component(base_image="python:3.11")
def write(text: str, data: dsl.Output[dsl.Dataset]) -> int:
    with open(data.path, "w") as file:
        file.write(text)
    data.metadata["length"] = len(text)
    return len(text)


@dsl.component(base_image="python:3.11")
def measure(data: dsl.Input[dsl.Dataset], times: int, metrics: dsl.Output[dsl.Metrics]) -> int:
    with open(data.path) as file:
        length = len(file.read())
    metrics.log_metric("length", length)
    if length == 13:
        raise ValueError("thirteen")
    return length * times


@dsl.component(base_image="python:3.11")
def linger(seconds: float):
    import time

    time.sleep(seconds)


@dsl.pipeline(name="conformance")
def pipeline(text: str = "hello", times: int = 2, seconds: float = 0.0):
    written = write(text=text)
    measured = measure(data=written.outputs["data"], times=times)
    linger(seconds=seconds).after(measured)


folder = Path(tempfile.mkdtemp())
template = str(folder / "pipeline.yaml")
compiler.Compiler().compile(pipeline, template)
bucket = storage.Client().create_bucket(
    f"pipelines-{uuid.uuid4().hex[:12]}", location=os.environ["GOOGLE_CLOUD_LOCATION"]
)
aiplatform.init(
    project=os.environ["GOOGLE_CLOUD_PROJECT"],
    location=os.environ["GOOGLE_CLOUD_LOCATION"],
    staging_bucket=f"gs://{bucket.name}",
    api_transport=TRANSPORT,
)


def job(job_id=None, **parameters):
    """Unnamed, the client makes a name out of the second: only the first run may leave it so."""
    return aiplatform.PipelineJob(
        display_name="conformance",
        job_id=job_id,
        template_path=template,
        pipeline_root=f"gs://{bucket.name}/root",
        parameter_values=parameters,
        labels={"team": "a"},
        enable_caching=False,
    )


run = job(text="some words")
began = time.monotonic()
run.submit()
print(f"submitted in {time.monotonic() - began:.1f} s")
assert time.monotonic() - began < 20, "the client waited for somebody who does not answer"
run.wait()
assert run.state == aiplatform.gapic.PipelineState.PIPELINE_STATE_SUCCEEDED
tasks = {task.task_name: task for task in run.task_details}
assert sorted(tasks) == ["linger", "measure", "write"]
assert {task.state.name for task in tasks.values()} == {"SUCCEEDED"}
assert tasks["measure"].execution.metadata["output:Output"] == 20
artifact = tasks["write"].outputs["data"].artifacts[0]
assert artifact.metadata["length"] == 10
name = artifact.uri.removeprefix(f"gs://{bucket.name}/")
assert bucket.blob(name).download_as_text() == "some words"
again = aiplatform.PipelineJob.get(run.resource_name)
assert again.has_failed is False
assert run.resource_name in [
    found.resource_name for found in aiplatform.PipelineJob.list(filter='labels.team="a"')
]
print("succeeded")


def refused(call):
    """What an exception says."""
    try:
        call()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was said")


failing = job(f"failing-{TRANSPORT}", text="thirteen long")
assert "The failed tasks are: [measure]" in refused(failing.run)
assert failing.has_failed
print("failed")

lingering = job(f"lingering-{TRANSPORT}", seconds=600.0)
lingering.submit()
while not any(task.task_name == "linger" for task in lingering.task_details):
    time.sleep(0.2)
lingering.cancel()
lingering.wait()
assert lingering.state == aiplatform.gapic.PipelineState.PIPELINE_STATE_CANCELLED
assert {task.task_name: task.state.name for task in lingering.task_details}["linger"] == "CANCELLED"
print("cancelled")

schedule = job(f"nightly-{TRANSPORT}").create_schedule(
    cron="0 3 * * *", display_name="nightly", max_run_count=3
)
assert aiplatform.gapic.Schedule.State(schedule.state).name == "ACTIVE"
schedule.pause()
schedule.resume()
assert schedule.list_jobs() == []
schedule.delete()
print("scheduled")

for one in (run, failing, lingering):
    one.delete()
assert "is not found" in refused(lambda: aiplatform.PipelineJob.get(run.resource_name))
print("deleted")
