"""What cannot be uploaded, deployed or asked is refused with every fault by its field, and never with a 5xx."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import pytest

from .conftest import LLAMA, LOCATION, Bench
from .test_deployments import ASKED, IMAGE, TINY


def refused(answer: Any, rule: str, status: int = 400) -> str:
    """The message of an error with that rule."""
    assert isinstance(answer, tuple), answer
    code, body = answer
    assert code == status, answer
    rules = [detail["reason"] for detail in body["error"]["details"] if "reason" in detail]
    assert rules == [rule], answer
    return str(body["error"]["message"])


def folder(bench: Bench, **files: bytes | None) -> str:
    """A folder with the tiny model's files, some of them replaced or left out (`__` stands for a dot)."""
    name = f"given-{len(bench.objects(f'gs://{bench.bucket}/given'))}"
    found = {path.name: path.read_bytes() for path in TINY.iterdir()}
    for key, data in files.items():
        found.pop(key.replace("__", "."), None)
        if data is not None:
            found[key.replace("__", ".")] = data
    for key, data in found.items():
        bench.upload(data, name=f"{name}/{key}")
    return f"gs://{bench.bucket}/{name}"


def upload(bench: Bench, uri: str, **fields: Any) -> Any:
    model = {"displayName": "given", "artifactUri": uri, "containerSpec": {"imageUri": IMAGE}, **fields}
    return bench.call("POST", f"/v1/{LOCATION}/models:upload", {"model": model})


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_a_model_without_a_tokenizer_gets_that_of_its_kind(bench: Bench) -> None:
    uri = folder(bench, tokenizer__json=None, tokenizer_config__json=None, chat_template__jinja=None)
    assert upload(bench, uri)["response"]["modelVersionId"] == "1"


