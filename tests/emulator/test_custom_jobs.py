"""Custom jobs: a command that runs as a process here, with all that it starts, and nothing longer than it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.emulator.jobs.conftest import ENDED, LOCATION, PATIENCE, Bench, Token
from tests.running import RunningEmulator

IMAGE = "us-docker.pkg.dev/project/repository/vertex-tuning:0.1"
FAMILY = ["bash", "-c", "sleep 987 & setsid sleep 986 & python -c 'import time; time.sleep(985)' & wait"]


def body(command: list[str], *, image: str = IMAGE, output: str = "", **fields: Any) -> dict[str, Any]:
    container = {"imageUri": image, "command": command, **fields.pop("container", {})}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1", "containerSpec": container}
    spec: dict[str, Any] = {"workerPoolSpecs": [pool], **fields.pop("spec", {})}
    if output:
        spec["baseOutputDirectory"] = {"outputUriPrefix": output}
    return {"displayName": "custom", "jobSpec": spec, **fields}


def post(running: Any, command: list[str], **options: Any) -> Any:
    return running.call("POST", f"/v1/{LOCATION}/customJobs", body(command, **options))


def until(running: Any, name: str, *states: str) -> dict[str, Any]:
    """The job, as soon as it is in one of these states."""
    deadline = time.monotonic() + PATIENCE
    while True:
        job: dict[str, Any] = running.call("GET", f"/v1/{name}")
        if job["state"] in states:
            return job
        assert job["state"] not in ENDED, job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def run(running: Any, command: list[str], **options: Any) -> dict[str, Any]:
    """A job of the emulator's, when it has ended."""
    return until(running, post(running, command, **options)["name"], *ENDED)


def log(running: Any, job: dict[str, Any]) -> str:
    path: Path = running.data_dir / "custom-jobs" / job["name"].rsplit("/", 1)[1] / "log.txt"
    return path.read_text(encoding="utf-8")


def reason(answer: Any) -> tuple[int, str]:
    assert isinstance(answer, tuple), answer
    return answer[0], answer[1]["error"]["details"][-1]["reason"]


def message(answer: Any) -> str:
    return str(answer[1]["error"]["message"])


def family(running: Any, job: dict[str, Any]) -> list[psutil.Process]:
    """The processes of a job that runs `FAMILY`, as soon as all are there."""
    deadline = time.monotonic() + PATIENCE
    identifier = job["name"].rsplit("/", 1)[1]
    while True:
        workers = running.call("GET", "/emulator/status")["workers"]
        if (found := workers.get(f"custom job {identifier}")) is not None:
            processes = psutil.Process(found["pid"]).children(recursive=True)
            if len(processes) >= 4:
                return processes
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(processes: list[psutil.Process], seconds: float = 15.0) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def bench(emulator: RunningEmulator) -> Bench:
    """The session's emulator, with a bucket."""
    return Bench(emulator)


# What runs


def test_a_command_runs_and_its_words_are_kept(emulator: RunningEmulator) -> None:
    made = post(emulator, ["python", "-c", "print('hello'); import sys; print(sys.argv)", "a b"])
    assert made["state"] == "JOB_STATE_PENDING"
    job = until(emulator, made["name"], "JOB_STATE_SUCCEEDED")
    assert "error" not in job
    assert job["createTime"] <= job["startTime"] <= job["endTime"] <= job["updateTime"]
    assert log(emulator, job) == "hello\n['-c', 'a b']\n"


def test_it_has_vertex_ais_variables_and_those_that_lead_to_the_emulator_and_no_others(
    emulator: RunningEmulator, bench: Bench
) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ))); print(os.getcwd(), os.listdir())"
    env = [{"name": "OWN", "value": "in $(AIP_MODEL_DIR), for $$5"}, {"name": "EMPTY"}]
    job = run(
        emulator,
        ["python", "-c", code],
        output=f"gs://{bench.bucket}/out",
        container={"env": env, "args": ["x"]},
    )
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    found, where = log(emulator, job).splitlines()
    variables = json.loads(found)
    base = f"gs://{bench.bucket}/out"
    assert variables["AIP_MODEL_DIR"] == f"{base}/model/"
    assert variables["AIP_CHECKPOINT_DIR"] == f"{base}/checkpoints/"
    assert variables["AIP_TENSORBOARD_LOG_DIR"] == f"{base}/logs/"
    assert variables["OWN"] == f"in {base}/model/, for $5"
    assert variables["EMPTY"] == ""
    assert variables["CLOUD_ML_JOB_ID"] == job["name"].rsplit("/", 1)[1]
    assert json.loads(variables["CLUSTER_SPEC"])["task"] == {"type": "workerpool0", "index": 0}
    assert variables["VERTEX_TUNING_EMULATOR"] == emulator.address
    assert variables["GOOGLE_APPLICATION_CREDENTIALS"].startswith(str(emulator.data_dir))
    folder = variables["HOME"]
    assert where == f"{folder} []"
    assert folder.startswith(str(emulator.data_dir))
    assert not Path(folder).exists(), "as a container's files, it is gone at the end"
    assert not {"PYTEST_CURRENT_TEST", "SSH_AUTH_SOCK", "GITHUB_TOKEN"} & variables.keys()


