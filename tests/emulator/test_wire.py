"""Promises of the wire: what clients may send, what they are told, and what they get back."""

from __future__ import annotations

import json
import math
import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest

from vertex_tuning.emulator.state import spelled
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.wire import Wire, parse_json
from vertex_tuning.emulator.wire.schema import FOLDER, schema

WIRE = Wire()

# Bodies recorded from google-genai 2.34.0, `tunings.tune`, one per method.
GENAI_BODIES = {
    "supervised": """{"baseModel":"gemini-2.5-flash","supervisedTuningSpec":{"trainingDatasetUri":
        "gs://b/train.jsonl","validationDatasetUri":"gs://b/val.jsonl","hyperParameters":{"epochCount":3,
        "learningRateMultiplier":0.5,"adapterSize":"ADAPTER_SIZE_FOUR"},"exportLastCheckpointOnly":true},
        "tunedModelDisplayName":"d","description":"x","labels":{"team":"a"},"encryptionSpec":{"kms_key_name":
        "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}}""",
    "preference": """{"baseModel":"gemini-2.5-flash","preferenceOptimizationSpec":{"trainingDatasetUri":
        "gs://b/pref.jsonl","validationDatasetUri":"gs://b/pv.jsonl","hyperParameters":{"epochCount":2,
        "learningRateMultiplier":1.0,"adapterSize":"ADAPTER_SIZE_FOUR","beta":0.1},
        "exportLastCheckpointOnly":true}}""",
    "distillation": """{"baseModel":"gemini-2.5-flash-lite","distillationSpec":{"promptDatasetUri":
        "gs://b/prompts.jsonl","validationDatasetUri":"gs://b/pv.jsonl","hyperParameters":{"epochCount":2,
        "learningRateMultiplier":1.0,"adapterSize":"ADAPTER_SIZE_FOUR","sftLossWeightMultiplier":0.3},
        "baseTeacherModel":"gemini-2.5-pro"},"outputUri":"gs://b/out"}""",
    "distillation from a tuned teacher": """{"baseModel":"gemini-2.5-flash-lite","distillationSpec":{
        "promptDatasetUri":"gs://b/prompts.jsonl","tunedTeacherModelSource":
        "projects/p/locations/us-central1/models/7@1"}}""",
    "reinforcement": """{"baseModel":"gemini-3.5-flash","reinforcementTuningSpec":{"trainingDatasetUri":
        "gs://b/rl.jsonl","hyperParameters":{"epochCount":2,"learningRateMultiplier":1.0,"adapterSize":
        "ADAPTER_SIZE_SIXTEEN","batchSize":64,"samplesPerPrompt":8,"evaluateInterval":10,"checkpointInterval":
        20,"maxOutputTokens":4096,"thinkingLevel":"HIGH"},"singleRewardConfig":{"rewardName":"exact",
        "parseResponseConfig":{"parse_type":"REGEX_EXTRACT","regex_extract_expression":"<ans>(.*?)</ans>"},
        "stringMatchRewardScorer":{"wrong_answer_reward":-1.0,"correct_answer_reward":1.0,
        "string_match_expression":{"match_operation":"EXACT_MATCH","expression":"{{references.answer}}"}}},
        "validationDatasetUri":"gs://b/rlv.jsonl"}}""",
    "composite reward": r"""{"baseModel":"gemini-3.5-flash","reinforcementTuningSpec":{
        "compositeRewardConfig":{"weightedRewardConfigs":[{"rewardConfig":{"rewardName":"code","codeExecutionRewardScorer":{
        "python_code_snippet":"def evaluate(example, response):\n    return 1.0\n"}},"weight":0.2},
        {"rewardConfig":{"rewardName":"json","stringMatchRewardScorer":{"wrong_answer_reward":0.0,
        "correct_answer_reward":1.0,"json_match_expression":{"key_name":"answer",
        "value_string_match_expression":{"match_operation":"PARTIAL_MATCH","expression":
        "{{references.answer}}"}}}},"weight":0.2},{"rewardConfig":{"autoraterScorer":{"autoraterConfig":{
        "samplingCount":4,"autoraterModel":
        "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash","generationConfig":{
        "temperature":0.0}},"autoraterPrompt":"Rate {{response}} for {{prompt}}",
        "autoraterResponseParseConfig":{"parse_type":"REGEX_EXTRACT","regex_extract_expression":
        "<score>(.*?)</score>"},"parsedResponseConversionScorer":{}},"rewardName":"judge"},"weight":0.3},
        {"rewardConfig":{"rewardName":"run","cloudRunRewardScorer":{"cloud_run_uri":"https://x-uc.a.run.app"}},
        "weight":1.0}]}}}""",
    "continuous": """{"preTunedModel":{"checkpoint_id":"3","tuned_model_name":
        "projects/p/locations/us-central1/models/7@1"},"supervisedTuningSpec":{"trainingDatasetUri":
        "gs://b/t2.jsonl"},"tunedModelDisplayName":"cont"}""",
    "open model": """{"baseModel":"meta/llama3_1@llama-3.1-8b-instruct","supervisedTuningSpec":{
        "trainingDatasetUri":"gs://b/t.jsonl","hyperParameters":{"epochCount":1,"adapterSize":
        "ADAPTER_SIZE_SIXTEEN","batchSize":4,"learningRate":0.0002},"tuningMode":"TUNING_MODE_PEFT_ADAPTER"},
        "customBaseModel":"gs://b/weights","outputUri":"gs://b/out"}""",
    "evaluation with nulls": """{"baseModel":"gemini-2.5-flash","supervisedTuningSpec":{"trainingDatasetUri":
        "gs://b/t.jsonl","evaluationConfig":{"metrics":[{"bleu_spec":null,"rouge_spec":null,
        "aggregation_metrics":["AVERAGE","STANDARD_DEVIATION"],"pointwise_metric_spec":{
        "metric_prompt_template":"{response}"}}],"outputConfig":{"gcs_destination":{"output_uri_prefix":
        "gs://b/e"}}}}}""",
}

