"""Tuned models: versions, aliases, checkpoints, endpoints, and how they go."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import errors, types

from .conftest import COLOURS, LOCATION, Bench

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")


@pytest.fixture
def model(bench: Bench) -> dict[str, Any]:
    """`tunedModel` of a job of the test's own: two checkpoints."""
    tuned: dict[str, Any] = bench.tune(epochs=2, tunedModelDisplayName="mine")["tunedModel"]
    return tuned


def unversioned(tuned: dict[str, Any]) -> str:
    return str(tuned["model"].partition("@")[0])


def code_of(answer: Any) -> tuple[int, str]:
    assert isinstance(answer, tuple), answer
    return answer[0], answer[1]["error"]["status"]


def remove(bench: Bench, tuned: dict[str, Any]) -> None:
    """As Google wants it: undeploy, then delete the endpoints, then the model."""
    for place in bench.call("GET", f"/v1/{tuned['model']}")["deployedModels"]:
        deployed = {"deployedModelId": place["deployedModelId"]}
        assert bench.call("POST", f"/v1/{place['endpoint']}:undeployModel", deployed)["done"]
        assert bench.call("DELETE", f"/v1/{place['endpoint']}")["done"]


def test_the_default_checkpoint_decides_which_endpoint_is_the_models(
    bench: Bench, model: dict[str, Any]
) -> None:
    client = bench.genai()
    first, last = model["checkpoints"]
    assert model["endpoint"] == last["endpoint"]
    changed = client.models.update(
        model=model["model"], config=types.UpdateModelConfig(default_checkpoint_id="1", display_name="better")
    )
    assert changed.default_checkpoint_id == "1"
    assert changed.display_name == "better"
    jobs = bench.call("GET", f'/v1/{LOCATION}/tuningJobs?filter=tunedModelDisplayName="mine"')["tuningJobs"]
    mine = next(job for job in jobs if job["tunedModel"]["model"] == model["model"])
    assert mine["tunedModel"]["endpoint"] == first["endpoint"]
    assert [checkpoint["endpoint"] for checkpoint in mine["tunedModel"]["checkpoints"]] == [
        first["endpoint"],
        last["endpoint"],
    ], "each checkpoint keeps its endpoint"
    shown = bench.call("GET", f"/v1/{model['model']}")
    assert shown["deployedModels"][0]["endpoint"] == first["endpoint"]


def test_an_update_mask_says_what_is_changed(bench: Bench, model: dict[str, Any]) -> None:
    path = f"/v1/{unversioned(model)}"
    body = {"displayName": "new", "description": "why", "labels": {"a": "b"}}
    changed = bench.call("PATCH", f"{path}?updateMask=description,display_name", body)
    assert (changed["displayName"], changed["description"]) == ("new", "why")
    assert "tune-type" in changed["labels"], "labels were not named"
    assert bench.call("PATCH", f"{path}?updateMask=description", {})["description"] == ""
    assert code_of(bench.call("PATCH", f"{path}?updateMask=versionId", {}))[0] == 400
    assert code_of(bench.call("PATCH", path, {"defaultCheckpointId": "9"})) == (400, "INVALID_ARGUMENT")
    assert code_of(bench.call("PATCH", path, {"labels": {"A": ""}})) == (400, "INVALID_ARGUMENT")
    assert code_of(bench.call("PATCH", f"{path}?updateMask=displayName", {}))[0] == 400


def test_a_model_is_found_by_version_alias_and_default(bench: Bench, model: dict[str, Any]) -> None:
    name = unversioned(model)
    merged = bench.call("POST", f"/v1/{name}:mergeVersionAliases", {"versionAliases": ["best-one"]})
    assert merged["versionAliases"] == ["default", "best-one"]
    for suffix in ("", "@1", "@default", "@best-one", "%401"):
        assert bench.call("GET", f"/v1/{name}{suffix}")["versionId"] == "1"
    for suffix in ("@2", "@worst", "9"):
        assert code_of(bench.call("GET", f"/v1/{name}{suffix}")) == (404, "NOT_FOUND")
    merged = bench.call("POST", f"/v1/{name}:mergeVersionAliases", {"versionAliases": ["-best-one"]})
    assert merged["versionAliases"] == ["default"]
    for alias in ("-default", "UPPER", "7", "x"):
        refused = bench.call("POST", f"/v1/{name}:mergeVersionAliases", {"versionAliases": [alias]})
        assert code_of(refused) == (400, "INVALID_ARGUMENT")


