"""Reinforcement tuning as Google's clients see it: the request, the job, its metrics, the model."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from google.genai import types

from tests.rewards.services import Service
from vertex_tuning import catalog, rewards

from .conftest import COLOURS, LOCATION, Bench
from .test_requests import refused

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SPEC = "tuning_job.reinforcement_tuning_spec"
PARAMETERS = f"{SPEC}.hyper_parameters"
REWARD = rewards.contains("{{references.answer}}", name="said").request()
PROMPTS = [
    {"contents": row["contents"][:1], "references": {"answer": row["contents"][1]["parts"][0]["text"]}}
    for row in COLOURS
]


@pytest.fixture(scope="module")
def uri(bench: Bench) -> str:
    return bench.upload(PROMPTS)


def body(uri: str, **fields: Any) -> dict[str, Any]:
    parameters = {"batchSize": 4, "samplesPerPrompt": 4, "maxOutputTokens": 8, **fields.pop("parameters", {})}
    spec = {"trainingDatasetUri": uri, "hyperParameters": parameters, **REWARD, **fields.pop("spec", {})}
    spec = {name: value for name, value in spec.items() if value is not None}
    return {"baseModel": "gemini-3.5-flash", "reinforcementTuningSpec": spec, **fields}


def test_googles_client_tunes_by_reward_and_asks_the_model(bench: Bench, uri: str) -> None:
    client = bench.genai()
    job = client.tunings.tune(
        base_model="gemini-3.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=uri),
        config=types.CreateTuningJobConfig(
            method="REINFORCEMENT_TUNING",
            validation_dataset=types.TuningValidationDataset(gcs_uri=uri),
            epoch_count=1,
            batch_size=8,
            samples_per_prompt=4,
            max_output_tokens=8,
            checkpoint_interval=2,
            thinking_level="MINIMAL",
            reward_config=REWARD["singleRewardConfig"],
            tuned_model_display_name="tried",
        ),
    )
    assert job.name is not None
    ended = bench.wait(job.name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    job = client.tunings.get(name=job.name)
    assert job.tuning_data_stats is not None
    stats = job.tuning_data_stats.reinforcement_tuning_data_stats
    assert stats is not None
    assert stats.tuning_dataset_example_count == 40
    assert stats.tuning_step_count == 5
    lines = [json.loads(line) for line in bench.download(ended["gcsMetricsUri"]).splitlines()]
    assert {"/train_mean_reward", "/train_generation_length"} <= lines[0].keys()
    assert {"/eval_mean_reward"} <= lines[-1].keys()
    tuned = ended["tunedModel"]
    assert "/locations/us/" in tuned["model"], "Gemini 3 is served from the multi-region"
    assert [checkpoint["step"] for checkpoint in tuned["checkpoints"]] == ["2", "4", "5"]
    question = {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}]}
    assert bench.call("POST", f"/v1/{tuned['endpoint']}:generateContent", question)["candidates"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"baseModel": "gemini-2.5-flash"}, "tuning_job.base_model", "reinforcement"),
        ({"spec": {"singleRewardConfig": None}}, f"{SPEC}.reward_config", "no reward"),
        ({"parameters": {"samplesPerPrompt": 3}}, f"{PARAMETERS}.batch_size", "multiple of 16"),
        ({"parameters": {"batchSize": 1024, "samplesPerPrompt": 16}}, f"{PARAMETERS}.batch_size", "8,192"),
        ({"parameters": {"learningRateMultiplier": 5}}, f"{PARAMETERS}.learning_rate_multiplier", "between"),
        ({"parameters": {"epochCount": 2, "stepCount": 5}}, f"{PARAMETERS}.step_count", "exclusive"),
        ({"parameters": {"stepCount": 501}}, f"{PARAMETERS}.step_count", "500"),
        ({"parameters": {"maxOutputTokens": 40_000}}, f"{PARAMETERS}.max_output_tokens", "32,768"),
        ({"parameters": {"thinkingBudget": 100}}, f"{PARAMETERS}.thinking_budget", "thinking_level"),
        ({"parameters": {"evaluateInterval": -1}}, f"{PARAMETERS}.evaluate_interval", "positive"),
    ],
)
def test_a_fault_is_named_by_its_field(
    bench: Bench, uri: str, fields: dict[str, Any], field: str, words: str
) -> None:
    violations = refused(bench.post(body(uri, **fields)))
    assert violations.keys() == {field}
    assert words in violations[field]


def autorater(model: str) -> dict[str, Any]:
    return {
        "autoraterPrompt": "Rate {{response}}",
        "autoraterConfig": {"autoraterModel": model},
        "parsedResponseConversionScorer": {},
    }


def test_every_fault_of_the_reward_is_told(bench: Bench, uri: str) -> None:
    reward = {"stringMatchRewardScorer": {"stringMatchExpression": {"expression": "{{answer}}"}}}
    violations = refused(bench.post(body(uri, spec={"singleRewardConfig": reward})))
    assert len(violations) == 2
    assert all(field.startswith(f"{SPEC}.single_reward_config.string_match") for field in violations)


def test_a_reward_that_would_fail_call_by_call_is_refused_with_the_job(bench: Bench, uri: str) -> None:
    """Code that does not run, a judge by a short name, one that is not there: nothing would be learnt, and all of it paid."""
    parts: list[dict[str, Any]] = [
        {"rewardName": "code", "codeExecutionRewardScorer": {"pythonCodeSnippet": "def evaluate(:"}},
        {"rewardName": "short", "autoraterScorer": autorater("gemini-2.5-flash")},
        {"rewardName": "nobody", "autoraterScorer": autorater(f"{LOCATION}/endpoints/7")},
    ]
    several = {"weightedRewardConfigs": [{"rewardConfig": part, "weight": 1} for part in parts[:2]]}
    path = f"{SPEC}.composite_reward_config.weighted_reward_configs"
    assert refused(
        bench.post(body(uri, spec={"singleRewardConfig": None, "compositeRewardConfig": several}))
    ).keys() == {
        f"{path}[0].reward_config.code_execution_reward_scorer.python_code_snippet",
        f"{path}[1].reward_config.autorater_scorer.autorater_config.autorater_model",
    }
    alone = refused(bench.post(body(uri, spec={"singleRewardConfig": parts[2]})))
    field = f"{SPEC}.single_reward_config.autorater_scorer.autorater_config.autorater_model"
    assert "endpoints/7" in alone[field]


def test_it_is_of_the_beta_version_alone(bench: Bench, uri: str) -> None:
    code, _ = bench.post(body(uri), version="v1")
    assert code == 400


def test_a_judge_is_asked_while_it_trains(bench: Bench, uri: str, tuned: dict[str, Any]) -> None:
    judge = rewards.judge(
        "{{prompt}} {{response}}",
        model=tuned["tunedModel"]["endpoint"],
        expect="red",
        samples=1,
        temperature=0.0,
    )
    answer = bench.post(body(uri, spec=judge.request(), parameters={"stepCount": 1}))
    job = bench.wait(answer["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    lines = [json.loads(line) for line in bench.download(job["gcsMetricsUri"]).splitlines()]
    assert lines[0]["failed_rewards"] == 0


def test_code_is_run_while_it_trains(bench: Bench, uri: str) -> None:
    code = rewards.code("def evaluate(e, r): return min(1.0, len(r['parts'][0]['text']) / 20)")
    job = bench.wait(bench.post(body(uri, spec=code.request(), parameters={"stepCount": 2}))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job


def test_a_reward_that_fails_nearly_always_fails_the_job(bench: Bench, uri: str) -> None:
    reward = rewards.exact_match("{{references.nothing}}").request()
    job = bench.wait(bench.post(body(uri, spec=reward))["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert "references" in job["error"]["message"] or "reference" in job["error"]["message"]
    assert LOCATION.rpartition("/")[2] in job["name"]


def test_the_trainer_does_not_ask_the_emulator_in_a_users_name(bench: Bench, uri: str) -> None:
    reward = rewards.cloud_run(f"{bench.running.address}/emulator/reset").request()
    job = bench.wait(bench.post(body(uri, spec=reward))["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert "the emulator itself" in job["error"]["message"]


def test_where_code_is_switched_off_the_trainer_runs_none(own_bench: Any) -> None:
    bench = own_bench("--no-local-code")
    reward = rewards.code("def evaluate(e, r): return 1.0").request()
    job = bench.wait(bench.post(body(bench.upload(PROMPTS), spec=reward))["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert "--no-local-code" in job["error"]["message"]


def test_a_service_that_is_busy_is_asked_again_and_what_that_took_is_measured(bench: Bench, uri: str) -> None:
    busy = Service(lambda time_, _: (503, b"") if time_ == 1 else (200, b'{"reward": 0.5}'))
    both = rewards.weighted(
        [(rewards.cloud_run(busy.uri, name="busy"), 1), (rewards.contains("e", name="e"), 1)]
    )
    try:
        spec = {"singleRewardConfig": None, **both.request()}
        job = bench.wait(bench.post(body(uri, spec=spec, parameters={"stepCount": 1}))["name"])
    finally:
        busy.close()
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    line = json.loads(bench.download(job["gcsMetricsUri"]).splitlines()[0])
    assert (line["failed_rewards"], line["busy/failed_rewards"]) == (0, 0)
    assert line["e/reward_calls"] == 16
    assert line["busy/reward_calls"] > 16
    assert line["reward_calls"] == line["busy/reward_calls"] + 16
    first = catalog.limits("reward_cloud_run")["retry_waits"][0]
    assert busy.asked[-1][0] - busy.asked[0][0] >= first


def test_a_job_that_waits_for_a_service_says_so_and_is_cancelled_at_once(bench: Bench, uri: str) -> None:
    gone = Service(lambda *_: (503, b"not yet"))
    try:
        name = bench.post(body(uri, spec=rewards.cloud_run(gone.uri).request()))["name"]
        awaited: list[dict[str, Any]] = []
        while not awaited:
            awaited = [event["data"] for event in bench.events(name) if event["kind"] == "rewards awaited"]
            assert bench.get(name)["state"] in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING")
            time.sleep(0.05)
        assert awaited[0]["waiting"] > 0
        assert "503: not yet" in awaited[0]["failure"]
        start = time.monotonic()
        bench.call("POST", f"/v1beta1/{name}:cancel")
        assert bench.wait(name)["state"] == "JOB_STATE_CANCELLED"
        assert time.monotonic() - start < 15  # two seconds on a quiet machine; the waits alone are a minute
    finally:
        gone.close()


def test_a_reward_in_the_cloud_is_rehearsed_by_the_trainer_too(own_bench: Any) -> None:
    """The trainer is another process: it knows the map as well."""
    stand_in = Service(lambda _, text: (200, b'{"reward": %d}' % (len(text) % 2)))
    host = "my-reward-abc-uc.a.run.app"
    try:
        bench = own_bench("--map", f"{host}=http://127.0.0.1:{stand_in.port}")
        assert bench.call("GET", "/emulator/status")["maps"] == {host: f"http://127.0.0.1:{stand_in.port}"}
        reward = rewards.cloud_run(f"https://{host}/v1/score?kind=a").request()
        request = {**reward, "example": PROMPTS[0], "sampleResponse": {"parts": [{"text": "red"}]}}
        asked = bench.call(
            "POST", f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", request
        )
        assert asked["overallReward"] == 1.0
        spec = {"spec": reward, "parameters": {"stepCount": 1}}
        job = bench.wait(bench.post(body(bench.upload(PROMPTS), **spec))["name"])
    finally:
        stand_in.close()
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert set(stand_in.requests) == {("/v1/score?kind=a", host)}
    assert len(stand_in.requests) > 16


def test_a_job_without_a_validation_set_holds_some_prompts_out_itself_and_says_so(bench: Bench) -> None:
    prompts = [
        {**PROMPTS[0], "contents": [{"role": "user", "parts": [{"text": f"Say {n}."}]}]} for n in range(40)
    ]
    job = bench.wait(bench.post(body(bench.upload(prompts), parameters={"stepCount": 1}))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    told = [
        event["data"] for event in bench.events(job["name"]) if event["kind"] == "validation set split off"
    ]
    assert told == [{"training": 20, "validation": 20}]
    stats = job["tuningDataStats"]["reinforcementTuningDataStats"]
    assert stats["tuningDatasetExampleCount"] == "20"
    lines = [json.loads(line) for line in bench.download(job["gcsMetricsUri"]).splitlines()]
    assert "/eval_mean_reward" in lines[-1]


def test_a_service_is_told_which_job_asks_and_at_which_step(bench: Bench, uri: str) -> None:
    service = Service(lambda *_: (200, b'{"reward": 0.5}'))
    try:
        spec = rewards.cloud_run(service.uri, name="served").request()
        job = bench.wait(bench.post(body(uri, spec=spec, parameters={"stepCount": 2}))["name"])
    finally:
        service.close()
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    number = int(job["name"].rpartition("/")[2])
    assert {one["step"] for one in service.told} == {1, 2}
    assert {one["tuning_job_id"] for one in service.told} == {number}
    assert {one["tuningJobId"] for one in service.told} == {number}