# The body of `vertexai.tuning.sft.train` 2.7.0 (REST): enums are numbers, 64-bit integers are strings.
GAPIC_BODY = """{"tunedModelDisplayName":"d","baseModel":"gemini-2.5-flash","supervisedTuningSpec":{
    "trainingDatasetUri":"gs://b/t.jsonl","validationDatasetUri":"gs://b/v.jsonl","hyperParameters":{"epochCount":
    "3","learningRateMultiplier":0.5,"adapterSize":2}},"labels":{"a":"b"}}"""


def tuning_job(text: str, version: str = "v1beta1", **options: Any) -> dict[str, Any]:
    return WIRE.parse("TuningJob", parse_json(text.encode()), version, **options)


def refusal(message: str, data: object, version: str = "v1beta1", **options: Any) -> list[str]:
    """What a client is told; and it must be told as `google.rpc.BadRequest` too."""
    with pytest.raises(ApiError) as caught:
        WIRE.parse(message, data, version, **options)
    body = caught.value.body()["error"]
    assert (body["code"], body["status"]) == (400, "INVALID_ARGUMENT")
    texts = [violation["description"] for violation in body["details"][0]["fieldViolations"]]
    assert body["message"] == "\n".join(texts)
    return texts


@pytest.mark.parametrize("name", GENAI_BODIES)
def test_every_body_of_google_genai_is_understood(name: str) -> None:
    job = tuning_job(GENAI_BODIES[name])
    shown = WIRE.render("TuningJob", job, "v1beta1")
    assert WIRE.problems("TuningJob", shown, "v1beta1") == []
    assert "_" not in "".join(_keys(job))


