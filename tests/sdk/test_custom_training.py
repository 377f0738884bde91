"""Training in our own container: a custom job, which the emulator runs as a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vertex_tuning
from tests.running import RunningEmulator
from tests.sdk.conftest import rows
from vertex_tuning import JobCancelledError, JobFailedError, TuningClient, custom
from vertex_tuning.data.folders import download_folder, upload_folder
from vertex_tuning.errors import HostError
from vertex_tuning.training.config import SupervisedConfig

TINY = Path(vertex_tuning.__file__).parent / "training" / "tiny" / "tiny-0.1m"
PACKAGE = Path(vertex_tuning.__file__).parent.parent


@pytest.fixture
def config(write: Any) -> dict[str, Any]:
    return {"model": str(TINY), "training": str(write(rows(16))), "learning_rate": 5e-3, "steps": 6}


def objects(client: TuningClient, uri: str) -> set[str]:
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    return {
        blob.name.removeprefix(f"{path}/")
        for blob in client.connection.storage.list_blobs(bucket, prefix=path)
    }


@pytest.mark.slow
def test_it_trains_elsewhere_and_brings_back_what_came_of_it(
    client: TuningClient, config: dict[str, Any], tmp_path: Path
) -> None:
    told = SupervisedConfig(**config, output="unused", checkpoint_interval=3)
    seen = []
    trained = custom.run_training(
        client, "supervised", told, host="l4x4", display_name="opposites", progress=seen.append
    )
    assert [one["checkpoint_id"] for one in trained.checkpoints] == ["1", "2"]
    assert trained.events[-1]["event"] == "done"
    assert seen[-1].state == "JOB_STATE_SUCCEEDED"
    assert (seen[-1].step, seen[-1].steps) == (6, 6)
    files = objects(client, trained.output_uri)
    assert {"metrics.jsonl", "checkpoints/2/adapter_model.safetensors"} <= files
    assert "resume.safetensors" not in files, "of no use any more"
    folder = trained.download(tmp_path / "last", checkpoint="2")
    assert trained.model_uri == trained.checkpoints[-1]["uri"]

    # PEFT loads it, upon the model that it was trained on.
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(TINY), folder)

    run = custom.get(client.connection, trained.job)
    assert run.display_name == "opposites"
    machine = run.resource.job_spec.worker_pool_specs[0].machine_spec
    assert (machine.machine_type, machine.accelerator_type.name, machine.accelerator_count) == (
        "g2-standard-48",
        "NVIDIA_L4",
        4,
    )
    assert run.result().checkpoints == trained.checkpoints
    assert run.to_json()["state"] == "JOB_STATE_SUCCEEDED"
    assert [one.name for one in custom.runs(client.connection, filter='display_name="opposites"')] == [
        run.name
    ]


@pytest.mark.slow
def test_training_that_fails_says_why_in_its_own_words(client: TuningClient, config: dict[str, Any]) -> None:
    with pytest.raises(JobFailedError) as caught:
        custom.run_training(client, "supervised", {**config, "max_tokens": 2})
    assert caught.value.rule == "VT601"
    assert "train.jsonl would be dropped" in caught.value.fault.what


def test_one_that_runs_is_taken_up_again_and_can_be_cancelled(
    client: TuningClient, config: dict[str, Any]
) -> None:
    long = {**config, "steps": 100_000}
    run = custom.start_training(client, "supervised", long)
    same = custom.start_training(client, "supervised", long)
    assert same.name == run.name
    run.cancel()
    with pytest.raises(JobCancelledError):
        run.result()


def test_a_file_travels_once_and_a_folder_under_its_hash(client: TuningClient, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 1000)
    (folder / "deep" / "b.bin").write_bytes(b"b")
    (folder / ".hidden").write_bytes(b"c")
    uri = upload_folder(client.connection, folder)
    assert uri == upload_folder(client.connection, folder)
    assert objects(client, uri) == {"a.bin", "deep/b.bin"}
    assert download_folder(client.connection.storage, uri, tmp_path / "back", without=["b.bin"])
    assert (tmp_path / "back" / "a.bin").read_bytes() == b"a" * 1000
    assert not (tmp_path / "back" / "deep").exists()
    assert download_folder(client.connection.storage, f"{uri}/deep/b.bin", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == b"b"
    assert not download_folder(client.connection.storage, f"{uri}/nothing", tmp_path / "none")
    (folder / "a.bin").write_bytes(b"b" * 1000)
    assert upload_folder(client.connection, folder) != uri


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_machine_that_is_taken_away_leaves_its_state_and_the_next_goes_on(
    client: TuningClient, config: dict[str, Any], emulator: RunningEmulator, tmp_path: Path
) -> None:
    model, training = upload_folder(client.connection, TINY), client.upload(config["training"])
    told = {**config, "model": model, "training": training, "steps": 3_000, "checkpoint_interval": 300}
    base = f"gs://{client.connection.ensure_bucket()}/{custom.FOLDER}/taken-away"
    custom._put_order(
        client.connection, "taken-away", {"method": "supervised", "kind": "gpu", "chips": 1, "config": told}
    )

    def events() -> list[dict[str, Any]]:
        path = tmp_path / "events.jsonl"
        download_folder(client.connection.storage, f"{base}/events.jsonl", path)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def on_a_machine(number: int, until: Callable[[], Any]) -> None:
        """Train until then; then the machine is taken away, with all that is on it."""
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        environment = {**os.environ, "VERTEX_TUNING_EMULATOR": emulator.address, "PYTHONPATH": str(PACKAGE)}
        command = [sys.executable, "-W", "ignore", "-m", "vertex_tuning._task", f"{base}/order.json", base]
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as machine:
            try:
                deadline = time.monotonic() + 180
                while not until():
                    assert machine.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                machine.send_signal(signal.SIGTERM)
                assert machine.wait(60) == 143
            finally:
                machine.kill()
        shutil.rmtree(folder)

    on_a_machine(1, lambda: "output/resume.safetensors" in objects(client, base))
    kept = [event["step"] for event in events() if event["event"] == "checkpoint"]
    before = len(events())
    on_a_machine(2, lambda: any(event["event"] == "step" for event in events()[before:]))
    again = next(event["step"] for event in events()[before:] if event["event"] == "step")
    assert kept
    assert again > kept[0], "it began where the state was, and not at the first step"


# What is refused before anything is paid for


@pytest.mark.parametrize(
    ("method", "change", "host", "rule", "words"),
    [
        ("sft", {}, "l4", "VT791", "supervised"),
        ("supervised", {"epoch": 3}, "l4", "VT791", "epochs"),
        ("supervised", {"learning_rate": None}, "l4", "VT791", "learning_rate"),
        ("supervised", {}, "t5", "VT790", "l4"),
        ("supervised", {"model": "no/such"}, "l4", "VT794", "gs://"),
        ("supervised", {"batch_size": 1 << 20, "max_tokens": 1 << 12}, "l4", "VT793", "batch_size"),
        ("reinforcement", {"reward": {}}, "tpu-v6e", "VT792", 'host="l4"'),
    ],
)
def test_what_cannot_be_is_refused_with_help(
    client: TuningClient,
    config: dict[str, Any],
    method: str,
    change: dict[str, Any],
    host: str,
    rule: str,
    words: str,
) -> None:
    with pytest.raises(HostError) as caught:
        custom.start_training(client, method, {**config, **change}, host=host)
    assert caught.value.rule == rule
    assert words in str(caught.value)


def test_every_fault_is_told_at_once(client: TuningClient, config: dict[str, Any]) -> None:
    with pytest.raises(HostError) as caught:
        custom.start_training(client, "supervised", {"training": config["training"], "epoch": 1, "rate": 1})
    assert [fault.where for fault in caught.value.faults] == [
        "config.epoch",
        "config.rate",
        "config.model",
        "config.learning_rate",
    ]
    with pytest.raises(HostError) as caught:
        custom.start_training(client, "supervised", {**config, "model": "x", "training": "y.jsonl"})
    assert [fault.where for fault in caught.value.faults] == ["config.model", "config.training"]


def test_a_name_that_is_none_is_refused(client: TuningClient) -> None:
    with pytest.raises(HostError) as caught:
        custom.get(client.connection, "trainingRuns/7")
    assert caught.value.rule == "VT797"


def test_the_image_is_the_one_of_this_version_unless_another_is_named(
    client: TuningClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vertex_tuning import catalog

    connection = client.connection
    found = custom.image_for(connection, catalog.host("tpu-v5e"))
    assert found == (
        f"us-central1-docker.pkg.dev/{connection.project}/vertex-tuning/vertex-tuning:{vertex_tuning.__version__}-tpu"
    )
    monkeypatch.setenv("VERTEX_TUNING_IMAGE", "example/vertex-tuning@sha256:00")
    assert custom.image_for(connection, catalog.host("l4")) == "example/vertex-tuning@sha256:00"