@pytest.mark.parametrize(
    ("files", "rule", "words"),
    [
        ({"config__json": None}, "VT660", "neither a model"),
        ({"pytorch_model__bin": b"\x80\x04."}, "VT661", "pytorch_model.bin"),
        ({"README__md": b"#", "x__pkl": b"."}, "VT661", "README.md, x.pkl"),
        ({"config__json": b"[]"}, "VT662", "not a JSON object"),
        ({"config__json": b'{"model_type": "llama", "hidden_size": 4096}'}, "VT662", "hidden_size"),
        ({"model__safetensors": b"\0" * 16}, "VT662", "header"),
        ({"model__safetensors": b"\xff" * 64}, "VT662", "header is longer"),
        ({"model__safetensors": safetensors([1])}, "VT662", "not one of safetensors"),
        ({"model__safetensors": safetensors({"a": {"dtype": "F32"}})}, "VT662", "not one of safetensors"),
        (
            {
                "model__safetensors": safetensors(
                    {"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}
                )
            },
            "VT662",
            "not as large",
        ),
        ({"model__safetensors": safetensors({})}, "VT662", "differ"),
        ({"tokenizer__json": b"{}"}, "VT662", "tokenizer"),
        ({"chat_template__jinja": b"{% for %}"}, "VT662", "tokenizer"),
        ({"generation_config__json": b'{"eos_token_id": "x"}'}, "VT662", "must be a number"),
    ],
)
def test_weights_that_cannot_be_served_are_refused_before_they_are_kept(
    bench: Bench, files: dict[str, bytes | None], rule: str, words: str
) -> None:
    uri = folder(bench, **files)
    before = len(list((bench.running.data_dir / "models").glob("*")))
    assert words in refused(upload(bench, uri), rule)
    assert len(list((bench.running.data_dir / "models").glob("*"))) == before
    asked = {"baseModel": LLAMA, "outputUri": f"gs://{bench.bucket}/o", "customBaseModel": uri}
    asked["spec"] = {"tuningMode": "TUNING_MODE_FULL"}
    assert words in refused(bench.post(bench.body(**asked)), rule)


@pytest.mark.parametrize(
    ("config", "tensors", "words"),
    [
        ({"peft_type": "IA3"}, {}, "not a plain LoRA"),
        ({"lora_alpha": "much"}, {}, "not a plain LoRA"),
        ({"lora_alpha": 4, "use_dora": True}, {}, "use_dora"),
        ({"lora_alpha": 4}, {}, "no weights"),
        ({"lora_alpha": 4}, {"some.weight": [1, 1]}, "some.weight"),
        (
            {"lora_alpha": 4},
            {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": [2, 2]},
            "q_proj",
        ),
    ],
)
def test_adapters_of_another_kind_are_refused(
    bench: Bench, config: dict[str, Any], tensors: dict[str, list[int]], words: str
) -> None:
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    name = f"odd-{len(bench.objects(f'gs://{bench.bucket}/odd'))}"
    bench.upload(json.dumps(config).encode(), name=f"{name}/adapter_config.json")
    bench.upload(safetensors(header, b"\0" * end), name=f"{name}/adapter_model.safetensors")
    assert words in refused(upload(bench, f"gs://{bench.bucket}/{name}"), "VT662")


def test_every_fault_of_an_upload_or_a_copy_is_listed(bench: Bench) -> None:
    path = f"/v1/{LOCATION}/models"
    asked = {"model": {"labels": {"A": "b"}, "artifactUri": "somewhere"}, "modelId": "1x", "parentModel": "m"}
    message = refused(bench.call("POST", f"{path}:upload", asked), "VT663")
    for field in ("model.labels", "model.display_name", "model_id", "parent_model", "model.artifact_uri"):
        assert f"Field: {field};" in message
    assert "model.container_spec.image_uri" in message
    assert "does not exist" in refused(upload(bench, "gs://no-such-bucket-at-all/x"), "VT663")
    assert "VT660" in str(upload(bench, f"gs://{bench.bucket}/nothing-there"))
    assert "source_model" in refused(bench.call("POST", f"{path}:copy", {"sourceModel": "m"}), "VT663")
    other = {"sourceModel": "projects/other/locations/us-central1/models/1"}
    assert "same project" in refused(bench.call("POST", f"{path}:copy", other), "VT663")
    gone = {"sourceModel": f"{LOCATION}/models/12"}
    assert bench.call("POST", f"{path}:copy", gone)[0] == 404
    named = f"taken-{bench.bucket[-6:]}"
    model = {"displayName": "given", "artifactUri": folder(bench), "containerSpec": {"imageUri": IMAGE}}
    assert bench.call("POST", f"{path}:upload", {"model": model, "modelId": named})["done"]
    refused(bench.call("POST", f"{path}:upload", {"model": model, "modelId": named}), "VT663", 409)
    assert (
        bench.call("POST", f"{path}:upload", {"model": model, "parentModel": f"{LOCATION}/models/9"})[0]
        == 404
    )
    uploaded = f"{LOCATION}/models/{named}"
    spec = {"trainingDatasetUri": f"gs://{bench.bucket}/x.jsonl"}
    job = {"preTunedModel": {"tunedModelName": uploaded}, "supervisedTuningSpec": spec}
    assert "custom_base_model" in str(bench.post(job))
    for config, field in (
        ({}, "output_uri_prefix"),
        ({"exportFormatId": "tflite"}, "export_format_id"),
        ({"imageDestination": {"outputUri": "x"}}, "image_destination"),
        ({"artifactDestination": {"outputUriPrefix": "gs://no-such-bucket-at-all/x"}}, "does not exist"),
    ):
        answer = bench.call("POST", f"/v1/{uploaded}:export", {"outputConfig": config})
        assert field in refused(answer, "VT666")


def test_every_fault_of_a_deployment_is_listed(bench: Bench, deployed: str, tuned: dict[str, Any]) -> None:
    held = bench.get(deployed)["deployedModels"][0]
    path, model = f"/v1/{deployed}", held["model"]
    dedicated = {"machineSpec": {"machineType": "n1-standard-4"}, "minReplicaCount": 1}

    def deploy(split: dict[str, int] | None = None, **fields: Any) -> str:
        body = {"deployedModel": {"model": model, "dedicatedResources": dedicated, **fields}}
        body["trafficSplit"] = split or {}
        return refused(bench.call("POST", f"{path}:deployModel", body), "VT664")

    assert "not the name of a model" in deploy(model="m")
    assert "1 to 10 digits" in deploy(id="x")
    assert "machine_type is required" in deploy(dedicatedResources={"minReplicaCount": 1})
    assert "min_replica_count must be at least 1" in deploy(
        dedicatedResources={**dedicated, "minReplicaCount": 0}
    )
    assert "max_replica_count (1)" in deploy(
        dedicatedResources={**dedicated, "minReplicaCount": 2, "maxReplicaCount": 1}
    )
    assert "go together" in deploy(
        dedicatedResources={**dedicated, "machineSpec": {"machineType": "a", "acceleratorCount": 1}}
    )
    assert "add up to 100" in deploy({"0": 50})
    assert "no deployed model has this id" in deploy({"0": 50, "77": 50})
    assert "Checkpoint '9'" in deploy(checkpointId="9")
    assert "shared machines" in deploy(model=tuned["tunedModel"]["model"])
    bare = {"deployedModel": {"model": model}}
    assert "dedicated_resources" in refused(bench.call("POST", f"{path}:deployModel", bare), "VT664")
    gone = {"deployedModel": {"model": f"{LOCATION}/models/9", "dedicatedResources": dedicated}}
    assert bench.call("POST", f"{path}:deployModel", gone)[0] == 404
    for mask, deployed_id, code in (("", held["id"], 400), ("model", held["id"], 400), ("x", "7", 404)):
        body = {"deployedModel": {"id": deployed_id}, "updateMask": mask}
        assert bench.call("POST", f"{path}:mutateDeployedModel", body)[0] == code
    negative = {"id": held["id"], "dedicatedResources": {"minReplicaCount": -1}}
    body = {"deployedModel": negative, "updateMask": "dedicatedResources.minReplicaCount"}
    refused(bench.call("POST", f"{path}:mutateDeployedModel", body), "VT664")
    refused(bench.call("PATCH", path, {"trafficSplit": {held["id"]: 99}}), "VT665")
    assert bench.get(deployed)["deployedModels"] == [held]
    garden = f"/v1beta1/{LOCATION}:deploy"
    refused(bench.call("POST", garden, {}), "VT663")
    refused(bench.call("POST", garden, {"huggingFaceModelId": "a/b"}), "VT639", 400)
    refused(bench.call("POST", garden, {"customModel": {"gcsUri": f"gs://{bench.bucket}/nothing"}}), "VT660")


def test_an_endpoint_whose_models_get_no_traffic_does_not_answer(bench: Bench, deployed: str) -> None:
    endpoint = bench.call("POST", f"/v1/{LOCATION}/endpoints", {"displayName": "quiet"})["response"]["name"]
    asked = {"instances": [{"prompt": "x"}]}
    assert "no model deployed" in refused(bench.call("POST", f"/v1/{endpoint}:predict", asked), "VT645")
    model = bench.get(deployed)["deployedModels"][0]["model"]
    body = {"deployedModel": {"model": model, "automaticResources": {"minReplicaCount": 1}}}
    assert bench.call("POST", f"/v1/{endpoint}:deployModel", body)["done"]
    assert "trafficSplit is empty" in refused(bench.call("POST", f"/v1/{endpoint}:predict", asked), "VT645")
    held = bench.get(endpoint)["deployedModels"][0]["id"]
    assert bench.call("POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": held})["done"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "instances is required"),
        ({"instances": [1]}, "must be a JSON object"),
        ({"instances": [{}]}, "prompt is required"),
        ({"instances": [{"prompt": 1, "temprature": 1}]}, "instances[0].temprature"),
        ({"instances": [{"prompt": "a", "max_tokens": "many"}]}, "instances[0].max_tokens"),
        ({"instances": [{"prompt": "a", "max_tokens": 0}]}, "maxOutputTokens"),
        ({"instances": [{"prompt": "a", "temperature": 9}]}, "temperature"),
        ({"instances": [{"prompt": "a", "temperature": "NaN"}]}, "temperature"),
        ({"instances": [{"prompt": "a", "stop": [1]}]}, "stop"),
        ({"instances": [{"prompt": "a", "@requestFormat": "x"}]}, "@requestFormat"),
        ({"instances": [{"@requestFormat": "chatCompletions"}]}, "messages"),
        ({"instances": [{"prompt": "a"}], "parameters": [1]}, "parameters"),
        ({"instances": [{"prompt": "a " * 3000}]}, "token"),
        ({"instances": "x"}, "instances"),
    ],
)
def test_instances_that_are_none_are_refused(
    bench: Bench,
    deployed: str,
    body: dict[str, Any],
    words: str,
) -> None:
    for verb in ("predict", "rawPredict"):
        code, answer = bench.call("POST", f"/v1/{deployed}:{verb}", body)
        assert code == 400, answer
        # Asked raw, a body without instances is one itself.
        assert words in answer["error"]["message"] or (verb == "rawPredict" and "instances" not in body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "JSON object"),
        ({}, "messages is required"),
        ({"messages": {}}, "must be a list"),
        ({"messages": [7]}, r"messages\[0\]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "reads? text only"),
        ({"messages": ASKED, "tools": [{"type": "function"}]}, "tools"),
        ({"messages": ASKED, "temperature": "hot", "max_tokens": 1.5}, "temperature.*max_tokens"),
        ({"messages": ASKED, "temperature": 3}, "temperature"),
        ({"messages": ASKED, "n": 99}, "candidateCount"),
        ({"messages": ASKED, "stream": "yes"}, "stream"),
        ({"messages": ASKED, "response_format": {"type": "yaml"}}, "yaml"),
        ({"messages": ASKED, "response_format": {"type": "json_schema"}}, "json_schema"),
        ({"messages": ASKED, "response_format": 7}, "response_format"),
        ({"messages": [{"role": "system", "content": "x"}]}, "contents"),
        ({"messages": ASKED, "model": 7}, "model"),
    ],
)
def test_chat_completions_that_are_none_are_refused(
    bench: Bench,
    deployed: str,
    body: Any,
    words: str,
) -> None:
    for path in (f"{deployed}/chat/completions", f"{LOCATION}/endpoints/openapi/chat/completions"):
        if isinstance(body, dict) and "openapi" in path:
            body = {"model": "google/gemini-2.5-flash", **body}
        code, answer = bench.call("POST", f"/v1beta1/{path}", body)
        assert code == 400, answer
        assert answer["error"]["status"] == "INVALID_ARGUMENT"
        assert re.search(words, answer["error"]["message"], re.DOTALL), answer