def test_the_dialects_of_genai_and_of_the_generated_clients_mean_the_same() -> None:
    numbers = tuning_job(GAPIC_BODY)
    names = tuning_job(GAPIC_BODY.replace('"3"', "3").replace(":2}", ':"ADAPTER_SIZE_FOUR"}'))
    snake = tuning_job(
        GAPIC_BODY.replace("supervisedTuningSpec", "supervised_tuning_spec").replace(
            "epochCount", "epoch_count"
        )
    )
    assert numbers == names == snake
    assert numbers["supervisedTuningSpec"]["hyperParameters"] == {
        "epochCount": "3",
        "learningRateMultiplier": 0.5,
        "adapterSize": "ADAPTER_SIZE_FOUR",
    }


@pytest.mark.parametrize(
    ("number", "name"), [(1, "ONE"), (2, "FOUR"), (3, "EIGHT"), (4, "SIXTEEN"), (5, "THIRTY_TWO"), (6, "TWO")]
)
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_adapter_sizes_have_googles_numbers(version: str, number: int, name: str) -> None:
    for given in (number, float(number), str(number), f"ADAPTER_SIZE_{name}", f"adapter-size-{name}".lower()):
        parsed = WIRE.parse("SupervisedHyperParameters", {"adapterSize": given}, version)
        assert parsed == {"adapterSize": f"ADAPTER_SIZE_{name}"}


def test_job_states_have_googles_numbers() -> None:
    states = (
        "UNSPECIFIED QUEUED PENDING RUNNING SUCCEEDED FAILED CANCELLING CANCELLED PAUSED EXPIRED UPDATING"
    )
    for number, name in enumerate([*states.split(), "PARTIALLY_SUCCEEDED"]):
        assert WIRE.parse("TuningJob", {"state": number}, "v1", output_only=True) == {
            "state": f"JOB_STATE_{name}"
        }


def test_what_v1_does_not_have_is_refused_there() -> None:
    for name in ("distillation", "reinforcement", "open model"):
        with pytest.raises(ApiError, match="Cannot find field"):
            tuning_job(GENAI_BODIES[name], "v1")
    for name in ("supervised", "preference", "continuous"):
        tuning_job(GENAI_BODIES[name], "v1")
    assert refusal("TuningJob", {"outputUri": "gs://b"}, "v1") == [
        "Invalid JSON payload received. Unknown name \"outputUri\" at 'tuning_job': Cannot find field."
    ]


def test_every_fault_is_told_at_once_with_its_place() -> None:
    told = refusal(
        "TuningJob",
        {
            "supervisedTuningSpec": {
                "foo": 1,
                "hyperParameters": {"epochCount": "many", "adapterSize": "HUGE", "learningRate": [1]},
                "exportLastCheckpointOnly": {"yes": True},
            },
            "labels": {"a": "b", "c": 1},
            "encryptionSpec": "key",
        },
    )
    at = "tuning_job.supervised_tuning_spec"
    assert told == [
        f"Invalid JSON payload received. Unknown name \"foo\" at '{at}': Cannot find field.",
        f"Invalid value at '{at}.hyper_parameters.epoch_count' (TYPE_INT64), \"many\"",
        f"Invalid value at '{at}.hyper_parameters.adapter_size' (type.googleapis.com/google.cloud.aiplatform."
        'v1beta1.SupervisedHyperParameters.AdapterSize), "HUGE"',
        f"Invalid JSON payload received. Unknown name \"learningRate\" at '{at}.hyper_parameters': "
        "Proto field is not repeating, cannot start list.",
        f"Invalid value at '{at}' (export_last_checkpoint_only), Starting an object on a scalar field",
        "Invalid value at 'tuning_job.labels[1].value' (TYPE_STRING), 1",
        "Invalid value at 'tuning_job.encryption_spec' (type.googleapis.com/google.cloud.aiplatform."
        'v1beta1.EncryptionSpec), "key"',
    ]


def test_a_fault_in_the_request_itself_has_no_place_and_no_field() -> None:
    with pytest.raises(ApiError) as caught:
        WIRE.parse("GenerateContentRequest", {"content": []}, "v1")
    text = 'Invalid JSON payload received. Unknown name "content": Cannot find field.'
    assert caught.value.details[0]["fieldViolations"] == [{"description": text}]


