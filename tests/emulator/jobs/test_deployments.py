"""Models that are uploaded, copied, exported and deployed, through google-cloud-aiplatform's own classes."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from vertex_tuning import training

from .conftest import LLAMA, LOCATION, Bench, Token

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.1m"
IMAGE = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve:latest"
ASKED = [{"role": "user", "content": "Say red."}]


@pytest.fixture
def platform(bench: Bench) -> Iterator[Any]:
    """`google.cloud.aiplatform`, initialised for the emulator over REST."""
    from google.cloud import aiplatform

    aiplatform.init(
        project="vertex-tuning-local",
        location="us-central1",
        credentials=Token(),
        api_endpoint=bench.running.address,
        api_transport="rest",
        staging_bucket=f"gs://{bench.bucket}",
    )
    yield aiplatform
    aiplatform.initializer.global_config._api_endpoint = None


def upload(platform: Any, uri: str, **options: Any) -> Any:
    named = {"display_name": "colours", **options}
    return platform.Model.upload(artifact_uri=uri, serving_container_image_uri=IMAGE, **named)


def prompts(bench: Bench, *names: str) -> list[dict[str, Any]]:
    chat = {"@requestFormat": "chatCompletions", "temperature": 0, "max_tokens": 8}
    return [{**chat, "messages": [{"role": "user", "content": f"Say {name}."}]} for name in names]


def said(prediction: Any) -> str:
    return str(prediction["choices"][0]["message"]["content"])


@pytest.mark.parametrize("kind", ["adapter", "whole"])
def test_a_tuned_open_model_is_uploaded_deployed_asked_and_removed(
    bench: Bench, platform: Any, kind: str, request: pytest.FixtureRequest
) -> None:
    model = upload(platform, request.getfixturevalue(kind), labels={"team": "a"}, version_aliases=["best"])
    assert model.version_id == "1"
    assert set(model.version_aliases) == {"default", "best"}
    assert model.container_spec.image_uri == IMAGE
    assert model.resource_name in [one.resource_name for one in platform.Model.list(filter="labels.team=a")]
    endpoint = model.deploy(machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1)
    assert [found.model for found in endpoint.list_models()] == [model.resource_name]
    answer = endpoint.predict(instances=prompts(bench, "red", "green"))
    assert [said(found) for found in answer.predictions] == ["red", "green"]
    assert answer.deployed_model_id == endpoint.list_models()[0].id
    assert (answer.model_resource_name, answer.model_version_id) == (model.resource_name, "1")
    client = bench.genai()
    reply = client.models.generate_content(
        model=endpoint.resource_name, contents="Say blue.", config={"temperature": 0, "max_output_tokens": 8}
    )
    assert reply.text == "blue"
    with pytest.raises(exceptions.BadRequest, match="Undeploy it first"):
        model.delete()
    endpoint.undeploy_all()
    endpoint.delete()
    model.delete()
    with pytest.raises(exceptions.NotFound):
        platform.Model(model.resource_name)


def test_a_version_is_added_copied_to_another_location_and_exported(
    bench: Bench, platform: Any, adapter: str, whole: str
) -> None:
    first = upload(platform, adapter, model_id=f"colours-{bench.bucket[-6:]}")
    assert first.name.startswith("colours-")
    second = upload(platform, whole, parent_model=first.name, is_default_version=False)
    assert (second.resource_name, second.version_id) == (first.resource_name, "2")
    assert platform.Model(first.resource_name).version_id == "1"
    third = upload(platform, adapter, parent_model=first.name)
    assert "default" in third.version_aliases
    assert platform.Model(first.resource_name).version_id == "3"

    copy = second.copy(destination_location="us-west1")
    assert copy.resource_name.split("/")[3] == "us-west1"
    assert copy.gca_resource.original_model_info.model == f"{first.resource_name}@2"
    named = second.copy(destination_location="us-west1", destination_model_id=f"{first.name}-copy")
    assert named.name == f"{first.name}-copy"
    again = first.copy(destination_location="us-west1", destination_parent_model=named.name)
    assert (again.name, again.version_id) == (named.name, "2")

    out = second.export_model("custom-trained", artifact_destination=f"gs://{bench.bucket}/exported")
    folder = out["artifactOutputUri"]
    assert folder.startswith(f"gs://{bench.bucket}/exported/model-export-colours-")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        name.rpartition("/")[2] for name in bench.objects(folder)
    }
    # What was copied or exported stands by itself.
    for model in (first, named):
        model.delete()
    endpoint = copy.deploy(machine_type="n1-standard-4")
    assert [said(found) for found in endpoint.predict(prompts(bench, "black")).predictions] == ["black"]
    assert upload(platform, folder).version_id == "1"


def test_a_tuned_gemini_is_copied_exported_and_deployed_to_an_endpoint_of_ones_own(
    bench: Bench, tuned: dict[str, Any], platform: Any
) -> None:
    source = platform.Model(tuned["tunedModel"]["model"])
    copy = source.copy(destination_location="us-central1")
    assert [found["checkpointId"] for found in bench.get(copy.resource_name)["checkpoints"]] == ["1", "2"]
    assert not bench.get(copy.resource_name).get("deployedModels")
    out = copy.export_model("genie", artifact_destination=f"gs://{bench.bucket}/gemini")
    assert f"{out['artifactOutputUri']}/adapter_model.safetensors".removeprefix(
        f"gs://{bench.bucket}/"
    ) in bench.objects(out["artifactOutputUri"])
    endpoint = platform.Endpoint.create(display_name="own")
    body = {"deployedModel": {"model": copy.resource_name, "checkpointId": "1"}, "trafficSplit": {"0": 100}}
    done = bench.call("POST", f"/v1beta1/{endpoint.resource_name}:deployModel", body)
    assert done["response"]["deployedModel"]["checkpointId"] == "1"
    contents = [{"role": "user", "parts": [{"text": "Say red."}]}]
    asked = {"contents": contents, "generationConfig": {"temperature": 0, "maxOutputTokens": 8}}
    first = tuned["tunedModel"]["checkpoints"][0]["endpoint"]
    answers = [
        bench.call("POST", f"/v1/{name}:generateContent", asked) for name in (endpoint.resource_name, first)
    ]
    texts = [answer["candidates"][0]["content"]["parts"][0]["text"] for answer in answers]
    assert texts[0] == texts[1]
    endpoint.delete(force=True)
    copy.delete()
    assert bench.get(source.resource_name)["deployedModels"]


def test_the_traffic_decides_who_answers(bench: Bench, platform: Any, adapter: str, whole: str) -> None:
    one, two = upload(platform, adapter, display_name="one"), upload(platform, whole, display_name="two")
    endpoint = platform.Endpoint.create(display_name="split")
    endpoint.deploy(one, machine_type="n1-standard-4")
    endpoint.deploy(two, machine_type="n1-standard-4", traffic_percentage=40)
    ids = {found.display_name: found.id for found in endpoint.list_models()}
    assert endpoint.traffic_split == {ids["one"]: 60, ids["two"]: 40}
    seen = [endpoint.predict(prompts(bench, "red")).deployed_model_id for _ in range(40)]
    assert {seen.count(identifier) > 3 for identifier in ids.values()} == {True}
    assert set(seen) == set(ids.values())
    endpoint.update(traffic_split={ids["two"]: 100})
    assert endpoint.predict(prompts(bench, "red")).deployed_model_id == ids["two"]
    with pytest.raises(exceptions.BadRequest, match="% of the endpoint's traffic"):
        endpoint.api_client.undeploy_model(endpoint=endpoint.resource_name, deployed_model_id=ids["two"])
    endpoint.undeploy(ids["two"], traffic_split={ids["one"]: 100, ids["two"]: 0})
    assert endpoint.predict(prompts(bench, "red")).deployed_model_id == ids["one"]
    mutated = endpoint.api_client.mutate_deployed_model(
        endpoint=endpoint.resource_name,
        deployed_model={
            "id": ids["one"],
            "dedicated_resources": {"min_replica_count": 1, "max_replica_count": 3},
        },
        update_mask={"paths": ["dedicated_resources.max_replica_count"]},
    ).result()
    assert mutated.deployed_model.dedicated_resources.max_replica_count == 3
    assert endpoint.list_models()[0].dedicated_resources.machine_spec.machine_type == "n1-standard-4"
    endpoint.delete(force=True)


def predict(bench: Bench, endpoint: str, *instances: dict[str, Any], **body: Any) -> Any:
    return bench.call("POST", f"/v1/{endpoint}:predict", {"instances": list(instances), **body})


def test_a_prompt_is_gone_on_with_as_it_is(bench: Bench, deployed: str) -> None:
    asked = {"prompt": "The colour is", "max_tokens": 4, "temperature": 0}
    raw = predict(bench, deployed, {**asked, "raw_response": True})["predictions"]
    framed = predict(bench, deployed, asked)["predictions"]
    assert framed == [f"Prompt:\nThe colour is\nOutput:\n{raw[0]}"]
    assert raw[0] != predict(bench, deployed, *prompts(bench, "red"))["predictions"][0]
    several = predict(bench, deployed, {**asked, "n": 2}, asked, parameters={"raw_response": True})
    assert several["predictions"] == [raw[0]] * 3


def test_a_container_is_asked_raw(bench: Bench, deployed: str) -> None:
    chat = {"messages": ASKED, "temperature": 0, "max_tokens": 8}
    assert said(bench.call("POST", f"/v1/{deployed}:rawPredict", chat)) == "red"
    instances = {"instances": prompts(bench, "red")}
    assert said(bench.call("POST", f"/v1/{deployed}:rawPredict", instances)["predictions"][0]) == "red"
    text = {"prompt": "The colour is", "max_tokens": 4, "temperature": 0, "raw_response": True}
    assert bench.call("POST", f"/v1/{deployed}:rawPredict", text) == {
        "predictions": predict(bench, deployed, text)["predictions"]
    }


def test_chat_completions_are_those_of_openai(bench: Bench, deployed: str) -> None:
    path = f"/v1beta1/{deployed}/chat/completions"
    body = {"model": "whatever", "messages": ASKED, "temperature": 0, "max_tokens": 8}
    answer = bench.call("POST", path, body)
    assert answer["object"] == "chat.completion"
    [choice] = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "red"}
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 2
    parts = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Say red."}]},
    ]
    assert (
        bench.call("POST", path, {**body, "messages": parts})["usage"]["prompt_tokens"]
        > usage["prompt_tokens"]
    )
    listed = bench.call("POST", path, {**body, "logprobs": True, "top_logprobs": 2})["choices"][0]["logprobs"]
    assert "".join(token["token"] for token in listed["content"]).strip() == "red"
    schema = {"type": "object", "properties": {"colour": {"enum": ["red"]}}, "required": ["colour"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    shaped = bench.call("POST", path, {**body, "response_format": form, "max_tokens": 60})
    assert json.loads(said(shaped)) == {"colour": "red"}


def stream(bench: Bench, path: str, body: dict[str, Any]) -> list[Any]:
    request = urllib.request.Request(
        bench.running.address + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        assert response.headers.get_content_type() == "text/event-stream"
        lines = [line for line in response.read().decode().split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_chat_completions_are_streamed(bench: Bench, deployed: str) -> None:
    body = {"messages": ASKED, "temperature": 0, "max_tokens": 8, "stream": True}
    for path in (f"/v1beta1/{deployed}/chat/completions", f"/v1/{deployed}:streamRawPredict"):
        found = stream(bench, path, {**body, "stream_options": {"include_usage": True}})
        *chunks, last = found
        assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
        assert len({chunk["id"] for chunk in found}) == 1
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "red"
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0
    assert "usage" not in stream(bench, f"/v1beta1/{deployed}/chat/completions", body)[-1]


def test_publisher_models_answer_chat_completions_by_their_name(bench: Bench, tuned: dict[str, Any]) -> None:
    path = f"/v1beta1/{LOCATION}/endpoints/openapi/chat/completions"
    body = {"messages": ASKED, "temperature": 0, "max_tokens": 8}
    answer = bench.call("POST", path, {**body, "model": "google/gemini-2.5-flash"})
    assert answer["model"] == "google/gemini-2.5-flash"
    assert bench.call("POST", path, {**body, "model": LLAMA})["choices"] == answer["choices"]
    assert bench.call("POST", path, {**body, "model": "google/gemini-0"})[0] == 404
    assert bench.call("POST", path, body)[0] == 400
    # A tuned one on its own endpoint.
    endpoint = tuned["tunedModel"]["endpoint"]
    assert bench.call("POST", f"/v1beta1/{endpoint}/chat/completions", body)["model"] == "gemini-2.5-flash"


def test_the_generated_clients_ask_over_rest_and_grpc(bench: Bench, deployed: str) -> None:
    program = """
