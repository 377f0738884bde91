"""A job that diverges fails, says why, and leaves its last finite checkpoint where its user finds it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.genai import types

from .conftest import LLAMA, LOCATION, Bench
from .test_open_models import FOLDER, fetch
from .test_preference import PAIRS

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
ABSURD = 1e30


def diverged(job: dict[str, Any]) -> str:
    """The job's words, once it has failed as it should."""
    assert job["state"] == "JOB_STATE_FAILED", job
    error = job["error"]
    assert error["code"] == 3
    assert error["details"][-1]["reason"] == "VT680"
    assert "tunedModel" not in job
    for words in ("diverged", "step", "learning rate", "smaller"):
        assert words in error["message"]
    return str(error["message"])


def assert_finite(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    [path] = folder.glob("*.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(path).values())


def test_googles_client_reads_what_became_of_an_absurd_rate(bench: Bench, tmp_path: Path) -> None:
    client = bench.genai()
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(
            gcs_uri=bench.body()["supervisedTuningSpec"]["trainingDatasetUri"]
        ),
        config=types.CreateTuningJobConfig(epoch_count=2, learning_rate_multiplier=ABSURD),
    )
    assert job.name is not None
    bench.wait(job.name)
    job = client.tunings.get(name=job.name)
    assert job.error is not None
    assert job.error.code == 3
    body = bench.get(job.name or "")
    words = diverged(body)
    assert "learningRateMultiplier is 1e+30" in words
    # Nothing is registered for a job that failed: the checkpoint lies beside its measurements.
    folder = body["gcsMetricsUri"].rpartition("/")[0]
    assert f"{folder}/{FOLDER}/checkpoint-1." in words
    assert_finite(fetch(bench, f"{folder}/{FOLDER}/checkpoint-1", tmp_path / "left"))
    lines = [
        json.loads(line, parse_constant=pytest.fail)
        for line in bench.download(body["gcsMetricsUri"]).splitlines()
    ]
    assert lines


def test_an_open_model_leaves_it_in_its_output_folder_and_is_tuned_on_from_there(
    bench: Bench, tmp_path: Path
) -> None:
    out = f"gs://{bench.bucket}/diverged"
    spec = {"tuningMode": "TUNING_MODE_FULL", "hyperParameters": {"epochCount": 20, "learningRate": 1e7}}
    job = bench.wait(bench.create(baseModel=LLAMA, outputUri=out, spec=spec))
    words = diverged(job)
    folders = {name.partition(f"{FOLDER}/")[2].partition("/")[0] for name in bench.objects(out)}
    assert folders
    assert "final" not in folders, "nothing is final of a job that failed"
    last = f"{out}/{FOLDER}/checkpoint-{len(folders)}"
    assert f"{last}." in words
    for number in range(1, len(folders) + 1):
        assert_finite(fetch(bench, f"{out}/{FOLDER}/checkpoint-{number}", tmp_path / str(number)))
    answer = bench.post(
        bench.body(
            baseModel=LLAMA,
            outputUri=f"{out}-2",
            customBaseModel=last,
            spec={"tuningMode": "TUNING_MODE_FULL"},
        )
    )
    assert answer["state"] == "JOB_STATE_PENDING", "it is taken in as weights"
    bench.call("POST", f"/v1beta1/{answer['name']}:cancel")


def test_what_a_gemini_leaves_can_be_uploaded_and_asked(bench: Bench) -> None:
    job = bench.wait(
        bench.create(spec={"hyperParameters": {"epochCount": 1, "learningRateMultiplier": ABSURD}})
    )
    words = diverged(job)
    uri = next(word.rstrip(".") for word in words.split() if word.startswith("gs://"))
    model = {"displayName": "left", "artifactUri": uri, "containerSpec": {"imageUri": "vllm"}}
    done = bench.call("POST", f"/v1beta1/{LOCATION}/models:upload", {"model": model})
    assert done["done"], done
    assert "error" not in done, done


def test_pairs_diverge_like_examples(bench: Bench) -> None:
    parameters = {"epochCount": 1, "learningRateMultiplier": ABSURD}
    spec = {"trainingDatasetUri": bench.upload(PAIRS), "hyperParameters": parameters}
    answer = bench.post({"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": spec})
    assert "gs://" in diverged(bench.wait(answer["name"]))


@pytest.mark.slow
def test_a_crash_on_the_way_changes_nothing(own_bench: Callable[..., Bench], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    bench = own_bench(data_dir=folder)
    spec = {"hyperParameters": {"epochCount": 100, "learningRateMultiplier": ABSURD}}
    names = [bench.create(spec=spec) for _ in range(2)]
    for pause in (1.0, 0.3, 0.1):
        time.sleep(pause)
        bench.running.kill()
        bench = own_bench(data_dir=folder)
    for name in names:
        assert "checkpoint-1." in diverged(bench.wait(name))
    deadline = time.monotonic() + 10
    while left := list((folder / "jobs").rglob("*")):  # a folder is removed once the job has failed
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