def test_googles_clients_in_it_find_the_emulator(emulator: RunningEmulator, bench: Bench) -> None:
    code = (
        "import os; from google.cloud import storage\n"
        "bucket, _, path = os.environ['AIP_MODEL_DIR'].removeprefix('gs://').partition('/')\n"
        "storage.Client().bucket(bucket).blob(path + 'model.txt').upload_from_string('weights')"
    )
    job = run(emulator, ["python", "-W", "ignore", "-c", code], output=f"gs://{bench.bucket}/model-of")
    assert job["state"] == "JOB_STATE_SUCCEEDED", log(emulator, job)
    assert bench.download(f"gs://{bench.bucket}/model-of/model/model.txt") == b"weights"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["python", "-c", "print('so far'); raise SystemExit('no good')"], "non-zero status of 1"),
        (["bash", "-c", "echo no good; kill -9 $$"], "killed by signal 9"),
        (["no-such-program"], "no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_fails_says_how_and_its_last_words(
    emulator: RunningEmulator, command: list[str], words: str
) -> None:
    job = run(emulator, command)
    assert job["state"] == "JOB_STATE_FAILED"
    assert words in job["error"]["message"]
    assert job["error"]["details"][-1]["reason"] == "VT679"
    if "no-such" not in command[0]:
        assert "no good" in job["error"]["message"]
        assert "log.txt" in job["error"]["message"]


def test_what_it_leaves_behind_ends_with_it(emulator: RunningEmulator) -> None:
    code = "import os, subprocess; print(subprocess.Popen(['sleep', '984'], start_new_session=True).pid)"
    job = run(emulator, ["python", "-c", code])
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert not psutil.pid_exists(int(log(emulator, job)))


def test_a_job_that_takes_too_long_is_ended(emulator: RunningEmulator) -> None:
    job = run(emulator, ["sleep", "983"], spec={"scheduling": {"timeout": "1s"}})
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 4
    assert "scheduling.timeout of 1 seconds" in job["error"]["message"]


# How it ends before its time


def test_cancelling_ends_everything_that_it_started(emulator: RunningEmulator) -> None:
    job = post(emulator, FAMILY)
    processes = family(emulator, job)
    assert emulator.call("POST", f"/v1/{job['name']}:cancel", {}) == {}
    job = until(emulator, job["name"], "JOB_STATE_CANCELLED")
    assert job["error"]["code"] == 1
    assert gone(processes)
    answer = emulator.call("POST", f"/v1/{job['name']}:cancel", {})
    assert reason(answer) == (400, "VT644")