import json, os, sys
from google.api import httpbody_pb2
from google.cloud import aiplatform_v1, aiplatform_v1beta1
endpoint = sys.argv[1]
location = os.environ["GOOGLE_CLOUD_LOCATION"]
options = {"api_endpoint": f"{location}-aiplatform.googleapis.com"}
body = {"messages": [{"role": "user", "content": "Say red."}], "temperature": 0, "max_tokens": 8}
for transport in ("rest", "grpc"):
    client = aiplatform_v1.PredictionServiceClient(transport=transport, client_options=options)
    instance = {"@requestFormat": "chatCompletions", **body}
    from google.protobuf import json_format, struct_pb2
    value = json_format.ParseDict(instance, struct_pb2.Value())
    found = client.predict(endpoint=endpoint, instances=[value])
    print(json_format.MessageToDict(found._pb.predictions[0])["choices"][0]["message"]["content"])
    raw = client.raw_predict(endpoint=endpoint, http_body=httpbody_pb2.HttpBody(
        content_type="application/json", data=json.dumps({"instances": [instance]}).encode()))
    print(json.loads(raw.data)["predictions"][0]["choices"][0]["message"]["content"])
client = aiplatform_v1beta1.PredictionServiceClient(client_options=options)
events = client.chat_completions(endpoint=endpoint, http_body=httpbody_pb2.HttpBody(
    content_type="application/json", data=json.dumps({**body, "stream": True}).encode()))
