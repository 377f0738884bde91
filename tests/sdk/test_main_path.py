"""A file goes in, a model that learnt it comes out; and what can be done with the model."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sdk.conftest import OPPOSITES, rows
from vertex_tuning import (
    DatasetError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    PreferenceTuning,
    ReinforcementTuning,
    ServiceError,
    SpecError,
    SupervisedTuning,
    rewards,
)

BASE = "gemini-2.5-flash"
OPEN_MODEL = "meta/llama3_1@llama-3.1-8b-instruct"


def test_a_file_goes_in_and_a_model_that_learnt_it_comes_out(client, write):
    path = write(rows(100))
    job = client.tune(
        SupervisedTuning(
            base_model=BASE,
            training=path,
            validation=rows(10, tag=" "),
            epochs=8,
            adapter_size=16,
            learning_rate_multiplier=2,
            labels={"team": "a"},
            display_name="main path",
            description="of the SDK",
        )
    )
    seen = list(job.follow())
    assert [progress.ended for progress in seen].count(True) == 1
    assert seen[-1].state == "JOB_STATE_SUCCEEDED"
    assert seen[-1].step == seen[-1].steps
    assert {"TUNING_JOB_STATE_TUNING"} <= {progress.sub_state for progress in seen}
    assert job.labels["team"] == "a"
    assert job.display_name == "main path"
    assert job.base_model == BASE
    assert (job.tuned_from, job.method) == (BASE, "supervised")
    assert "sdk_http_response" not in job.to_json()  # how an answer came is not what it says

    model, base = job.result(), client.models.base(BASE)
    right = dict(OPPOSITES)
    learnt = sum(
        model.generate(f"Opposite of {word}?", temperature=0, max_output_tokens=8).text == answer
        for word, answer in right.items()
    )
    known = sum(
        base.generate(f"Opposite of {word}?", temperature=0, max_output_tokens=8).text == answer
        for word, answer in right.items()
    )
    assert learnt == len(right)
    assert known < learnt


def test_metrics_tell_every_step_and_every_evaluation(client):
    spec = SupervisedTuning(base_model=BASE, training=rows(), validation=rows(10, tag="!"), epochs=2)
    job = client.tune(spec).wait()
    measures = job.metrics()
    steps = [measure for measure in measures if "loss" in measure]
    assert [measure["step"] for measure in steps] == list(range(1, job.progress().steps + 1))
    assert len([measure for measure in measures if "eval_loss" in measure]) == 2
    assert [event["event"] for event in job.events()] == ["created", "started", "JOB_STATE_SUCCEEDED"]


def test_a_tuned_model_answers_streams_counts_and_chooses(tuned):
    answer = tuned.generate("Opposite of hot?", temperature=0, max_output_tokens=8)
    assert answer.finish_reason in ("STOP", "MAX_TOKENS")
    assert answer.prompt_tokens > 0
    assert answer.answer_tokens > 0
    assert "".join(tuned.stream("Opposite of hot?", temperature=0, max_output_tokens=8)) == answer.text
    assert tuned.count_tokens("Opposite of hot?") == answer.prompt_tokens
    assert tuned.generate("Opposite of hot?", labels=["cold", "warm"]).text in ("cold", "warm")
    turns = [{"role": "user", "parts": [{"text": "Opposite of hot?"}]}]
    assert tuned.generate(turns, temperature=0, max_output_tokens=8).text == answer.text


def test_how_to_call_is_a_program_that_runs(tuned, emulator):
    program = tuned.how_to_call().replace('contents="..."', 'contents="Opposite of hot?"')
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=emulator.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_each_checkpoint_answers_and_can_become_the_default(client):
    spec = SupervisedTuning(base_model=BASE, training=rows(tag=" now"), epochs=2, display_name="checkpoints")
    model = client.tune(spec).result()
    first, last = model.checkpoints()
    assert [first.epoch, last.epoch] == [1, 2]
    assert (first.default, last.default) == (False, True)
    assert model.endpoint == last.served_as != first.served_as
    assert first.generate("Opposite of hot?", max_output_tokens=4).answer_tokens > 0
    model.make_default(first)
    assert model.endpoint == first.served_as
    assert [checkpoint.default for checkpoint in model.checkpoints()] == [True, False]
    assert client.models.get(model.name).endpoint == first.served_as


def test_tuning_on_makes_the_next_version_and_deleting_takes_all(client):
    spec = SupervisedTuning(base_model=BASE, training=rows(tag=" 1"), epochs=1, display_name="goes on")
    first = client.tune(spec).result()
    on = SupervisedTuning(
        base_model=first.name, checkpoint_id="1", training=rows(tag=" 2"), epochs=1, display_name="goes on"
    )
    second = client.tune(on).result()
    assert (first.version, second.version) == ("1", "2")
    assert second.name.partition("@")[0] == first.name.partition("@")[0]
    assert second.name.partition("@")[0] in {model.name.partition("@")[0] for model in client.models.list()}
    second.delete()
    with pytest.raises(ServiceError) as caught:
        client.models.get(first.name)
    assert caught.value.code == 404
    second.delete()  # gone is gone


def test_only_the_last_checkpoint_is_kept_when_asked(client):
    spec = SupervisedTuning(base_model=BASE, training=rows(tag=" last"), epochs=2, last_checkpoint_only=True)
    model = client.tune(spec).result()
    assert model.checkpoints() == []
    assert model.generate("Opposite of hot?", max_output_tokens=4).answer_tokens > 0


def test_a_second_job_queues_while_one_trains(client):
    long = client.tune(SupervisedTuning(base_model=BASE, training=rows(200, tag=" a"), epochs=40))
    short = client.tune(SupervisedTuning(base_model=BASE, training=rows(tag=" b"), epochs=1))
    assert short.state == "JOB_STATE_PENDING"
    long.cancel()
    assert short.wait().state == "JOB_STATE_SUCCEEDED"
    assert long.refresh().state == "JOB_STATE_CANCELLED"
    with pytest.raises(JobCancelledError) as caught:
        long.result()
    assert caught.value.rule == "VT602"
    assert caught.value.job == long.name


def test_waiting_ends_in_time_and_the_job_goes_on(client):
    job = client.tune(SupervisedTuning(base_model=BASE, training=rows(200, tag=" t"), epochs=40))
    with pytest.raises(JobTimeoutError) as caught:
        job.wait(timeout=0.3)
    assert caught.value.rule == "VT603"
    assert isinstance(caught.value, TimeoutError)
    assert not job.refresh().ended
    job.cancel()
    job.wait()


def test_a_service_that_is_gone_is_not_waited_for_for_ever(start_emulator, open_client, monkeypatch):
    running = start_emulator()
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", running.address)
    client = open_client()
    job = client.tune(SupervisedTuning(base_model=BASE, training=rows(200, tag=" gone"), epochs=100))
    monkeypatch.setattr("vertex_tuning.following._PATIENCE", 0.0)
    following = job.follow()
    next(following)
    running.kill()
    with pytest.raises(ServiceError) as caught:
        list(following)
    assert (caught.value.rule, caught.value.code) == ("VT502", 0)


def test_a_model_is_called_as_the_service_calls_it(client, tuned_name):
    identifier = tuned_name.rsplit("/", 1)[1]
    assert client.models.get(identifier).name == client.models.get(tuned_name).name == tuned_name


def test_a_job_that_fails_says_why_in_the_services_words(client):
    """The rows of a `gs://` file are first read when the job runs."""
    blob = client.connection.storage.bucket(client.connection.ensure_bucket()).blob("broken.jsonl")
    blob.upload_from_string('{"contents": []}\n')
    spec = SupervisedTuning(base_model=BASE, training=f"gs://{client.connection.bucket}/broken.jsonl")
    with pytest.raises(JobFailedError) as caught:
        client.tune(spec).result()
    assert (caught.value.rule, caught.value.code) == ("VT601", 3)
    assert "broken.jsonl" in str(caught.value)
    assert "Fix:" in str(caught.value)


def test_nothing_is_sent_for_data_with_faults(client, write):
    path = write(b'{"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}\nnot json\n')
    before = len(client.jobs.list())
    with pytest.raises(DatasetError) as caught:
        client.tune(SupervisedTuning(base_model=BASE, training=path))
    assert {"VT203", "VT204"} <= {fault.rule for fault in caught.value.faults}
    assert "train.jsonl line 2" in str(caught.value)
    assert len(client.jobs.list()) == before


def test_what_is_no_spec_is_told_so(client, write):
    with pytest.raises(SpecError) as told:
        client.tune(write(b"{}"))
    assert "is not a spec" in told.value.fault.what
    assert "SupervisedTuning(" in told.value.fault.fix


def test_a_model_is_held_against_the_region_before_anything_is_sent(open_client):
    client = open_client(location="us-east1")
    with pytest.raises(SpecError) as caught:
        client.tune(SupervisedTuning(base_model="gemini-3.5-flash", training=rows()))
    assert caught.value.rule == "VT305"


def test_gemini_3_is_tuned_in_a_region_and_asked_in_its_multi_region(client):
    spec = SupervisedTuning(base_model="gemini-3.5-flash", training=rows(tag=" 3"), epochs=1)
    model = client.tune(spec).result()
    assert "/locations/us/" in model.endpoint
    assert model.generate("Opposite of hot?", max_output_tokens=4).answer_tokens > 0
    assert client.models.list()[0].name == model.name, "the newest comes first, wherever it lives"
    assert [found.name for found in client.models.list(limit=1)] == [model.name]
    assert client.models.get(model.name.rpartition("/")[2]).name == model.name, "by its id alone"
    with pytest.raises(ServiceError, match="/locations/us-central1/models/9 is not found"):
        client.models.get("9")


def test_jobs_are_listed_newest_first_by_filter_and_limit(client):
    names = [
        client.tune(
            SupervisedTuning(base_model=BASE, training=rows(tag=f" l{n}"), epochs=1, labels={"batch": "l"})
        ).name
        for n in range(3)
    ]
    found = client.jobs.list(filter='labels.batch="l"')
    assert [job.name for job in found] == names[::-1]
    assert [job.name for job in client.jobs.list(filter='labels.batch="l"', limit=2)] == names[:0:-1]
    assert client.jobs.get(found[0].id).name == found[0].name
    for job in found:
        job.wait()


def test_a_job_of_that_name_that_there_is_not(client):
    with pytest.raises(ServiceError) as caught:
        client.jobs.get("123")
    assert (caught.value.rule, caught.value.code) == ("VT501", 404)


def test_a_preference_is_learnt(client):
    """Before, the chatty answer is as good as the brief one or better; after, the brief one."""
    pairs = [
        {
            "contents": [{"role": "user", "parts": [{"text": f"Opposite of {word}?"}]}],
            "completions": [
                {"score": 0, "completion": {"role": "model", "parts": [{"text": f"that is {answer}"}]}},
                {"score": 1, "completion": {"role": "model", "parts": [{"text": answer}]}},
            ],
        }
        for word, answer in OPPOSITES * 20
    ]
    spec = PreferenceTuning(
        base_model=BASE, training=pairs, epochs=3, beta=0.1, learning_rate_multiplier=4, adapter_size=16
    )
    job = client.tune(spec)
    seen = list(job.follow())
    assert seen[-1].state == "JOB_STATE_SUCCEEDED"
    assert seen[-1].step == seen[-1].steps
    model = job.result()
    for word, answer in OPPOSITES:
        asked = f"Opposite of {word}?"
        assert model.generate(asked, labels=[answer, f"that is {answer}"]).text == answer


def test_pairs_are_checked_before_anything_is_sent(client):
    with pytest.raises(DatasetError) as caught:
        client.tune(PreferenceTuning(base_model=BASE, training=rows(40)))
    assert {fault.rule for fault in caught.value.faults} == {"VT227", "VT230"}
    assert not client.check(rows(40), method="preference").ok


def test_a_reward_is_tried_with_a_judge_and_asked_of_the_service(client, tuned_name):
    endpoint = client.models.get(tuned_name).endpoint
    prompts = [
        {"contents": row["contents"][:1], "references": {"answer": row["contents"][1]["parts"][0]["text"]}}
        for row in rows(10)
    ]
    judge = rewards.judge(
        "{{prompt}} {{response}}", model=endpoint, expect="cold", samples=1, temperature=0.0
    )
    both = rewards.weighted([(judge, 1), (rewards.exact_match("{{references.answer}}"), 1)])
    trial = client.try_reward(both, prompts, model=tuned_name, answers=1, rows=4, max_output_tokens=8)
    assert (trial.prompts, trial.answers, trial.failed) == (4, 4, 0)
    assert set(trial.parts) == {"judge", "exact_match"}
    score = client.validate_reward(both, prompts[0], "cold")
    assert score.parts["exact_match"].reward == 1.0
    assert score.reward == pytest.approx((score.parts["judge"].reward + 1) / 2)


def test_a_tuned_model_and_its_checkpoints_are_tuned_on_as_they_are(client):
    first = client.tune(
        SupervisedTuning(base_model=BASE, training=rows(), epochs=2, display_name="as it is")
    ).result()
    early = first.checkpoints()[0]
    job = client.tune(SupervisedTuning(base_model=early, training=rows(), epochs=1)).wait()
    source = job.resource.pre_tuned_model
    assert source is not None
    assert (source.tuned_model_name, source.checkpoint_id) == (first.name, "1")
    assert job.result().name.partition("@")[0] == first.name.partition("@")[0]


def test_a_reward_that_no_row_can_earn_is_told_before_anything_is_sent(client):
    prompts = [
        {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}], "references": {"answer": "red"}}
    ]
    reward = rewards.contains("{{references.answr}}")
    before = len(client.jobs.list())
    with pytest.raises(DatasetError) as caught:
        client.tune(ReinforcementTuning(base_model="gemini-3.5-flash", training=prompts, reward=reward))
    assert caught.value.rule == "VT233"
    assert '"answer"' in caught.value.fault.fix
    assert len(client.jobs.list()) == before


def test_what_a_tuned_model_does_not_take_is_told_before_anything_is_sent(client, tuned_name):
    """What it was tuned from, and how, its job tells: the catalog has the rest."""
    prompts = [
        {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}], "references": {"answer": "red"}}
    ]
    said = rewards.contains("{{references.answer}}")
    answers = [
        {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
        for score, text in ((1, "red"), (0, "blue"))
    ]
    pairs = [{"contents": prompts[0]["contents"], "completions": answers}] * 20
    on = client.tune(PreferenceTuning(base_model=tuned_name, training=pairs, epochs=1)).result()
    before = len(client.jobs.list())
    for rule, spec in {
        "VT302": ReinforcementTuning(base_model=tuned_name, training=prompts, reward=said),
        "VT304": SupervisedTuning(base_model=tuned_name, training=rows(), adapter_size=32),
        "VT322": SupervisedTuning(base_model=on, training=rows()),
    }.items():
        with pytest.raises(SpecError) as caught:
            client.tune(spec)
        assert caught.value.rule == rule
    with pytest.raises(ServiceError) as gone:
        client.tune(SupervisedTuning(base_model=tuned_name.partition("@")[0][:-3] + "777", training=rows()))
    assert gone.value.code == 404
    assert len(client.jobs.list()) == before


def test_open_weights_are_tuned_on_as_they_are(client):
    out = f"gs://{client.connection.ensure_bucket()}/on"
    spec = {"training": rows(), "epochs": 1}
    first = client.tune(SupervisedTuning(base_model=OPEN_MODEL, output_uri=f"{out}/1", **spec)).result()
    job = client.tune(SupervisedTuning(base_model=first, output_uri=f"{out}/2", **spec)).wait()
    assert job.state == "JOB_STATE_SUCCEEDED"
    assert job.resource.custom_base_model == f"{out}/1/postprocess/node-0/checkpoints/final"
    found = client.models.get(f"{out}/1")
    with pytest.raises(SpecError) as caught:
        SupervisedTuning(base_model=found, output_uri=f"{out}/3", **spec)
    assert caught.value.rule == "VT321"
