"""`rebaseTunedModel`: a tuned model again, on the newest base of its family."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from vertex_tuning import catalog

from .conftest import COLOURS, LOCATION, Bench
from .test_generated_clients import PLAIN

OLD = "gemini-2.0-flash-001"


@pytest.fixture(scope="module")
def old(bench: Bench) -> dict[str, Any]:
    """A job on a base that has a successor, under a display name and with labels."""
    hyper = {"hyperParameters": {"epochCount": 1, "adapterSize": "ADAPTER_SIZE_EIGHT"}}
    return bench.tune(
        baseModel=OLD, spec=hyper, tunedModelDisplayName="old one", description="why", labels={"key": "one"}
    )


def rebase(bench: Bench, reference: dict[str, str], location: str = LOCATION, **fields: Any) -> Any:
    return bench.call(
        "POST", f"/v1beta1/{location}/tuningJobs:rebaseTunedModel", {"tunedModelRef": reference, **fields}
    )


def refused(answer: Any) -> tuple[int, str, str]:
    """Status, rule and field."""
    assert isinstance(answer, tuple), answer
    details = answer[1]["error"]["details"]
    return answer[0], details[-1]["reason"], details[0].get("fieldViolations", [{}])[0].get("field", "")


def text(answer: Any) -> str:
    return str(answer[1]["error"]["message"])


def test_a_tuned_model_is_tuned_again_on_the_newest_base_with_its_data(
    bench: Bench, old: dict[str, Any]
) -> None:
    operation = rebase(bench, {"tunedModel": old["tunedModel"]["model"]})
    assert operation["done"]
    job = operation["response"]
    assert f"{job['name']}/operations/" in operation["name"]
    assert bench.call("GET", f"/ui/{operation['name']}") == operation
    assert job["baseModel"] == "gemini-3.5-flash"
    spec, before = job["supervisedTuningSpec"], old["supervisedTuningSpec"]
    assert spec["trainingDatasetUri"] == before["trainingDatasetUri"]
    assert "hyperParameters" not in spec, "those of the new base, as Google's guide says"
    assert (job["tunedModelDisplayName"], job["description"]) == ("old one", "why")
    assert "labels" not in job
    done = bench.wait(job["name"])
    assert done["state"] == "JOB_STATE_SUCCEEDED"
    assert done["tunedModel"]["model"].endswith("@1"), "a model of its own"
    assert "/locations/us/" in done["tunedModel"]["endpoint"]
    assert bench.get(old["name"])["tunedModel"] == old["tunedModel"]


def test_what_the_caller_gives_takes_the_place_of_what_the_first_job_had(
    bench: Bench, old: dict[str, Any]
) -> None:
    own = {
        "baseModel": "gemini-2.5-flash",
        "labels": {"by": "me"},
        "tunedModelDisplayName": "new one",
        "supervisedTuningSpec": {"hyperParameters": {"epochCount": 2}},
    }
    job = rebase(bench, {"tuningJob": old["name"]}, tuningJob=own)["response"]
    assert job["supervisedTuningSpec"] == {
        "trainingDatasetUri": old["supervisedTuningSpec"]["trainingDatasetUri"],
        "hyperParameters": {"epochCount": "2"},
    }
    assert (job["baseModel"], job["labels"]) == ("gemini-2.5-flash", {"by": "me"})
    assert job["tunedModelDisplayName"] == "new one"
    bench.call("POST", f"/v1/{job['name']}:cancel")


def test_the_new_model_takes_over_the_endpoint_where_that_is_asked(bench: Bench) -> None:
    first = bench.tune(baseModel=OLD, epochs=2, tunedModelDisplayName="shared")["tunedModel"]
    base = {"baseModel": "gemini-2.5-flash", "supervisedTuningSpec": {"hyperParameters": {"epochCount": 1}}}
    operation = rebase(bench, {"tunedModel": first["model"]}, tuningJob=base, deployToSameEndpoint=True)
    endpoint = bench.call("GET", f"/v1/{first['endpoint']}")
    assert endpoint["deployedModels"][0]["model"] == first["model"].partition("@")[0], "until it has trained"
    second = bench.wait(operation["response"]["name"])["tunedModel"]
    assert second["endpoint"] == first["endpoint"]
    endpoint = bench.call("GET", f"/v1/{first['endpoint']}")
    assert [model["model"] for model in endpoint["deployedModels"]] == [second["model"].partition("@")[0]]
    assert list(endpoint["trafficSplit"]) == [endpoint["deployedModels"][0]["id"]]
    question = {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}]}
    answer = bench.call("POST", f"/v1/{second['endpoint']}:generateContent", question)
    assert answer["modelVersion"] == "gemini-2.5-flash"
    places = [
        place["endpoint"] for place in bench.call("GET", f"/v1/{first['model']}").get("deployedModels", [])
    ]
    assert places == [first["checkpoints"][0]["endpoint"]], "the first model is no longer there"


def test_the_same_endpoint_must_be_where_the_new_model_is_served(bench: Bench, old: dict[str, Any]) -> None:
    answer = rebase(bench, {"tuningJob": old["name"]}, deployToSameEndpoint=True)
    assert refused(answer) == (400, "VT674", "tuned_model_ref")
    assert "in us-central1, and models tuned from gemini-3.5-flash are served in us" in text(answer)


def test_data_that_is_gone_is_told_and_can_be_replaced(bench: Bench) -> None:
    uri = bench.upload(COLOURS)
    job = bench.tune(uri, baseModel=OLD)
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    bench.call("DELETE", f"/storage/v1/b/{bucket}/o/{name}")
    answer = rebase(bench, {"tuningJob": job["name"]})
    field = "tuning_job.training_dataset_uri"
    assert refused(answer) == (400, "VT675", field)
    assert uri in text(answer)
    other = {"supervisedTuningSpec": {"trainingDatasetUri": bench.upload(COLOURS)}}
    made = rebase(bench, {"tuningJob": job["name"]}, tuningJob=other)["response"]
    bench.call("POST", f"/v1/{made['name']}:cancel")


def test_what_cannot_be_rebased_is_refused_with_the_reason(
    bench: Bench, old: dict[str, Any], tuned: dict[str, Any]
) -> None:
    assert refused(rebase(bench, {})) == (400, "VT673", "tuned_model_ref")
    assert refused(rebase(bench, {"tunedModel": "gemini"})) == (400, "VT674", "tuned_model_ref.tuned_model")
    assert refused(rebase(bench, {"tuningJob": "7"})) == (400, "VT674", "tuned_model_ref.tuning_job")
    assert rebase(bench, {"tunedModel": f"{LOCATION}/models/7"})[0] == 404
    assert rebase(bench, {"tuningJob": f"{LOCATION}/tuningJobs/7"})[0] == 404
    answer = rebase(bench, {"pipelineJob": f"{LOCATION}/pipelineJobs/7"})
    assert (answer[0], answer[1]["error"]["details"][0]["reason"]) == (400, "VT639")
    answer = rebase(bench, {"tuningJob": old["name"]}, artifactDestination={"outputUriPrefix": "/tmp"})
    assert refused(answer) == (400, "VT673", "artifact_destination.output_uri_prefix")
    failed = bench.create(bench.upload(b"{}\n"), baseModel=OLD)
    assert bench.wait(failed)["state"] == "JOB_STATE_FAILED"
    answer = rebase(bench, {"tuningJob": failed})
    assert refused(answer)[1:] == ("VT674", "tuned_model_ref.tuning_job")
    assert "JOB_STATE_FAILED" in text(answer)
    on = bench.tune(baseModel=None, preTunedModel={"tunedModelName": tuned["tunedModel"]["model"]})
    assert "tuned on from a tuned model" in text(rebase(bench, {"tuningJob": on["name"]}))


def test_a_model_on_the_newest_base_stays_where_it_is(bench: Bench) -> None:
    job = bench.tune(baseModel="gemini-3.5-flash")
    answer = rebase(bench, {"tuningJob": job["name"]})
    assert refused(answer)[:2] == (400, "VT674")
    assert "gemini-3.5-flash is the newest model of its family" in text(answer)


@pytest.mark.parametrize(
    ("base", "method", "location", "found"),
    [
        (OLD, "supervised", "us-central1", "gemini-3.5-flash"),
        (OLD, "supervised", "us-east1", "gemini-2.5-flash"),
        ("gemini-2.5-flash", "preference", "us-central1", "gemini-2.5-flash"),
        ("gemini-2.5-pro", "supervised", "us-central1", "gemini-2.5-pro"),
        ("gemini-2.0-flash-lite-001", "supervised", "europe-west4", "gemini-3.5-flash-lite"),
        ("google/gemma3@gemma-3-1b-it", "supervised", "us-central1", "google/gemma3@gemma-3-1b-it"),
    ],
)
def test_the_newest_of_a_family_offers_the_method_there(
    base: str, method: str, location: str, found: str
) -> None:
    assert catalog.newest(catalog.base_model(base), method, location).id == found


REBASE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from google.cloud import aiplatform
from vertexai.preview.tuning import sft

SETTINGS
job = sft.rebase_tuned_model(sys.argv[1])
while not job.refresh().has_ended:
    time.sleep(0.1)
assert job.has_succeeded, job.error
print(json.dumps([job.resource_name, job.to_dict()["baseModel"], job.tuned_model_endpoint_name]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["REST on the plain address", "gRPC through the front door"])
def test_vertexai_rebases_a_tuned_model(bench: Bench, old: dict[str, Any], way: str) -> None:
    if way.startswith("gRPC"):
        settings, environment = "", bench.running.environment
    else:
        settings = PLAIN.replace("ADDRESS", repr(bench.running.address))
        environment = dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", REBASE.replace("SETTINGS", settings), old["tunedModel"]["model"]],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    job, base, endpoint = json.loads(done.stdout.splitlines()[-1])
    assert job != old["name"]
    assert base == "gemini-3.5-flash"
    assert "/endpoints/" in endpoint


def test_a_copy_has_no_job_that_could_be_done_again(bench: Bench, old: dict[str, Any]) -> None:
    source = {"sourceModel": old["tunedModel"]["model"]}
    copied = bench.call("POST", f"/v1/{LOCATION}/models:copy", source)["response"]["model"]
    answer = rebase(bench, {"tunedModel": copied})
    assert refused(answer) == (400, "VT674", "tuned_model_ref.tuned_model")