def test_a_job_may_tidy_up_when_it_is_cancelled(emulator: RunningEmulator) -> None:
    job = post(emulator, ["bash", "-c", "trap 'echo bye; exit 0' TERM; echo ready; sleep 982 & wait"])
    deadline = time.monotonic() + PATIENCE
    while "ready" not in (log(emulator, job) if family_log(emulator, job).exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    emulator.call("POST", f"/v1/{job['name']}:cancel", {})
    job = until(emulator, job["name"], "JOB_STATE_CANCELLED")
    assert log(emulator, job) == "ready\nbye\n"


def family_log(running: Any, job: dict[str, Any]) -> Path:
    return Path(running.data_dir / "custom-jobs" / job["name"].rsplit("/", 1)[1] / "log.txt")


def test_a_job_that_waits_is_cancelled_before_it_begins(
    start_emulator: Callable[..., RunningEmulator],
) -> None:
    running = start_emulator()
    slots = max(2, len(os.sched_getaffinity(0)))
    busy = [post(running, ["sleep", "981"]) for _ in range(slots)]
    for job in busy:
        until(running, job["name"], "JOB_STATE_RUNNING")
    waits = post(running, ["python", "-c", "print('begun')"])
    running.call("POST", f"/v1/{waits['name']}:cancel", {})
    assert until(running, waits["name"], "JOB_STATE_CANCELLED")["state"] == "JOB_STATE_CANCELLED"
    assert not family_log(running, waits).exists()
    left = post(running, ["true"])
    running.call("POST", f"/v1/{busy[0]['name']}:cancel", {})
    until(running, left["name"], "JOB_STATE_SUCCEEDED")


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_no_process_outlives_the_emulator_and_the_job_is_failed_at_the_next_start(
    start_emulator: Callable[..., RunningEmulator], how: str
) -> None:
    running = start_emulator()
    job = post(running, FAMILY)
    processes = family(running, job)
    getattr(running, how)()
    assert gone(processes)
    again = start_emulator(data_dir=running.data_dir)
    job = again.call("GET", f"/v1/{job['name']}")
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 10
    assert "The emulator ended while the job ran" in job["error"]["message"]
    assert again.call("GET", "/emulator/events?resource=" + job["name"])["events"][-1]["kind"] == job["state"]


def test_a_reset_ends_what_runs(start_emulator: Callable[..., RunningEmulator]) -> None:
    running = start_emulator()
    processes = family(running, post(running, FAMILY))
    running.call("POST", "/emulator/reset", {})
    assert gone(processes)
    assert running.call("GET", f"/v1/{LOCATION}/customJobs") == {}
    assert run(running, ["true"])["state"] == "JOB_STATE_SUCCEEDED"


def test_what_is_asked_for_in_the_midst_of_a_reset_is_begun_after_it(
    start_emulator: Callable[..., RunningEmulator],
) -> None:
    running = start_emulator()

    def workers() -> list[str]:
        return list(running.call("GET", "/emulator/status")["workers"])

    family(running, post(running, FAMILY))
    model = f"{LOCATION}/publishers/google/models/gemini-2.5-flash"
    question = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(running.call, "POST", f"/v1/{model}:generateContent", question)
        while "serving" not in workers():
            time.sleep(0.02)
        # The serving process has its imports to do before it can end: that takes the reset some seconds.
        reset = pool.submit(running.call, "POST", "/emulator/reset", {})
        while any(name.startswith("custom") for name in workers()):
            time.sleep(0.02)
        assert not reset.done()
        made = post(running, ["sleep", "984"])
        assert reset.result() == {}
        assert asked.result()[0] == 503
    until(running, made["name"], "JOB_STATE_RUNNING")


# What is not run


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"image": "gcr.io/google/trainer:latest"}, "'gcr.io/google/trainer:latest' is not an image"),
        ({"image": "vertex-tuning.example.com/trainer"}, "is not an image"),
        ({"spec": {"workerPoolSpecs": [{"replicaCount": "2"}]}}, "one worker pool, with one replica"),
        (
            {"spec": {"workerPoolSpecs": [{"pythonPackageSpec": {"pythonModule": "x"}}]}},
            "installs no packages",
        ),
        ({"container": {"command": [], "args": ["x"]}}, "give container_spec.command"),
    ],
)
def test_what_cannot_be_run_here_is_refused_with_the_reason(
    emulator: RunningEmulator, change: dict[str, Any], why: str
) -> None:
    answer = post(emulator, ["true"], **change)
    assert reason(answer) == (400, "VT677")
    assert why in message(answer)


def test_every_fault_of_a_request_is_told_at_once(emulator: RunningEmulator) -> None:
    answer = post(
        emulator,
        ["true"],
        displayName="",
        labels={"A": "b"},
        output="gs://no-bucket-of-this-name/out",
        container={"env": [{"name": "1", "value": ""}]},
    )
    assert reason(answer) == (400, "VT678")
    fields = [item["field"] for item in answer[1]["error"]["details"][0]["fieldViolations"]]
    assert fields == [
        "custom_job.display_name",
        "custom_job.labels",
        "custom_job.job_spec.worker_pool_specs[0].container_spec.env[0]",
        "custom_job.job_spec.base_output_directory.output_uri_prefix",
    ]
    answer = emulator.call("POST", f"/v1/{LOCATION}/customJobs", {"displayName": "x"})
    assert reason(answer) == (400, "VT678")


def test_nothing_is_run_where_that_is_switched_off(start_emulator: Callable[..., RunningEmulator]) -> None:
    answer = post(start_emulator("--no-local-code"), ["true"])
    assert reason(answer) == (400, "VT677")
    assert "--no-local-code" in message(answer)


def test_other_images_can_be_allowed(start_emulator: Callable[..., RunningEmulator]) -> None:
    running = start_emulator("--local-image", "gcr.io/mine/*", "--local-image", "*/ours")
    for image in ("gcr.io/mine/a@sha256:00", "x/ours:1"):
        assert run(running, ["true"], image=image)["state"] == "JOB_STATE_SUCCEEDED"
    assert reason(post(running, ["true"])) == (400, "VT677")