text = b"".join(event.data for event in events).decode()
chunks = [json.loads(line[6:]) for line in text.split("\\n") if line.startswith("data: {")]
print("".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, deployed],
        env=bench.running.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["red"] * 5


def test_model_gardens_own_class_deploys_a_folder(bench: Bench, platform: Any, adapter: str) -> None:
    from vertexai.preview import model_garden

    endpoint = model_garden.CustomModel(gcs_uri=adapter).deploy(endpoint_display_name="by its class")
    assert said(endpoint.predict(prompts(bench, "red")).predictions[0]) == "red"
    [held] = endpoint.list_models()
    assert held.dedicated_resources.machine_spec.machine_type == "g2-standard-12"
    assert platform.Model(held.model).uri == adapter
    assert endpoint.display_name == "by its class"
    endpoint.delete(force=True)
    platform.Model(held.model).delete()


def test_what_was_uploaded_outlives_a_crash_and_what_was_not_is_swept(
    own_bench: Any, bench: Bench, tmp_path: Any
) -> None:
    folder = tmp_path / "emulator"
    own = own_bench(data_dir=folder)
    for path in TINY.iterdir():
        own.upload(path.read_bytes(), name=f"given/{path.name}")
    model = {"displayName": "given", "artifactUri": f"gs://{own.bucket}/given"}
    model["containerSpec"] = {"imageUri": IMAGE}
    made = own.call("POST", f"/v1/{LOCATION}/models:upload", {"model": model})["response"]
    asked = {"customModel": {"gcsUri": f"gs://{own.bucket}/given"}}
    endpoint = own.call("POST", f"/v1beta1/{LOCATION}:deploy", asked)["response"]["endpoint"]
    own.running.kill()
    (folder / "models" / "left").mkdir()
    again = own_bench(data_dir=folder)
    assert again.get(made["model"])["versionId"] == "1"
    assert len(predict(again, endpoint, {"prompt": "The", "raw_response": True})["predictions"]) == 1
    assert not (folder / "models" / "left").exists()
    assert len(list((folder / "models").iterdir())) == 2
    assert again.call("DELETE", f"/v1/{made['model']}")["done"]
    assert len(list((folder / "models").iterdir())) == 1
    assert again.call("POST", "/emulator/reset") is not None
    assert not (folder / "models").exists()


