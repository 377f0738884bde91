"""Prompts, kept as Google's prompt management keeps them: by `vertexai.Client().prompts` and by the generated clients."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
import warnings
from typing import Any

import pytest
from google.genai import types as genai_types

from tests.emulator.jobs.conftest import LOCATION, Token

pytestmark = pytest.mark.filterwarnings("ignore:The Vertex SDK GenAI")

SCHEMA = "gs://google-cloud-aiplatform/schema/dataset/metadata/text_prompt_1.0.0.yaml"
METADATA = {
    "promptType": "multimodal_freeform",
    "note": 'kept, with "quotes", ünïcode and \u2028',
    "promptApiSchema": {
        "apiSchemaVersion": "1.0.0",
        "multimodalPrompt": {
            "promptMessage": {
                "model": "gemini-2.5-flash",
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "generationConfig": {"temperature": 0.5, "maxOutputTokens": 7},
            }
        },
    },
    "nothing": None,
    "empty": {},
    "numbers": [1, 1.5, -3, 12345678901234567],
}


@pytest.fixture
def impatient(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's client sleeps five seconds before it first looks at an operation; here it looks at once."""
    assert client
    sleep, rest = time.sleep, asyncio.sleep
    monkeypatch.setattr("vertexai._genai.prompts.time.sleep", lambda _: sleep(0.01))
    monkeypatch.setattr("vertexai._genai.prompts.asyncio.sleep", lambda _: rest(0.01))


