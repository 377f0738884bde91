"""The same through google-cloud-aiplatform: its generated clients, and `vertexai.tuning.sft` on top."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .conftest import COLOURS, LOCATION, Bench

pytestmark = pytest.mark.slow


def generated(bench: Bench, version: str, service: str) -> Any:
    import importlib

    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    module = importlib.import_module(f"google.cloud.aiplatform_{version}")
    return getattr(module, f"{service}Client")(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=bench.running.address),
    )


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_generated_clients_tune_list_fail_and_cancel(bench: Bench, version: str) -> None:
    from google.api_core import exceptions

    client = generated(bench, version, "GenAiTuningService")
    spec = {
        "training_dataset_uri": bench.upload(COLOURS),
        # By number, out of order: FOUR is 2.
        "hyper_parameters": {"epoch_count": 1, "adapter_size": 2},
    }
    job = client.create_tuning_job(
        parent=LOCATION,
        tuning_job={
            "base_model": "gemini-2.5-flash",
            "supervised_tuning_spec": spec,
            "labels": {"by": f"generated-{version}"},
        },
    )
    assert bench.get(job.name)["supervisedTuningSpec"]["hyperParameters"] == {
        "adapterSize": "ADAPTER_SIZE_FOUR",
        "epochCount": "1",
    }
    bench.wait(job.name)
    job = client.get_tuning_job(name=job.name)
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.tuned_model.endpoint
    assert job.tuning_data_stats.supervised_tuning_data_stats.tuning_dataset_example_count == len(COLOURS)
    found = client.list_tuning_jobs(
        request={"parent": LOCATION, "filter": f"labels.by=generated-{version}", "page_size": 1}
    )
    assert [one.name for one in found] == [job.name]
    model = generated(bench, version, "ModelService").get_model(name=job.tuned_model.model)
    assert model.version_id == "1"
    endpoint = generated(bench, version, "EndpointService").get_endpoint(name=job.tuned_model.endpoint)
    assert endpoint.deployed_models[0].model == model.name

    broken = bench.create(bench.upload(b"{}\n"))
    bench.wait(broken)
    assert client.get_tuning_job(name=broken).error.code == 3
    with pytest.raises(exceptions.BadRequest, match="has ended"):
        client.cancel_tuning_job(name=broken)
    with pytest.raises(exceptions.NotFound):
        client.get_tuning_job(name=f"{LOCATION}/tuningJobs/7")
    spec["training_dataset_uri"] = "gs://b/x.csv"
    with pytest.raises(exceptions.BadRequest, match="should be a GCS object of type JSONL"):
        client.create_tuning_job(
            parent=LOCATION, tuning_job={"base_model": "gemini-2.5-flash", "supervised_tuning_spec": spec}
        )


def test_operations_of_the_generated_clients_come_to_an_end(bench: Bench) -> None:
    client = generated(bench, "v1", "EndpointService")
    made = client.create_endpoint(parent=LOCATION, endpoint={"display_name": "by hand"}).result(timeout=30)
    assert made.display_name == "by hand"
    client.delete_endpoint(name=made.name).result(timeout=30)


TRAIN = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from google.cloud import aiplatform
from vertexai.tuning import sft

SETTINGS
job = sft.train(
    source_model="gemini-2.5-flash", train_dataset=sys.argv[1], epochs=2, adapter_size=4, labels={"by": "sft"}
)
while not job.refresh().has_ended:
    time.sleep(0.1)
assert job.has_succeeded, job.error
endpoint = aiplatform.Endpoint(job.tuned_model_endpoint_name).display_name
model = aiplatform.Model(job.tuned_model_name)
versions = [version.version_id for version in model.versioning_registry.list_versions()]
listed = [one.resource_name for one in sft.SupervisedTuningJob.list()]
for place in model.gca_resource.deployed_models:
    aiplatform.Endpoint(place.endpoint).delete(force=True)
model.delete()
print(json.dumps([job.resource_name, job.experiment.name, endpoint, versions, listed]))
"""
PLAIN = """
from google.auth.credentials import AnonymousCredentials
aiplatform.init(
    project="vertex-tuning-local", location="us-central1", credentials=AnonymousCredentials(),
    api_endpoint=ADDRESS, api_transport="rest",
)
"""


@pytest.mark.parametrize("way", ["REST on the plain address", "gRPC through the front door"])
def test_vertexai_tuning_sft_trains_refreshes_and_cleans_up(bench: Bench, way: str) -> None:
    """On Google's own objects: `refresh` fetches the experiment, `delete(force=True)` undeploys first."""
    if way.startswith("gRPC"):
        settings, environment = "", bench.running.environment
    else:
        settings = PLAIN.replace("ADDRESS", repr(bench.running.address))
        environment = dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN.replace("SETTINGS", settings), bench.upload(COLOURS)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    job, experiment, display_name, versions, listed = json.loads(done.stdout.splitlines()[-1])
    assert experiment.startswith("tuning-experiment-")
    assert display_name.startswith("SupervisedTuningJob ")
    assert versions == ["1"]
    assert job in listed