def test_tuning_on_makes_the_next_version(bench: Bench, model: dict[str, Any]) -> None:
    client = bench.genai()
    name = unversioned(model)
    job = client.tunings.tune(
        base_model=model["model"],
        training_dataset=types.TuningDataset(gcs_uri=bench.upload(COLOURS)),
        config=types.CreateTuningJobConfig(epoch_count=1, pre_tuned_model_checkpoint_id="1"),
    )
    assert job.name is not None
    done = bench.wait(job.name)
    assert done["preTunedModel"] == {
        "tunedModelName": model["model"],
        "checkpointId": "1",
        "baseModel": "gemini-2.5-flash",
    }
    assert done["tunedModel"]["model"] == f"{name}@2"
    versions = bench.call("GET", f"/v1/{name}:listVersions")["models"]
    assert [version["versionId"] for version in versions] == ["2", "1"]
    assert [version.get("versionAliases", []) for version in versions] == [["default"], []]
    assert bench.call("GET", f"/v1/{name}")["versionId"] == "2"
    assert len({version["displayName"] for version in versions}) == 1
    rows = bench.call("GET", f"/v1/{LOCATION}/models?pageSize=1000")["models"]
    assert [row["versionId"] for row in rows if row["name"] == name] == ["2"], "one row per model"


def test_tuning_on_under_another_name_makes_another_model(bench: Bench, model: dict[str, Any]) -> None:
    source = {"tunedModelName": unversioned(model)}
    same = bench.tune(baseModel=None, preTunedModel=source, tunedModelDisplayName="mine")["tunedModel"]
    other = bench.tune(baseModel=None, preTunedModel=source, tunedModelDisplayName="other")["tunedModel"]
    assert same["model"] == f"{unversioned(model)}@2"
    assert other["model"].endswith("@1")
    assert unversioned(other) != unversioned(model)


def test_tuning_on_goes_on_from_what_was_learnt(bench: Bench) -> None:
    import json

    def losses(job: dict[str, Any]) -> list[float]:
        return [json.loads(line)["loss"] for line in bench.download(job["gcsMetricsUri"]).splitlines()]

    uri = bench.upload(COLOURS)
    first = bench.tune(uri, epochs=6)
    on = {"preTunedModel": {"tunedModelName": first["tunedModel"]["model"]}}
    second = bench.tune(uri, epochs=1, baseModel=None, **on)
    assert losses(second)[0] < losses(first)[0] / 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"checkpointId": "7"}, 400),
        ({"tunedModelName": "{name}@9"}, 404),
        ({"tunedModelName": "projects/vertex-tuning-local/locations/us-central1/models/1"}, 404),
    ],
)
def test_what_is_not_there_cannot_be_tuned_on(
    bench: Bench, tuned: dict[str, Any], changes: dict[str, str], code: int
) -> None:
    name = unversioned(tuned["tunedModel"])
    source = {"tunedModelName": name, **{key: value.format(name=name) for key, value in changes.items()}}
    assert bench.post(bench.body(baseModel=None, preTunedModel=source))[0] == code


def test_a_job_tunes_on_in_its_models_region(bench: Bench, tuned: dict[str, Any]) -> None:
    far = LOCATION.replace("us-central1", "us-east4")
    source = {"tunedModelName": tuned["tunedModel"]["model"]}
    code, answer = bench.post(bench.body(baseModel=None, preTunedModel=source), far)
    assert code == 400
    assert "pre_tuned_model.tuned_model_name" in answer["error"]["message"]


def test_gemini_3_is_served_from_its_multi_region(bench: Bench) -> None:
    job = bench.tune(baseModel="gemini-3.5-flash")
    assert "/locations/us/" in job["tunedModel"]["model"]
    assert "/locations/us/" in job["tunedModel"]["endpoint"]
    name = job["tunedModel"]["model"]
    assert bench.call("GET", f"/v1/{name}")["versionId"] == "1"
    assert bench.call("GET", f"/v1/{name.replace('/us/', '/us-central1/')}")[0] == 404
    again = bench.tune(baseModel=None, preTunedModel={"tunedModelName": name})
    assert again["tunedModel"]["model"] == name.replace("@1", "@2")


def test_a_deployed_model_is_not_deleted(bench: Bench, model: dict[str, Any]) -> None:
    name = unversioned(model)
    client = bench.genai()
    with pytest.raises(errors.ClientError) as caught:
        client.models.delete(model=name)
    assert caught.value.code == 400
    assert model["endpoint"] in str(caught.value)
    assert code_of(bench.call("DELETE", f"/v1/{model['endpoint']}")) == (400, "FAILED_PRECONDITION")
    folder = bench.running.data_dir / "jobs"
    before = set(folder.iterdir())
    remove(bench, model)
    client.models.delete(model=name)
    assert code_of(bench.call("GET", f"/v1/{name}")) == (404, "NOT_FOUND")
    assert len(before - set(folder.iterdir())) == 1, "its files are gone too"