@pytest.fixture
def client(emulator: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vertexai
        from vertexai._genai import prompts, types

        assert prompts
        assert types
        return vertexai.Client(
            project="vertex-tuning-local",
            location="us-central1",
            credentials=Token(),
            http_options={"base_url": emulator.address, "api_version": "v1beta1"},
        )


def prompt(text: str, model: str = "gemini-2.5-flash", **variables: str) -> Any:
    from vertexai._genai import types

    return types.Prompt(
        prompt_data=types.PromptData(
            model=model,
            contents=[genai_types.Content(role="user", parts=[genai_types.Part(text=text)])],
            system_instruction=genai_types.Content(parts=[genai_types.Part(text="Be brief.")]),
            generation_config=genai_types.GenerationConfig(temperature=0.5, max_output_tokens=7),
            variables=[{key: genai_types.Part(text=value) for key, value in variables.items()}]
            if variables
            else None,
        )
    )


def text_of(found: Any) -> str:
    return str(found.assemble_contents()[0].parts[0].text)


def body(**fields: Any) -> dict[str, Any]:
    return {"displayName": "by hand", "metadataSchemaUri": SCHEMA, "metadata": METADATA, **fields}


def reason(answer: Any) -> str:
    assert isinstance(answer, tuple), answer
    return str(answer[1]["error"]["details"][-1]["reason"])


def post(emulator: Any, **fields: Any) -> Any:
    answer = emulator.call("POST", f"/v1/{LOCATION}/datasets", body(**fields))
    return answer["response"] if isinstance(answer, dict) else answer


def test_a_prompt_is_saved_changed_restored_and_deleted_by_googles_client(
    client: Any, impatient: None
) -> None:
    saved = client.prompts.create_version(
        prompt=prompt("Hello {name}", name="Alice"),
        config={"prompt_display_name": "greeting", "version_display_name": "first"},
    )
    identifier = saved.prompt_id
    assert saved.version_id == "1"
    assert (saved.dataset.display_name, saved.dataset_version.display_name) == ("greeting", "first")
    found = client.prompts.get(prompt_id=identifier)
    assert text_of(found) == "Hello Alice"
    assert found.prompt_data.generation_config.max_output_tokens == 7
    assert found.prompt_data.system_instruction.parts[0].text == "Be brief."

    changed = client.prompts.update(
        prompt_id=identifier,
        prompt=prompt("Bye", "gemini-2.5-pro"),
        config={"version_display_name": "second"},
    )
    assert (changed.prompt_id, changed.version_id) == (identifier, "2")
    assert changed.dataset.display_name == "greeting"
    listed = {ref.prompt_id: ref.model for ref in client.prompts.list()}
    assert listed[identifier] == "gemini-2.5-pro"
    versions = list(client.prompts.list_versions(prompt_id=identifier))
    assert [(ref.version_id, ref.model) for ref in versions] == [
        ("2", "gemini-2.5-pro"),
        ("1", "gemini-2.5-flash"),
    ]

    assert text_of(client.prompts.restore_version(prompt_id=identifier, version_id="1")) == "Hello Alice"
    assert text_of(client.prompts.get(prompt_id=identifier)) == "Hello Alice"
    client.prompts.delete_version(prompt_id=identifier, version_id="1")
    assert [ref.version_id for ref in client.prompts.list_versions(prompt_id=identifier)] == ["3", "2"]
    client.prompts.delete(prompt_id=identifier)
    assert identifier not in {ref.prompt_id for ref in client.prompts.list()}
    with pytest.raises(Exception, match="404"):
        client.prompts.get(prompt_id=identifier)


async def test_the_asynchronous_client_does_the_same(client: Any, impatient: None) -> None:
    saved = await client.aio.prompts.create(prompt=prompt("Hello"), config={"prompt_display_name": "awaited"})
    assert text_of(await client.aio.prompts.get(prompt_id=saved.prompt_id)) == "Hello"
    await client.aio.prompts.delete(prompt_id=saved.prompt_id)
    await client.aio.aclose()


def test_the_generated_client_and_the_older_module_see_the_same_prompts(emulator: Any) -> None:
    from google.api_core import exceptions
    from google.api_core.client_options import ClientOptions
    from google.cloud import aiplatform_v1beta1

    service = aiplatform_v1beta1.DatasetServiceClient(
        transport="rest",
        credentials=Token(),
        client_options=ClientOptions(api_endpoint=emulator.address),
    )
    message = METADATA["promptApiSchema"]
    made = service.create_dataset(
        parent=LOCATION,
        dataset={
            "display_name": "generated",
            "metadata_schema_uri": SCHEMA,
            "metadata": {"promptType": "multimodal_freeform", "promptApiSchema": message},
            "labels": {"team": "a"},
        },
    ).result(timeout=30)
    assert made.model_reference == "gemini-2.5-flash"
    assert made.etag
    version = service.create_dataset_version(
        parent=made.name, dataset_version={"display_name": "one"}
    ).result(timeout=30)
    assert version.metadata["promptApiSchema"]["multimodalPrompt"]["promptMessage"]["contents"]
    made.metadata = {"promptType": "freeform", "promptApiSchema": {}}
    changed = service.update_dataset(
        dataset=made, update_mask={"paths": ["model_reference", "metadata", "display_name"]}
    )
    assert changed.metadata["promptType"] == "freeform"
    with pytest.raises(exceptions.Conflict, match="etag"):
        service.update_dataset(dataset=made, update_mask={"paths": ["metadata"]})
    restored = service.restore_dataset_version(name=version.name).result(timeout=30)
    assert restored.name.endswith("/datasetVersions/2")
    assert restored.display_name == "one"
    assert service.get_dataset(name=made.name).metadata["promptType"] == "multimodal_freeform"
    renamed = service.update_dataset_version(
        dataset_version={"name": version.name, "display_name": "renamed"},
        update_mask={"paths": ["display_name"]},
    )
    assert renamed.display_name == "renamed"
    service.delete_dataset(name=made.name).result(timeout=30)
    with pytest.raises(exceptions.NotFound):
        service.get_dataset_version(name=version.name)


def test_the_content_is_kept_as_it_was_sent(emulator: Any) -> None:
    made = post(emulator)
    assert made["metadata"] == METADATA
    assert emulator.call("GET", f"/v1beta1/{made['name']}")["metadata"] == METADATA
    emulator.call("POST", f"/v1/{made['name']}/datasetVersions", {})
    version = emulator.call("GET", f"/v1/{made['name']}/datasetVersions/1")
    assert version["metadata"] == METADATA
    assert version["modelReference"] == "gemini-2.5-flash"


def test_prompts_are_found_by_name_label_and_schema_and_come_in_pages(emulator: Any) -> None:
    team = uuid.uuid4().hex[:12]
    names = [post(emulator, displayName=f"{team} {n}", labels={"team": team})["name"] for n in range(3)]
    path = f"/v1/{LOCATION}/datasets"
    first = emulator.call("GET", f"{path}?filter=labels.team={team}&pageSize=2")
    assert [item["name"] for item in first["datasets"]] == names[:0:-1]
    rest = emulator.call(
        "GET", f"{path}?filter=labels.team={team}&pageSize=2&pageToken={first['nextPageToken']}"
    )
    assert [item["name"] for item in rest["datasets"]] == names[:1]
    assert "nextPageToken" not in rest
    for text in (f"display_name%3D%22{team}%201%22", f"display_name:%22{team}%201%22"):
        assert [item["name"] for item in emulator.call("GET", f"{path}?filter={text}")["datasets"]] == [
            names[1]
        ]
    other = f"{path}?filter=labels.team={team}%20AND%20metadata_schema_uri!=%22{SCHEMA}%22"
    assert emulator.call("GET", other) == {}
    assert emulator.call("GET", f"{path}?filter=colour%3Dred")[0] == 400


def test_a_data_set_that_is_no_prompt_is_refused_by_name(emulator: Any) -> None:
    answer = post(emulator, metadataSchemaUri=SCHEMA.replace("text_prompt", "image"))
    assert (answer[0], reason(answer)) == (400, "VT670")
    assert "image_1.0.0" in answer[1]["error"]["message"]
    made = post(emulator)
    answer = emulator.call("POST", f"/v1/{made['name']}:import", {})
    assert (answer[0], reason(answer)) == (400, "VT670")


@pytest.mark.parametrize(
    ("fields", "rule", "field"),
    [
        ({"metadata": None}, "VT671", "dataset.metadata"),
        ({"metadata": "text"}, "VT671", "dataset.metadata"),
        ({"metadata": {"promptApiSchema": 7}}, "VT671", "dataset.metadata.promptApiSchema"),
        ({"metadataSchemaUri": ""}, "VT671", "dataset.metadata_schema_uri"),
        ({"displayName": ""}, "VT640", "dataset.display_name"),
        ({"displayName": "x" * 129}, "VT640", "dataset.display_name"),
        ({"labels": {"Team": "A"}}, "VT640", "dataset.labels"),
    ],
)
def test_what_is_no_prompt_is_refused_with_the_field(
    emulator: Any, fields: dict[str, Any], rule: str, field: str
) -> None:
    answer = post(emulator, **fields)
    assert (answer[0], reason(answer)) == (400, rule)
    assert answer[1]["error"]["details"][0]["fieldViolations"][0]["field"] == field


def test_a_change_that_somebody_else_made_meanwhile_is_not_undone(emulator: Any) -> None:
    made = post(emulator)
    path = f"/v1/{made['name']}"
    assert (
        emulator.call("PATCH", path, {"description": "first", "etag": made["etag"]})["etag"] != made["etag"]
    )
    answer = emulator.call("PATCH", path, {"description": "second", "etag": made["etag"]})
    assert (answer[0], reason(answer)) == (409, "VT672")
    assert emulator.call("GET", path)["description"] == "first"
    answer = emulator.call("PATCH", f"{path}?updateMask=metadata", {})
    assert (answer[0], reason(answer)) == (400, "VT671")
    assert emulator.call("PATCH", f"{path}?updateMask=createTime", {})[0] == 400


def test_the_operations_of_prompts_can_be_asked_for(emulator: Any) -> None:
    operation = emulator.call("POST", f"/v1beta1/{LOCATION}/datasets", body())
    assert "/datasets/" in operation["name"]
    assert emulator.call("GET", f"/v1beta1/{operation['name']}") == operation
    name = operation["response"]["name"]
    gone = emulator.call("DELETE", f"/v1beta1/{name}")
    assert "/datasets/" not in gone["name"]
    assert emulator.call("GET", f"/v1beta1/{gone['name']}")["done"]
    assert emulator.call("GET", f"/v1beta1/{operation['name']}")[0] == 404
    assert emulator.call("DELETE", f"/v1beta1/{name}")[0] == 404


@pytest.mark.filterwarnings("ignore:The prompt_optimizer.optimize_prompt method is deprecated")
def test_a_prompt_is_optimized_by_asking_a_model_in_the_form_that_googles_client_reads(client: Any) -> None:
    text = 'Say "hi" to {name},\nin {language}.'
    answer = client.prompts.optimize(prompt=text)
    found = answer.parsed_response
    assert found.original_prompt == text
    assert found.suggested_prompt
    assert found.optimization_type == "OPTIMIZATION_TARGET_GENERAL"
    if found.suggested_prompt != text:
        (change,) = found.applicable_guidelines
        assert (change.text_before_change, change.text_after_change) == (text, found.suggested_prompt)
        assert change.applicable_guideline
    assert json.loads(answer.raw_text_response)["suggested_prompt"] == found.suggested_prompt
    again = client.prompt_optimizer.optimize_prompt(prompt=text)
    assert again.parsed_response == found, "at temperature 0"


def test_instructions_are_optimized_by_examples(client: Any) -> None:
    from pandas import DataFrame

    rows = [{"prompt": "2+2?", "model_response": "It is four.", "target_response": "4"}]
    answer = client.prompts.optimize(
        prompt="Answer sums.",
        config={
            "optimization_target": "OPTIMIZATION_TARGET_FEW_SHOT_TARGET_RESPONSE",
            "examples_dataframe": DataFrame(rows),
        },
    )
    assert answer.parsed_response.original_system_instructions == "Answer sums."
    assert answer.parsed_response.new_system_instructions


def test_an_optimized_prompt_comes_in_pieces(emulator: Any) -> None:
    body = {
        "content": {"parts": [{"text": "Say hi."}]},
        "optimizationTarget": "OPTIMIZATION_TARGET_GEMINI_NANO",
    }
    pieces = emulator.call("POST", f"/v1beta1/{LOCATION}/tuningJobs:optimizePrompt", body)
    texts = [piece["content"]["parts"][0]["text"] for piece in pieces]
    assert len(texts) > 1
    assert json.loads("".join(texts))["optimization_type"] == "OPTIMIZATION_TARGET_GEMINI_NANO"


@pytest.mark.parametrize("content", [None, {}, {"parts": [{"text": " "}]}, {"parts": [{"fileData": {}}]}])
def test_without_a_text_there_is_nothing_to_optimize(emulator: Any, content: Any) -> None:
    path = f"/v1beta1/{LOCATION}/tuningJobs:optimizePrompt"
    answer = emulator.call("POST", path, {"content": content})
    assert (answer[0], reason(answer)) == (400, "VT676")
    assert emulator.call("POST", path.replace("v1beta1", "v1"), {})[0] == 404


def test_prompts_survive_a_crash(start_emulator: Any) -> None:
    running = start_emulator()
    made = post(running)
    running.call("POST", f"/v1/{made['name']}/datasetVersions", {"displayName": "one"})
    running.kill()
    again = start_emulator(data_dir=running.data_dir)
    assert again.call("GET", f"/v1/{made['name']}")["metadata"] == METADATA
    assert (
        again.call("GET", f"/v1/{made['name']}/datasetVersions")["datasetVersions"][0]["displayName"] == "one"
    )