def test_places_in_lists_and_maps_are_counted() -> None:
    tool = {"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {"$schema": "x"}}}}]}
    assert refusal("GenerateContentRequest", {"tools": [{}, tool]}) == [
        'Invalid JSON payload received. Unknown name "$schema" at '
        "'tools[1].function_declarations[0].parameters.properties[0].value': Cannot find field."
    ]


def test_a_list_is_no_map() -> None:
    assert refusal("TuningJob", {"labels": []}) == [
        "Invalid value at 'tuning_job' (Map), Cannot bind a list to map for field 'labels'."
    ]


def test_the_caller_may_say_where_the_body_stands() -> None:
    [told] = refusal("Model", {"foo": 1}, root="request.model")
    assert "at 'request.model'" in told


def test_two_members_of_a_oneof_are_refused() -> None:
    told = refusal("TuningJob", {"supervisedTuningSpec": {}, "reinforcementTuningSpec": {}})
    assert told == [
        "Invalid value at 'tuning_job' (oneof), oneof field 'tuning_spec' is already set. "
        "Cannot set 'reinforcementTuningSpec'"
    ]
    assert "'source_model'" in refusal("TuningJob", {"baseModel": "a", "preTunedModel": {}}, "v1")[0]
    assert "'data'" in refusal("Content", {"parts": [{"text": "a", "inlineData": {}}]})[0]


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("ReinforcementTuningSpec", {"singleRewardConfig": {}, "compositeRewardConfig": {}}),
        ("ValidateReinforcementTuningRewardRequest", {"singleRewardConfig": {}, "compositeRewardConfig": {}}),
        ("SingleReinforcementTuningRewardConfig", {"autoraterScorer": {}, "stringMatchRewardScorer": {}}),
        (
            "SingleReinforcementTuningRewardConfig",
            {"cloudRunRewardScorer": {}, "code_execution_reward_scorer": {}},
        ),
        (
            "ReinforcementTuningStringMatchRewardScorer",
            {"jsonMatchExpression": {}, "stringMatchExpression": {}},
        ),
        (
            "ReinforcementTuningAutoraterScorer",
            {"exactMatchScorer": {}, "parsedResponseConversionScorer": {}},
        ),
    ],
)
def test_oneofs_that_only_the_guides_tell_of_are_held_too(message: str, body: dict[str, Any]) -> None:
    [told] = refusal(message, body)
    assert "(oneof)" in told


def test_a_null_sets_nothing_so_a_oneof_stays_open() -> None:
    assert WIRE.parse("TuningJob", {"baseModel": None, "preTunedModel": {"checkpointId": None}}, "v1") == {
        "preTunedModel": {}
    }


def test_a_field_given_in_both_spellings_is_refused() -> None:
    [told] = refusal("TuningJob", {"tunedModelDisplayName": "a", "tuned_model_display_name": "b"})
    assert told.startswith("Invalid value at 'tuning_job.tuned_model_display_name' (TYPE_STRING)")
    assert "already been set" in told
    [told] = refusal("TuningJob", {"baseModel": "a", "base_model": "a"})
    assert "oneof field 'source_model' is already set. Cannot set 'base_model'" in told


def test_output_only_fields_of_a_request_are_ignored_but_must_be_well_formed() -> None:
    body = {"baseModel": "x", "name": "n", "state": "JOB_STATE_FAILED", "createTime": "2026-11-10T10:00:00Z"}
    assert WIRE.parse("TuningJob", body, "v1beta1") == {"baseModel": "x"}
    assert WIRE.parse("TuningJob", body, "v1beta1", output_only=True) == body
    assert "time format" in refusal("TuningJob", {"createTime": "yesterday"})[0]


def test_what_the_path_says_may_stand_in_the_body_again() -> None:
    body = {
        "model": "projects/p/locations/l/endpoints/9",
        "contents": {"role": "user", "parts": {"text": "hi"}},
    }
    assert WIRE.parse("GenerateContentRequest", body, "v1") == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}]
    }


