"""Open models: their weights go to the user's bucket, in Google's layout, and come back from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import COLOURS, LOCATION, Bench

LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"
GLOBAL = LOCATION.replace("us-central1", "global")
FOLDER = "postprocess/node-0/checkpoints"


def fetch(bench: Bench, uri: str, target: Path) -> Path:
    """Download a folder."""
    target.mkdir()
    bucket = uri.removeprefix("gs://").partition("/")[0]
    for name in bench.objects(f"{uri}/"):
        (target / name.rpartition("/")[2]).write_bytes(bench.download(f"gs://{bucket}/{name}"))
    return target


def losses(bench: Bench, job: dict[str, Any]) -> list[float]:
    return [json.loads(line)["loss"] for line in bench.download(job["gcsMetricsUri"]).splitlines()]


@pytest.mark.parametrize("location", [LOCATION, GLOBAL])
def test_an_adapter_is_left_in_the_bucket_and_nothing_is_deployed(bench: Bench, location: str) -> None:
    out = f"gs://{bench.bucket}/adapter-{location.rpartition('/')[2]}/"
    job = bench.tune(epochs=2, baseModel=LLAMA, outputUri=out, location=location)
    assert "tunedModel" not in job
    # Other jobs of other tests may end meanwhile; an endpoint bears the id of the job that it is from.
    number = job["name"].rpartition("/")[2]
    deployed = bench.call("GET", f"/v1/{location}/endpoints?pageSize=1000").get("endpoints", [])
    assert not [
        one for one in deployed if one.get("labels", {}).get("google-vertex-llm-tuning-job-id") == number
    ]
    folders = {name.partition(f"{FOLDER}/")[2].partition("/")[0] for name in bench.objects(out)}
    assert folders == {"checkpoint-1", "checkpoint-2", "final"}
    final = [name.rpartition("/")[2] for name in bench.objects(f"{out}{FOLDER}/final/")]
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(final)


@pytest.mark.slow
def test_all_weights_load_in_plain_transformers_and_are_tuned_on(bench: Bench, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    uri, out = bench.upload(COLOURS), f"gs://{bench.bucket}/full"
    asked: dict[str, Any] = {"baseModel": LLAMA, "spec": {"tuningMode": "TUNING_MODE_FULL"}}
    first = bench.tune(uri, epochs=4, outputUri=out, **asked)
    folder = fetch(bench, f"{out}/{FOLDER}/final", tmp_path / "final")
    assert (folder / "model-00001-of-00001.safetensors").exists()
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(folder)("red")["input_ids"]
    second = bench.tune(uri, outputUri=f"{out}-2", customBaseModel=f"{out}/{FOLDER}/final", **asked)
    assert losses(bench, second)[0] < losses(bench, first)[0] / 2


def test_an_adapter_is_tuned_on_from_the_bucket(bench: Bench) -> None:
    uri, out = bench.upload(COLOURS), f"gs://{bench.bucket}/first"
    first = bench.tune(uri, epochs=4, baseModel=LLAMA, outputUri=out)
    second = bench.tune(
        uri, baseModel=LLAMA, outputUri=f"{out}-2", customBaseModel=f"{out}/{FOLDER}/checkpoint-4/"
    )
    assert losses(bench, second)[0] < losses(bench, first)[0] / 2


def test_weights_of_another_shape_are_refused(bench: Bench) -> None:
    folder = f"gs://{bench.bucket}/foreign"
    bench.upload(b'{"model_type": "llama", "hidden_size": 4096}', name="foreign/config.json")
    bench.upload(b"\0" * 16, name="foreign/model.safetensors")
    asked = {"baseModel": LLAMA, "outputUri": f"gs://{bench.bucket}/o", "customBaseModel": folder}
    code, answer = bench.post(bench.body(**asked))
    assert code == 400
    assert "hidden_size" in answer["error"]["message"]


def test_hyperparameters_of_open_models_are_used(bench: Bench) -> None:
    parameters = {"epochCount": 1, "batchSize": 10, "learningRate": 0.001}
    asked = {
        "baseModel": LLAMA,
        "outputUri": f"gs://{bench.bucket}/h",
        "spec": {"hyperParameters": parameters},
    }
    job = bench.tune(bench.upload(COLOURS), **asked)
    assert job["tuningJobMetadata"]["completedStepCount"] == "4"
    lines = [json.loads(line) for line in bench.download(job["gcsMetricsUri"]).splitlines()]
    assert max(line["learning_rate"] for line in lines) == pytest.approx(0.001)