# What is listed and deleted


def test_jobs_are_listed_filtered_and_deleted_when_they_have_ended(emulator: RunningEmulator) -> None:
    team = uuid.uuid4().hex[:12]
    first = run(emulator, ["true"], labels={"team": team})
    second = post(emulator, ["sleep", "980"], labels={"team": team})
    path = f"/v1/{LOCATION}/customJobs?filter=labels.team={team}"
    assert [job["name"] for job in emulator.call("GET", path)["customJobs"]] == [
        second["name"],
        first["name"],
    ]
    done = emulator.call("GET", f"{path}%20AND%20state%3DJOB_STATE_SUCCEEDED")["customJobs"]
    assert [job["name"] for job in done] == [first["name"]]
    assert reason(emulator.call("DELETE", f"/v1/{second['name']}")) == (400, "VT678")
    emulator.call("POST", f"/v1/{second['name']}:cancel", {})
    until(emulator, second["name"], "JOB_STATE_CANCELLED")
    for job in (first, second):
        operation = emulator.call("DELETE", f"/v1/{job['name']}")
        assert emulator.call("GET", f"/v1/{operation['name']}")["done"]
        assert emulator.call("GET", f"/v1/{job['name']}")[0] == 404
        assert not family_log(emulator, job).exists()


# Google's clients

SUBMIT = """
import sys, time, warnings
warnings.simplefilter("ignore")
from google.cloud import aiplatform

SETTINGS
def job(command):
    spec = {
        "machine_spec": {
            "machine_type": "a3-highgpu-8g", "accelerator_type": "NVIDIA_H100_80GB", "accelerator_count": 8
        },
        "replica_count": 1,
        "container_spec": {"image_uri": sys.argv[2], "command": command, "args": ["one"]},
    }
    return aiplatform.CustomJob(
        display_name="by aiplatform", worker_pool_specs=[spec], base_output_dir=sys.argv[1], staging_bucket=sys.argv[1]
    )

done = job(["python", "-c", "import sys; print(sys.argv[1:])"])
done.submit(timeout=600)
while not done.done():
    time.sleep(0.1)
assert done.state.name == "JOB_STATE_SUCCEEDED", done.error
failed = job(["python", "-c", "raise SystemExit(3)"])
failed.submit()
while not failed.done():
    time.sleep(0.1)
assert failed.state.name == "JOB_STATE_FAILED", failed.state
assert "status of 3" in failed.error.message, failed.error
waits = job(["sleep", "979"])
waits.submit()
waits.cancel()
while not waits.done():
    time.sleep(0.1)
assert waits.state.name == "JOB_STATE_CANCELLED"
assert {done.resource_name, waits.resource_name} <= {one.resource_name for one in aiplatform.CustomJob.list()}
assert aiplatform.CustomJob.get(done.resource_name).display_name == "by aiplatform"
done.delete()
print("ran", done.resource_name)
"""
PLAIN = """
from google.auth.credentials import AnonymousCredentials
aiplatform.init(
    project="vertex-tuning-local", location="us-central1", credentials=AnonymousCredentials(),
    api_endpoint=ADDRESS, api_transport="rest",
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["REST on the plain address", "gRPC through the front door"])
def test_aiplatform_submits_follows_cancels_lists_and_deletes(bench: Bench, way: str) -> None:
    if way.startswith("gRPC"):
        settings, environment = "", bench.running.environment
    else:
        settings = PLAIN.replace("ADDRESS", repr(bench.running.address))
        environment = dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT.replace("SETTINGS", settings), f"gs://{bench.bucket}/jobs", IMAGE],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].startswith("ran projects/")


def test_the_generated_client_reads_what_is_answered(bench: Bench) -> None:
    from google.api_core.client_options import ClientOptions
    from google.cloud import aiplatform_v1beta1

    service = aiplatform_v1beta1.JobServiceClient(
        transport="rest",
        credentials=Token(),
        client_options=ClientOptions(api_endpoint=bench.running.address),
    )
    pool = {"container_spec": {"image_uri": IMAGE, "command": ["true"]}, "replica_count": 1}
    made = service.create_custom_job(
        parent=LOCATION, custom_job={"display_name": "generated", "job_spec": {"worker_pool_specs": [pool]}}
    )
    until(bench.running, made.name, "JOB_STATE_SUCCEEDED")
    assert service.get_custom_job(name=made.name).state.name == "JOB_STATE_SUCCEEDED"
    service.delete_custom_job(name=made.name).result(timeout=30)