def test_a_refusal_says_by_which_rule(bench: Bench, deployed: str) -> None:
    refused(bench.call("POST", f"/v1/{deployed}:predict", {"instances": [{}]}), "VT668")
    refused(bench.call("POST", f"/v1beta1/{deployed}/chat/completions", {}), "VT667")


def test_gemini_is_not_asked_by_predict(bench: Bench, tuned: dict[str, Any]) -> None:
    for target in (tuned["tunedModel"]["endpoint"], f"{LOCATION}/publishers/google/models/gemini-2.5-flash"):
        for verb in ("predict", "rawPredict"):
            refused(bench.call("POST", f"/v1/{target}:{verb}", {"instances": [{"prompt": "x"}]}), "VT669")


def test_bodies_that_are_no_json_are_refused(bench: Bench, deployed: str) -> None:
    import urllib.error
    import urllib.request

    for path in (f"{deployed}:rawPredict", f"{deployed}/chat/completions"):
        for data in (b"{", b"\xff", b'{"httpBody": {"data": "?"}}', b'{"httpBody": 3}', b"", b"null"):
            request = urllib.request.Request(f"{bench.running.address}/v1beta1/{path}", data)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            assert caught.value.code == 400
            assert json.loads(caught.value.read())["error"]["status"] == "INVALID_ARGUMENT"


def test_bad_verbs_and_versions_are_as_google_answers_them(bench: Bench, deployed: str) -> None:
    assert bench.call("GET", f"/v1/{deployed}:predict")[0] == 404
    # customModel is of v1beta1 alone.
    assert bench.call("POST", f"/v1/{LOCATION}:deploy", {"customModel": {"gcsUri": "gs://b/f"}})[0] == 400