def test_an_endpoint_of_its_own_host_answers_there(bench: Bench, deployed: str) -> None:
    model = bench.get(deployed)["deployedModels"][0]["model"]
    program = """
import os, sys
from google.cloud import aiplatform
aiplatform.init(project=os.environ["GOOGLE_CLOUD_PROJECT"], location=os.environ["GOOGLE_CLOUD_LOCATION"])
endpoint = aiplatform.Endpoint.create(display_name="dedicated", dedicated_endpoint_enabled=True)
endpoint.deploy(aiplatform.Model(sys.argv[1]), machine_type="n1-standard-4")
chat = {"messages": [{"role": "user", "content": "Say red."}], "temperature": 0, "max_tokens": 8}
found = endpoint.predict(instances=[{"@requestFormat": "chatCompletions", **chat}], use_dedicated_endpoint=True)
print(found.predictions["choices"][0]["message"]["content"], found.deployed_model_id == endpoint.list_models()[0].id)
raw = endpoint.predict(instances=[{"prompt": "The colour is", "raw_response": True}], use_raw_predict=True)
print(len(raw.predictions), raw.deployed_model_id == found.deployed_model_id)
endpoint.delete(force=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, model],
        env=bench.running.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.endswith(" True")] == ["red True", "1 True"]


def test_an_endpoint_is_changed_by_a_long_operation_too(bench: Bench) -> None:
    from google.cloud.aiplatform_v1 import EndpointServiceClient, types

    made = bench.call("POST", f"/v1/{LOCATION}/endpoints", {"displayName": "before"})["response"]["name"]
    client = EndpointServiceClient(
        transport="rest", credentials=Token(), client_options={"api_endpoint": bench.running.address}
    )
    changed = types.Endpoint(name=made, display_name="after", labels={"team": "a"})
    done = client.update_endpoint_long_running(endpoint=changed).result()
    assert (done.display_name, dict(done.labels)) == ("after", {"team": "a"})
    assert bench.call("GET", f"/v1/{made}")["displayName"] == "after"