def test_versions_go_one_by_one_and_their_numbers_do_not_come_back(
    bench: Bench, model: dict[str, Any]
) -> None:
    name = unversioned(model)
    on: dict[str, Any] = {"baseModel": None, "preTunedModel": {"tunedModelName": f"{name}@1"}}
    second = bench.tune(**on)["tunedModel"]
    assert code_of(bench.call("DELETE", f"/v1/{name}:deleteVersion"))[0] == 400
    assert code_of(bench.call("DELETE", f"/v1/{name}@2:deleteVersion")) == (400, "FAILED_PRECONDITION")
    bench.call("POST", f"/v1/{name}@1:mergeVersionAliases", {"versionAliases": ["default"]})
    assert code_of(bench.call("DELETE", f"/v1/{name}@2:deleteVersion")) == (400, "FAILED_PRECONDITION")
    remove(bench, second)
    assert bench.call("DELETE", f"/v1/{name}@2:deleteVersion")["done"]
    assert bench.call("GET", f"/v1/{name}")["versionId"] == "1"
    assert bench.tune(**on)["tunedModel"]["model"] == f"{name}@3"


def test_an_undeployed_endpoint_stays_until_it_is_deleted(bench: Bench, model: dict[str, Any]) -> None:
    first = model["checkpoints"][0]["endpoint"]
    shown = bench.call("GET", f"/v1/{first}")
    assert shown["deployedModels"][0]["checkpointId"] == "1"
    deployed = {"deployedModelId": shown["deployedModels"][0]["id"]}
    done = bench.call("POST", f"/v1beta1/{first}:undeployModel", deployed)
    assert done["response"]["@type"].endswith("v1beta1.UndeployModelResponse")
    assert bench.call("GET", f"/v1/{first}").get("deployedModels", []) == []
    assert code_of(bench.call("POST", f"/v1/{first}:undeployModel", deployed)) == (404, "NOT_FOUND")
    places = bench.call("GET", f"/v1/{model['model']}")["deployedModels"]
    assert [place["endpoint"] for place in places] == [model["endpoint"]]


def test_endpoints_are_made_listed_changed_and_deleted_by_hand(bench: Bench) -> None:
    made = bench.call("POST", f"/v1/{LOCATION}/endpoints", {"displayName": "by hand"})
    name = made["response"]["name"]
    assert made["done"]
    assert made["name"].startswith(f"{name}/operations/")
    assert bench.call("GET", f"/ui/{made['name']}") == bench.call("GET", f"/v1beta1/{made['name']}")
    listed = bench.call("GET", f'/v1/{LOCATION}/endpoints?filter=display_name="by%20hand"')["endpoints"]
    assert name in [endpoint["name"] for endpoint in listed]
    assert bench.call("PATCH", f"/v1/{name}?updateMask=labels", {"labels": {"a": "b"}})["labels"] == {
        "a": "b"
    }
    assert code_of(bench.call("PATCH", f"/v1/{name}", {"trafficSplit": {"1": 100}}))[0] == 400
    assert (
        code_of(bench.call("POST", f"/v1/{LOCATION}/endpoints?endpointId=A/b", {"displayName": "x"}))[0]
        == 400
    )
    assert code_of(bench.call("POST", f"/v1/{LOCATION}/endpoints", {}))[0] == 400
    assert bench.call("DELETE", f"/v1/{name}")["done"]
    assert code_of(bench.call("GET", f"/v1/{name}")) == (404, "NOT_FOUND")


def test_operations_are_kept_until_they_are_deleted(bench: Bench) -> None:
    name = bench.call("POST", f"/v1/{LOCATION}/endpoints", {"displayName": "x"})["name"]
    assert bench.call("POST", f"/v1/{name}:wait", {})["done"]
    assert bench.call("POST", f"/v1/{name}:cancel", {}) == {}
    parent = name.partition("/operations/")[0]
    assert [found["name"] for found in bench.call("GET", f"/v1/{parent}/operations")["operations"]] == [name]
    assert bench.call("DELETE", f"/v1/{name}") == {}
    assert code_of(bench.call("GET", f"/v1/{name}")) == (404, "NOT_FOUND")


def test_publisher_models_are_found_as_google_genai_asks_for_them(bench: Bench) -> None:
    client = bench.genai()
    assert client.models.get(model="gemini-2.5-flash").name == "publishers/google/models/gemini-2.5-flash"
    names = {model.name for model in client.models.list(config={"page_size": 3})}
    assert {"publishers/google/models/gemini-2.5-pro", "publishers/google/models/gemini-3.5-flash"} <= names
    for name in ("gemini-9", "projects/1/locations/us-central1/models/77"):
        with pytest.raises(errors.ClientError) as caught:
            client.models.get(model=name)
        assert caught.value.code == 404
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="models/gemini-2.5-flash")  # a tuned model may not be called so
    assert caught.value.code == 400


def test_a_model_that_is_asked_by_its_own_name_is_told_to_be_asked_by_its_endpoint(
    bench: Bench, tuned: dict[str, Any]
) -> None:
    client = bench.genai()
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=tuned["tunedModel"]["model"], contents="Say red.")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert "malformed" in str(caught.value)
    assert "/endpoints/" in str(caught.value)
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="models/gemini-2.5-flash", contents="Say red.")
    assert caught.value.code == 404