def test_fields_that_only_googles_clients_know_are_taken_noted_and_not_shown(caplog: Any) -> None:
    noted: list[str] = []
    with caplog.at_level("INFO"):
        job = tuning_job(GENAI_BODIES["distillation"], noted=noted)
    assert noted == ["tuning_job.distillation_spec.hyper_parameters.sft_loss_weight_multiplier"]
    assert noted[0] in caplog.text
    assert job["distillationSpec"]["hyperParameters"]["sftLossWeightMultiplier"] == 0.3
    shown = WIRE.render("TuningJob", job, "v1beta1")
    assert "sftLossWeightMultiplier" not in shown["distillationSpec"]["hyperParameters"]
    assert WIRE.problems("TuningJob", job, "v1beta1") == [
        "TuningJob.distillationSpec.hyperParameters.sftLossWeightMultiplier: "
        "DistillationHyperParameters has no such field in v1beta1"
    ]


# Scalars: message, field, what is sent, what is kept.
KEPT = [
    ("SupervisedHyperParameters", "epochCount", 3, "3"),
    ("SupervisedHyperParameters", "epochCount", "3", "3"),
    ("SupervisedHyperParameters", "epochCount", 3.0, "3"),
    ("SupervisedHyperParameters", "epochCount", "1e3", "1000"),
    ("SupervisedHyperParameters", "epochCount", -(2**63), "-9223372036854775808"),
    ("SupervisedHyperParameters", "learningRate", "0.5", 0.5),
    ("SupervisedHyperParameters", "learningRate", 1, 1),
    ("SupervisedHyperParameters", "learningRate", "NaN", "NaN"),
    ("SupervisedHyperParameters", "learningRate", "-Infinity", "-Infinity"),
    ("ReinforcementTuningHyperParameters", "batchSize", "32", 32),
    ("SupervisedTuningSpec", "exportLastCheckpointOnly", "true", True),
    ("Blob", "data", "-_-_", "+/+/"),
    ("Blob", "data", "aGk", "aGk="),
    ("Part", "text", "grün 🌱", "grün 🌱"),
    ("Schedule", "startTime", "2026-11-10T12:30:00.120+02:00", "2026-11-10T10:30:00.120Z"),
    ("Schedule", "startTime", "2026-11-10t10:00:00.123400z", "2026-11-10T10:00:00.123400Z"),
    ("Schedule", "startTime", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ("VideoMetadata", "startOffset", "3.5s", "3.500s"),
    ("VideoMetadata", "startOffset", "-0.000000001s", "-0.000000001s"),
    ("Schema", "default", None, None),
    ("Schema", "default", {"a": [None, 1.5]}, {"a": [None, 1.5]}),
    ("Schema", "type", "object", "OBJECT"),
    ("FunctionCall", "args", {"a": None}, {"a": None}),
]


@pytest.mark.parametrize(("message", "field", "sent", "kept"), KEPT)
def test_a_value_is_kept_in_one_form(message: str, field: str, sent: Any, kept: Any) -> None:
    parsed = WIRE.parse(message, {field: sent}, "v1beta1")
    assert parsed == {field: kept}
    assert type(parsed[field]) is type(kept)
    assert WIRE.problems(message, parsed, "v1beta1") == []


REFUSED = [
    ("SupervisedHyperParameters", "epochCount", 2**63, "(TYPE_INT64), 9223372036854775808"),
    ("SupervisedHyperParameters", "epochCount", 1.5, "(TYPE_INT64), 1.5"),
    ("SupervisedHyperParameters", "epochCount", True, "(TYPE_INT64), true"),
    ("SupervisedHyperParameters", "epochCount", "", '(TYPE_INT64), ""'),
    ("SupervisedHyperParameters", "epochCount", "٣", '(TYPE_INT64), "٣"'),
    ("SupervisedHyperParameters", "epochCount", math.inf, "(TYPE_INT64)"),
    ("SupervisedHyperParameters", "learningRate", math.nan, "(TYPE_DOUBLE)"),
    ("SupervisedHyperParameters", "learningRate", "1e999", "(TYPE_DOUBLE)"),
    ("SupervisedHyperParameters", "adapterSize", 99, "AdapterSize), 99"),
    ("SupervisedHyperParameters", "adapterSize", True, "AdapterSize), true"),
    ("ReinforcementTuningHyperParameters", "batchSize", 2**31, "(TYPE_INT32)"),
    ("SingleReinforcementTuningRewardConfig", "rewardName", 7, "(TYPE_STRING), 7"),
    ("GenerationConfig", "temperature", 1e39, "(TYPE_FLOAT)"),
    ("SupervisedTuningSpec", "exportLastCheckpointOnly", 1, "(TYPE_BOOL), 1"),
    ("Blob", "data", "a", 'Base64 decoding failed for "a"'),
    ("Blob", "data", "äöü=", "Base64 decoding failed"),
    ("Part", "text", "\ud800", "non UTF-8"),
    ("Schedule", "startTime", "2026-13-10T10:00:00Z", "Field 'startTime', Invalid time format"),
    ("Schedule", "startTime", "9999-12-31T23:59:59-01:00", "Invalid time format"),
    ("VideoMetadata", "startOffset", "3", "Field 'startOffset', Illegal duration format"),
    ("VideoMetadata", "startOffset", 3, "Illegal duration format"),
    ("Schema", "default", math.nan, "google.protobuf.Value"),
    ("FunctionCall", "args", "x", 'google.protobuf.Struct), "x"'),
    ("FunctionCall", "args", [], "Cannot bind a list to map"),
]


@pytest.mark.parametrize(("message", "field", "sent", "told"), REFUSED)
def test_a_value_of_the_wrong_kind_is_refused(message: str, field: str, sent: Any, told: str) -> None:
    [text] = refusal(message, {field: sent})
    assert told in text


@pytest.mark.parametrize("data", [None, [], "x", 3, [{}]])
def test_a_body_must_be_an_object(data: object) -> None:
    [told] = refusal("GenerateContentRequest", data)
    assert told == 'Invalid JSON payload received. Unknown name "": Root element must be a message.'


def test_nesting_is_bounded_as_in_protobuf() -> None:
    def schema(depth: int) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for _ in range(depth):
            body = {"items": body}
        return body

    assert WIRE.parse("Schema", schema(99), "v1")
    assert "Message too deep" in refusal("Schema", schema(100))[0]
    free: Any = 1
    for _ in range(200):
        free = [free]
    assert "Message too deep" in refusal("Schema", {"default": free})[0]


def test_a_body_with_thousands_of_faults_gets_a_short_answer() -> None:
    assert len(refusal("TuningJob", {f"f{n}": 1 for n in range(5000)})) == 100
    [told] = refusal("TuningJob", {"x" * 100_000: 1})
    assert len(told) < 1000


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a": ', "Unexpected end of string."),
        (b'{"a" 1}', "Expected : between key:value pair."),
        (b'{"a": 1 "b": 2}', "Expected , or } after key:value pair"),
        (b"{1: 2}", "Expected an object key or }."),
        (b'{"a": NaN}', "Unexpected token."),
        (b'{"a": "NaN", "b": -Infinity}', "Unexpected token."),
        (b"q=test", "Unexpected token.\nq=test\n^"),
        (b"{} {}", "Parsing terminated before end of input."),
        (b'{"a": "x', "Closing quote expected in string."),
        (b'{"a": "\\x"}', "Invalid escape sequence."),
        (b'{"a": "\xff"}', "Encountered non UTF-8 code points."),
        (b'{"a": ' + b"1" * 5000 + b"}", "Number is too long."),
        (b"[" * 101 + b"]" * 101, "Message too deep."),
        (b"[" * 100_000, "Message too deep."),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(body: bytes, told: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_json(body)
    assert caught.value.code.http == 400
    assert told in caught.value.message
    assert caught.value.message.startswith("Invalid JSON payload received. ")


def test_json_of_any_decent_shape_is_read() -> None:
    assert parse_json(b"") == parse_json(b" \n") == {}
    assert parse_json(b'\xef\xbb\xbf{"a": "NaN"}') == {"a": "NaN"}
    deep = b"[" * 100 + b"]" * 100
    assert json.dumps(parse_json(deep)).encode() == deep
    many = [{"a": [1]}] * 5000
    assert parse_json(json.dumps(many).encode()) == many


def test_an_answer_shows_what_its_version_has() -> None:
    job = {
        "name": "projects/1/locations/us-central1/tuningJobs/2",
        "state": "JOB_STATE_RUNNING",
        "tuningJobState": "TUNING_JOB_STATE_TUNING",
        "supervisedTuningSpec": {
            "hyperParameters": {"epochCount": 3, "learningRate": 0.1, "learningRateMultiplier": math.inf}
        },
        "outputUri": None,
        "tuningJobMetadata": {"completedStepCount": 3},
    }
    assert WIRE.render("TuningJob", job, "v1beta1") == {
        "name": "projects/1/locations/us-central1/tuningJobs/2",
        "state": "JOB_STATE_RUNNING",
        "tuningJobState": "TUNING_JOB_STATE_TUNING",
        "supervisedTuningSpec": {
            "hyperParameters": {"epochCount": "3", "learningRate": 0.1, "learningRateMultiplier": "Infinity"}
        },
        "tuningJobMetadata": {"completedStepCount": "3"},
    }
    shown = WIRE.render("TuningJob", job, "v1")
    assert shown == {
        "name": "projects/1/locations/us-central1/tuningJobs/2",
        "state": "JOB_STATE_RUNNING",
        "supervisedTuningSpec": {
            "hyperParameters": {"epochCount": "3", "learningRateMultiplier": "Infinity"}
        },
    }
    assert WIRE.problems("TuningJob", shown, "v1") == []


def test_what_an_operation_carries_is_shown_in_the_version_that_was_asked() -> None:
    operation = {
        "name": "projects/1/locations/l/tuningJobs/2/operations/3",
        "done": True,
        "response": {
            "@type": "type.googleapis.com/google.cloud.aiplatform.v1beta1.TuningJob",
            "baseModel": "x",
            "outputUri": "gs://b",
        },
        "metadata": {"@type": "type.googleapis.com/google.protobuf.Empty"},
    }
    shown = WIRE.render("Operation", operation, "v1")
    assert shown["response"] == {
        "@type": "type.googleapis.com/google.cloud.aiplatform.v1.TuningJob",
        "baseModel": "x",
    }
    assert shown["metadata"] == operation["metadata"]
    assert WIRE.render("Operation", operation, "v1beta1") == operation


@pytest.mark.parametrize(
    ("message", "body", "wrong"),
    [
        ("TuningJob", {"foo": 1}, "TuningJob.foo: TuningJob has no such field"),
        ("TuningJob", {"base_model": "x"}, "(spelled baseModel)"),
        (
            "TuningJob",
            {"state": 4},
            "TuningJob.state: 4 is no value of google.cloud.aiplatform.v1beta1.JobState",
        ),
        ("TuningJob", {"state": []}, "is no value of"),
        (
            "TuningJob",
            {"createTime": "2026-11-10T10:00:00+00:00"},
            "timestamp must be written '2026-11-10T10:00:00Z'",
        ),
        ("TuningJob", {"name": "tuningJobs/1"}, "is no resource name"),
        ("TuningJob", {"baseModel": None}, "TuningJob.baseModel: no string: null"),
        ("TuningJob", {"labels": ["a"]}, "a map is due"),
        ("TuningJob", {"encryptionSpec": []}, "an object is due"),
        (
            "TuningJob",
            {"veoTuningSpec": {}, "supervisedTuningSpec": {}},
            "tuning_spec is already veoTuningSpec",
        ),
        ("TunedModelCheckpoint", {"step": 3}, "int64 must be written '3', not 3"),
        ("CountTokensResponse", {"totalTokens": "3"}, "int32 must be written 3, not '3'"),
        ("ListTuningJobsResponse", {"tuningJobs": {}}, "a list is due, not dict"),
        ("GenerateContentRequest", {"model": "x"}, "no such field"),
        ("Operation", {"response": {"a": 1}}, "Missing @type"),
        ("Schema", {"default": math.nan}, "Schema.default: NaN"),
    ],
)
def test_the_strict_reading_finds_what_is_wrong_with_an_answer(message: str, body: Any, wrong: str) -> None:
    [found] = WIRE.problems(message, body, "v1beta1")
    assert wrong in found


def test_messages_of_cloud_storage_keep_their_nulls_and_pass_over_what_they_do_not_know() -> None:
    sent = {"labels": {"a": None, "b": "c"}, "lifecycle": None, "metageneration": 3, "unheard_of": 1}
    kept = {"labels": {"a": None, "b": "c"}, "lifecycle": None, "metageneration": "3"}
    assert WIRE.parse("Bucket", sent, "storage") == WIRE.parse("Bucket", sent, "v1") == kept
    assert (
        WIRE.problems(
            "Object", {"size": "3", "md5Hash": "x", "timeCreated": "2026-11-10T10:00:00.123Z"}, "storage"
        )
        == []
    )
    assert WIRE.problems("Object", {"size": 3}, "storage") != []


def test_a_message_that_nobody_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="TunningJob"):
        WIRE.parse("TunningJob", {}, "v1")


def test_every_exception_to_googles_documents_is_dated_sourced_and_in_force() -> None:
    overlay = tomllib.loads((FOLDER / "overlay.toml").read_text(encoding="utf-8"))
    for entry in [*overlay["oneof"], *overlay["exception"]]:
        assert entry["date"] <= overlay["date"]
        assert entry["source"]
    for entry in overlay["exception"]:
        for version in entry["versions"]:
            assert schema(version).message(entry["message"]).fields[entry["field"]].extra
    for entry in overlay["oneof"]:
        fields = schema("v1beta1").message(entry["message"]).fields
        assert {fields[name].oneof for name in entry["fields"]} == {entry["name"]}


def test_the_documented_methods_can_be_read() -> None:
    create = WIRE.methods("v1beta1")["projects.locations.tuningJobs.create"]
    assert (create.verb, create.path) == ("POST", "{+parent}/tuningJobs")
    assert (create.request, create.response) == ("TuningJob", "TuningJob")
    validate = "projects.locations.tuningJobs.validateReinforcementTuningReward"
    assert validate in WIRE.methods("v1beta1")
    assert validate not in WIRE.methods("v1")
    assert WIRE.methods("v1")["projects.locations.tuningJobs.list"].query == [
        "filter",
        "pageSize",
        "pageToken",
    ]


def _keys(body: Any) -> list[str]:
    if isinstance(body, dict):
        return [*body, *(key for value in body.values() for key in _keys(value))]
    return [key for value in body for key in _keys(value)] if isinstance(body, list) else []


@pytest.mark.parametrize(
    ("micro", "time"),
    [
        (123456, "2026-11-24T10:00:00.123456Z"),
        (123000, "2026-11-24T10:00:00.123Z"),
        (120000, "2026-11-24T10:00:00.120Z"),
        (1, "2026-11-24T10:00:00.000001Z"),
        (0, "2026-11-24T10:00:00Z"),
    ],
)
def test_a_time_of_ours_is_spelled_as_google_spells_it(micro: int, time: str) -> None:
    assert spelled(datetime(2026, 11, 24, 10, 0, 0, micro, UTC)) == time
    assert not WIRE.problems("TuningJob", {"createTime": time}, "v1beta1")
