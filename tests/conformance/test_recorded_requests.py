"""Every request that google-genai is known to make of tuning, models and batches: taken, or refused as Google's documents say.

The client is Google's own, unmodified. The emulator is a simulation that holds each answer against the published schema
(`--strict`): an answer that does not fit would be a 500.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.emulator.jobs.conftest import Bench
from tests.emulator.jobs.test_distillation import PROMPTS
from tests.emulator.jobs.test_preference import PAIRS
from tests.running import RunningEmulator

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")

EXACT: dict[str, Any] = {
    "reward_name": "exact",
    "parse_response_config": {"parse_type": "REGEX_EXTRACT", "regex_extract_expression": "<ans>(.*?)</ans>"},
    "string_match_reward_scorer": {
        "wrong_answer_reward": -1.0,
        "correct_answer_reward": 1.0,
        "string_match_expression": {"match_operation": "EXACT_MATCH", "expression": "{{references.answer}}"},
    },
}
JSON: dict[str, Any] = {
    "reward_name": "json",
    "string_match_reward_scorer": {
        "wrong_answer_reward": 0.0,
        "correct_answer_reward": 1.0,
        "json_match_expression": {
            "key_name": "answer",
            "value_string_match_expression": {
                "match_operation": "PARTIAL_MATCH",
                "expression": "{{references.answer}}",
            },
        },
    },
}
CODE: dict[str, Any] = {
    "reward_name": "code",
    "code_execution_reward_scorer": {
        "python_code_snippet": "def evaluate(example, response):\n    return 1.0\n"
    },
}
JUDGE: dict[str, Any] = {
    "reward_name": "judge",
    "autorater_scorer": {
        "autorater_config": {
            "sampling_count": 4,
            "autorater_model": "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash",
        },
        "autorater_prompt": "Rate {{response}} for {{prompt}}",
        "autorater_response_parse_config": {
            "parse_type": "REGEX_EXTRACT",
            "regex_extract_expression": "<score>(.*?)</score>",
        },
        "parsed_response_conversion_scorer": {},
    },
}
SERVICE: dict[str, Any] = {
    "reward_name": "run",
    "cloud_run_reward_scorer": {"cloud_run_uri": "https://x-uc.a.run.app"},
}
REINFORCEMENT: dict[str, Any] = {
    "method": "REINFORCEMENT_TUNING",
    "epoch_count": 2,
    "learning_rate_multiplier": 1.0,
    "adapter_size": "ADAPTER_SIZE_SIXTEEN",
    "batch_size": 64,
    "samples_per_prompt": 8,
    "evaluate_interval": 10,
    "checkpoint_interval": 20,
    "max_output_tokens": 4096,
    "thinking_level": "HIGH",
    "reward_config": EXACT,
}
LLAMA, QWEN = "meta/llama3_1@llama-3.1-8b-instruct", "qwen/qwen3@qwen3-4b"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    running = RunningEmulator(tmp_path_factory.mktemp("recorded"), "--simulate")
    yield Bench(running)
    running.stop()


@pytest.fixture(scope="module")
def client(bench: Bench) -> genai.Client:
    return bench.genai()


@pytest.fixture(scope="module")
def sets(bench: Bench) -> dict[str, str]:
    """Data sets by method."""
    from tests.emulator.jobs.conftest import COLOURS

    asked = [{**row, "references": {"answer": "4"}} for row in PROMPTS]
    return {
        "SUPERVISED_FINE_TUNING": bench.upload(COLOURS),
        "PREFERENCE_TUNING": bench.upload(PAIRS),
        "DISTILLATION": bench.upload(PROMPTS),
        "REINFORCEMENT_TUNING": bench.upload(asked),
    }


@pytest.fixture(scope="module")
def tuned(bench: Bench) -> dict[str, Any]:
    return bench.tune(epochs=3, tunedModelDisplayName="tuned")["tunedModel"]


def tune(
    client: genai.Client, sets: dict[str, str], base: str, *, validation: bool = False, **config: Any
) -> types.TuningJob:
    uri = sets[config.get("method", "SUPERVISED_FINE_TUNING")]
    if validation:
        config["validation_dataset"] = types.TuningValidationDataset(gcs_uri=uri)
    return client.tunings.tune(
        base_model=base,
        training_dataset=types.TuningDataset(gcs_uri=uri),
        config=types.CreateTuningJobConfig(**config),
    )


TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "supervised, with everything": (
        "gemini-2.5-flash",
        {
            "epoch_count": 3,
            "learning_rate_multiplier": 0.5,
            "adapter_size": "ADAPTER_SIZE_FOUR",
            "export_last_checkpoint_only": True,
            "tuned_model_display_name": "d",
            "description": "x",
            "labels": {"team": "a"},
            "validation": True,
            "encryption_spec": {"kms_key_name": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"},
        },
    ),
    "preference": (
        "gemini-2.5-flash",
        {
            "method": "PREFERENCE_TUNING",
            "epoch_count": 2,
            "learning_rate_multiplier": 1.0,
            "adapter_size": "ADAPTER_SIZE_FOUR",
            "beta": 0.1,
            "export_last_checkpoint_only": True,
            "validation": True,
        },
    ),
    "distillation from a base model": (
        "gemini-2.5-flash",
        {
            "method": "DISTILLATION",
            "epoch_count": 2,
            "learning_rate_multiplier": 1.0,
            "adapter_size": "ADAPTER_SIZE_FOUR",
            "sft_loss_weight_multiplier": 0.3,
            "base_teacher_model": "gemini-3.1-pro",
            "output_uri": "gs://BUCKET/out",
            "validation": True,
        },
    ),
    "reinforcement by one reward": ("gemini-3.5-flash", {**REINFORCEMENT, "validation": True}),
    "reinforcement by several rewards": (
        "gemini-3.5-flash",
        {
            "method": "REINFORCEMENT_TUNING",
            "composite_reward_config": {
                "weighted_reward_configs": [
                    {"reward_config": reward, "weight": weight}
                    for reward, weight in ((CODE, 0.2), (JSON, 0.2), (JUDGE, 0.3), (SERVICE, 1.0))
                ]
            },
        },
    ),
    "an open model": (
        LLAMA,
        {
            "epoch_count": 1,
            "adapter_size": "ADAPTER_SIZE_SIXTEEN",
            "batch_size": 4,
            "learning_rate": 0.0002,
            "tuning_mode": "TUNING_MODE_PEFT_ADAPTER",
            "output_uri": "gs://BUCKET/open",
        },
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_taken_and_gone_through(
    bench: Bench, client: genai.Client, sets: dict[str, str], name: str
) -> None:
    base, config = TAKEN[name]
    told = json.loads(json.dumps(config).replace("BUCKET", bench.bucket))
    job = tune(client, sets, base, **told)
    assert job.name is not None
    ended = bench.wait(job.name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    found = client.tunings.get(name=job.name)
    assert found.tuning_data_stats is not None
    assert (found.tuned_model is None) == (base == LLAMA)


def test_a_tuned_model_teaches_and_is_tuned_on(
    bench: Bench, client: genai.Client, sets: dict[str, str], tuned: dict[str, Any]
) -> None:
    taught = tune(
        client, sets, "gemini-2.5-flash", method="DISTILLATION", tuned_teacher_model_source=tuned["model"]
    )
    on = tune(client, sets, tuned["model"], pre_tuned_model_checkpoint_id="2", tuned_model_display_name="on")
    for job in (taught, on):
        assert job.name is not None
        assert bench.wait(job.name)["state"] == "JOB_STATE_SUCCEEDED"
    assert on.pre_tuned_model is not None
    assert on.pre_tuned_model.checkpoint_id == "2"


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a field of another method makes a second spec": ("gemini-2.5-flash", {"evaluate_interval": 5}, "oneof"),
    "a beta too": ("gemini-2.5-flash", {"beta": 0.1}, "oneof"),
    "a teacher that does not teach it": (
        "gemini-2.5-flash-lite",
        {"method": "DISTILLATION", "base_teacher_model": "gemini-2.5-pro"},
        "distillation",
    ),
    "a reward for a model that takes none": ("gemini-2.5-flash", REINFORCEMENT, "reinforcement"),
    "a size that the model has not": (
        "gemini-2.5-pro",
        {"adapter_size": "ADAPTER_SIZE_SIXTEEN"},
        "Adapter size",
    ),
    "an open model without a folder": (LLAMA, {}, "output_uri is required"),
    "both rates": (
        QWEN,
        {"learning_rate": 1e-4, "learning_rate_multiplier": 2.0, "output_uri": "gs://BUCKET/x"},
        "mutually exclusive",
    ),
    "a folder for Gemini": ("gemini-2.5-flash", {"output_uri": "gs://BUCKET/x"}, "open models only"),
    "keys of one's own for Gemini 3": (
        "gemini-3.5-flash",
        {"encryption_spec": {"kms_key_name": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}},
        "customer-managed",
    ),
    "a label in capitals": ("gemini-2.5-flash", {"labels": {"Team": "A"}}, "lower-case"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_field(bench: Bench, client: genai.Client, sets: dict[str, str], name: str) -> None:
    base, config, words = REFUSED[name]
    told = json.loads(json.dumps(config).replace("BUCKET", bench.bucket))
    with pytest.raises(errors.ClientError) as caught:
        tune(client, sets, base, **told)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert words in str(caught.value.message)


@pytest.mark.filterwarnings("ignore:FOO is not a valid TuningMethod")
def test_an_unknown_method_is_a_job_without_a_spec(client: genai.Client, sets: dict[str, str]) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.tunings.tune(
            base_model="gemini-2.5-flash",
            training_dataset=types.TuningDataset(gcs_uri=sets["SUPERVISED_FINE_TUNING"]),
            config=types.CreateTuningJobConfig(method="FOO"),  # type: ignore[arg-type]
        )
    assert "tuning_spec is required" in str(caught.value.message)


@pytest.mark.parametrize(
    ("reward", "answer", "earned"),
    [(EXACT, "<ans>4</ans>", 1.0), (EXACT, "4", -1.0), (JSON, '{"answer": "4!"}', 1.0), (CODE, "", 1.0)],
)
def test_a_reward_is_validated(
    client: genai.Client, reward: dict[str, Any], answer: str, earned: float
) -> None:
    said = client.tunings.validate_reward(
        parent="projects/vertex-tuning-local/locations/us-central1",
        sample_response={"role": "model", "parts": [{"text": answer}]},
        example={
            "contents": [{"role": "user", "parts": [{"text": "2+2?"}]}],
            "references": {"answer": "4"},
            "system_instruction": {"parts": [{"text": "Be terse"}]},
        },
        single_reward_config=reward,
    )
    assert said.overall_reward == earned
    assert said.reward_info_details is not None
    assert said.reward_info_details[reward["reward_name"]].reward == earned


def test_jobs_and_models_are_got_listed_and_changed(client: genai.Client, tuned: dict[str, Any]) -> None:
    listed = list(client.tunings.list(config={"page_size": 2, "filter": 'state="JOB_STATE_SUCCEEDED"'}))
    assert listed
    assert (
        client.tunings.get(name=f"tuningJobs/{(listed[0].name or '').rpartition('/')[2]}").name
        == listed[0].name
    )
    models = {model.name for model in client.models.list(config={"query_base": False})}
    assert tuned["model"].partition("@")[0] in {(name or "").partition("@")[0] for name in models}
    assert any("gemini" in (model.name or "") for model in client.models.list())
    changed = client.models.update(
        model=tuned["model"], config={"display_name": "z", "default_checkpoint_id": "2"}
    )
    assert (changed.display_name, changed.default_checkpoint_id) == ("z", "2")


def test_a_tuned_model_answers(client: genai.Client, tuned: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"model": tuned["endpoint"], "contents": "hi"}
    assert client.models.generate_content(**asked).candidates
    assert list(client.models.generate_content_stream(**asked))
    assert client.models.count_tokens(**asked).total_tokens
    assert client.models.compute_tokens(**asked).tokens_info


def test_shorthands_that_the_client_makes_wrong_paths_of_are_not_found(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="endpoints/9", contents="hi")
    assert caught.value.code == 404
    with pytest.raises(errors.ClientError) as caught:
        client.tunings.get(name="9")
    assert caught.value.code == 404


def test_a_batch_is_asked(bench: Bench, client: genai.Client, tuned: dict[str, Any]) -> None:
    source = bench.upload([{"request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}}])
    batch = client.batches.create(
        model=tuned["model"], src=source, config={"dest": f"gs://{bench.bucket}/answers/"}
    )
    assert batch.name is not None
    while (found := client.batches.get(name=batch.name)).state != types.JobState.JOB_STATE_SUCCEEDED:
        assert found.state in (types.JobState.JOB_STATE_PENDING, types.JobState.JOB_STATE_RUNNING), found
    assert found.dest is not None
