"""`tune supervised`: from a file to a model, and every way in which that ends early."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import BASE
from vertex_tuning import connect, rewards


def tune(train, *options: str) -> list[str]:
    return ["tune", "supervised", str(train), "--base-model", BASE, "--epochs", "1", *options]


def bucket(emulator, name: str) -> None:
    body = {"name": name, "location": "europe-west4"}
    emulator.call("POST", "/storage/v1/b?project=vertex-tuning-local", body)


def test_a_file_goes_in_and_a_model_comes_out(tuning, tuned, job):
    """The result stands on standard output, all else on standard error."""
    assert tuning.status == 0
    model, endpoint = tuning.out.splitlines()
    assert model.startswith("Tuned model: projects/")
    assert "/endpoints/" in endpoint
    assert "/tuningJobs/" in job
    said = tuning.err.splitlines()
    # What it costs is said before it is asked for.
    assert re.fullmatch(
        r"100 rows, 2 epochs: [\d,]+ to [\d,]+ tokens, US\$0\.01 to 0\.02 on Vertex AI", said[0]
    )
    assert said[1].startswith("warning: VT325"), "the model's last day has come"
    assert job in said
    assert any(line.startswith("succeeded, step ") and "loss" in line for line in said)
    assert f"vertex-tuning models generate {tuned}" in tuning.err
    assert "from google import genai" in tuning.err


def test_what_was_asked_for_is_what_the_job_has(cli, job):
    found = cli("jobs", "show", job, "--json").json
    assert found["state"] == "JOB_STATE_SUCCEEDED"
    assert found["base_model"] == BASE
    assert found["tuned_model_display_name"] == "opposites"
    assert found["labels"].items() >= {"team": "a", "stage": "test"}.items()
    assert found["supervised_tuning_spec"]["hyper_parameters"]["epoch_count"] == 2
    shown = cli("jobs", "show", job).out
    assert "stage=test, team=a" in shown or "team=a, stage=test" in shown
    assert "vertex-tuning-key" not in shown


def test_json_is_a_line_per_change_and_one_with_the_model(cli, train):
    done = cli(*tune(train, "--json"))
    assert (done.status, done.err) == (0, "")
    *changes, last = done.lines
    assert {line["name"] for line in changes} == {changes[0]["name"]}
    assert changes[-1]["state"] == "JOB_STATE_SUCCEEDED"
    assert changes[-1]["step"] == changes[-1]["steps"] > 0
    assert changes[-1]["loss"] > 0
    assert changes[-1]["tokens_per_second"] > 0
    assert set(last["model"]) >= {"name", "version", "endpoint", "output_uri"}
    watched = cli("jobs", "watch", changes[0]["name"], "--json")
    assert watched.lines[-1] == {"model": last["model"]}
    assert last["estimate"]["tokens"][0] < last["estimate"]["tokens"][1]


def test_each_checkpoint_is_measured_where_that_is_asked_for(cli, train):
    arguments = ("--validation", str(train), "--evaluate", "exact_match", "--evaluate", "bleu")
    done = cli(*tune(train, *arguments, "--json"))
    assert done.status == 0, done.err
    (one,) = done.lines[-1]["evaluations"]
    assert one["scores"].keys() >= {"exact_match", "bleu"}
    assert one["output_uri"].startswith("gs://")
    refused = cli(*tune(train, "--evaluate", "exact_match"))
    assert refused.status == 1
    assert "checkpoints are measured on the validation set" in refused.err


def test_without_waiting_it_says_how_to_follow(cli, train, emulator):
    bucket(emulator, "in-europe")
    done = cli(*tune(train, "--no-wait", "--location", "europe-west4", "--bucket", "in-europe"))
    assert done.status == 0
    (name,) = done.out.split()
    assert "/locations/europe-west4/tuningJobs/" in name
    (follow,) = [line for line in done.err.splitlines() if line.startswith("Follow it: ")]
    words = follow.removeprefix("Follow it: vertex-tuning ").split()
    assert words == ["jobs", "watch", name, "--location", "europe-west4"]
    watched = cli(*words)
    assert watched.status == 0
    assert "/models/" in watched.out


def test_without_waiting_as_json_it_is_the_job(cli, train):
    found = cli(*tune(train, "--no-wait", "--json")).json
    assert found["name"].partition("/tuningJobs/")[2].isdigit()
    assert found["state"] in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING")
    cancelled = cli("jobs", "cancel", found["name"], "--json")
    assert cancelled.status in (0, 1)  # it may have ended meanwhile


@pytest.mark.parametrize(
    ("options", "rule", "help"),
    [
        (["--base-model", "gemini-9"], "VT301", "Fix:"),
        (["--base-model", "gemini-2.5-pro", "--adapter-size", "32"], "VT304", "one of:"),
        (["--base-model", BASE, "--mode", "full"], "VT303", "adapter"),
        (["--base-model", BASE, "--label", "Team=A"], "VT309", "lower-case"),
        (["--base-model", BASE, "--location", "mars-north1"], "VT305", "us-central1"),
        (["--base-model", BASE, "--bucket", "no-such-bucket-anywhere"], "VT109", "leave the bucket out"),
        (["--base-model", "gemini-9", "--label", "A=1"], "VT300", "Fix:"),
    ],
    ids=["model", "size", "mode", "label", "region", "bucket", "two"],
)
def test_a_spec_that_cannot_be_is_refused_with_the_way_out(cli, train, options, rule, help):
    before = cli("jobs", "list", "--json").json
    arguments = ["tune", "supervised", str(train), *options]
    done = cli(*arguments)
    assert (done.status, done.out, done.rule) == (1, "", rule)
    assert help in done.err
    found = cli(*arguments, "--json")
    assert (found.status, found.err) == (1, "")
    assert found.lines[0]["error"]["rule"] == rule  # on one line, as all that --json says here
    assert cli("jobs", "list", "--json").json == before


def test_a_bucket_in_another_region_is_refused_before_the_upload(cli, train, emulator):
    bucket(emulator, "far-away")
    done = cli(*tune(train, "--bucket", "far-away"))
    assert (done.status, done.rule) == (1, "VT110")
    assert "europe-west4" in done.err
    assert "items" not in emulator.call("GET", "/storage/v1/b/far-away/o")


def test_a_bucket_of_the_settings_is_there_in_an_emulator_of_theirs(cli, train, tmp_path):
    settings = tmp_path / "vertex-tuning.toml"
    settings.write_text('bucket = "named-in-a-file"\n', encoding="utf-8")
    done = cli(*tune(train))
    assert (done.status, done.rule) == (1, "VT109")
    assert f"emulator start --config {settings}" in done.err
    assert "leave the bucket out" in cli(*tune(train, "--bucket", "named-elsewhere")).err


def test_a_place_where_it_cannot_be_tuned_is_refused_before_an_emulator_is_started(cli, alone, train, home):
    done = cli(*tune(train, "--location", "mars"))
    assert (done.status, done.rule) == (1, "VT305")
    assert "No emulator was running" not in done.err
    assert not (home / "emulator").exists()


@pytest.mark.parametrize(
    ("content", "rule"),
    [(None, "VT201"), (b"not json\n", "VT204"), (b"", "VT217")],
    ids=["missing", "text", "empty"],
)
@pytest.mark.parametrize("role", ["training", "validation"])
def test_data_that_cannot_be_is_refused_by_name(cli, train, tmp_path, content, rule, role):
    other = tmp_path / "other.jsonl"
    if content is not None:
        other.write_bytes(content)
    arguments = tune(other) if role == "training" else tune(train, "--validation", str(other))
    done = cli(*arguments)
    assert (done.status, done.out) == (1, "")
    assert rule in done.err
    assert "other.jsonl" in done.err


def test_a_job_that_fails_is_1_with_the_services_words(cli, emulator, env):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VERTEX_TUNING_EMULATOR", "VERTEX_TUNING_HOME"):
            patch.setenv(name, env[name])
        with connect("local") as client:
            bucket = client.connection.ensure_bucket()
            client.connection.storage.bucket(bucket).blob("cli-broken.jsonl").upload_from_string("{}\n")
    done = cli(*tune(f"gs://{bucket}/cli-broken.jsonl", "--json"))
    assert done.status == 1
    *changes, last = done.lines
    assert changes[-1]["state"] == "JOB_STATE_FAILED"
    assert last["error"]["rule"] == "VT601"
    assert "cli-broken.jsonl" in json.dumps(last)
    shown = cli("jobs", "show", changes[-1]["name"])
    assert "cli-broken.jsonl" in shown.out
    watched = cli("jobs", "watch", changes[-1]["name"])
    assert (watched.status, watched.rule) == (1, "VT601")


def test_a_tuned_model_can_be_tuned_on(cli, train, tuned):
    done = cli(
        "tune", "supervised", str(train), "--base-model", tuned, "--epochs", "1", "--name", "on", "--json"
    )
    assert done.status == 0, done.out
    assert done.lines[-1]["model"]["name"] != tuned


def test_with_no_emulator_running_the_users_own_is_started_and_left(cli, alone, home):
    """A job outlives the command that started it, and so does the emulator that it runs in, with all that is in it."""
    try:
        started = cli("models", "list")
        assert started.status == 0, started.err
        assert "No emulator was running" in started.err
        assert "vertex-tuning emulator stop" in started.err
        status = cli("emulator", "status", "--json").json
        assert status["data_dir"] == str(home / "emulator")
        assert status["address"] in started.err
        assert "started" not in cli("models", "list").err
    finally:
        assert cli("emulator", "stop").status == 0


def test_commands_that_start_it_at_once_share_one(running, cli, alone):
    try:
        both = [running("models", "list", "--json") for _ in range(2)]
        said = [process.communicate(timeout=120) for process in both]
        assert [(process.returncode, out) for process, (out, _) in zip(both, said, strict=True)] == [
            (0, "[]\n")
        ] * 2
        assert "".join(err for _, err in said).count("No emulator was running") == 1
    finally:
        assert cli("emulator", "stop").status == 0


def test_a_preference_is_tuned_as_an_example_is(cli, tmp_path):
    def pair(number: int) -> dict:
        answers = [
            {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
            for score, text in ((1, "cold"), (0, "well, cold"))
        ]
        asked = {"role": "user", "parts": [{"text": f"{number}. Opposite of hot?"}]}
        return {"contents": [asked], "completions": answers}

    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair(number)) + "\n" for number in range(40)), encoding="utf-8")
    assert cli("data", "check", str(path), "--method", "preference").status == 0
    assert cli("data", "check", str(path)).status == 1
    options = ["--base-model", BASE, "--epochs", "1", "--beta", "0.2", "--json"]
    done = cli("tune", "preference", str(path), *options)
    assert done.status == 0, done.err
    *changes, last = done.lines
    assert changes[-1]["step"] == changes[-1]["steps"] > 0
    job = cli("jobs", "show", changes[0]["name"], "--json").json
    assert job["preference_optimization_spec"]["hyper_parameters"]["beta"] == 0.2
    assert last["model"]["endpoint"]


def test_a_student_is_taught_by_another_model(cli, tmp_path):
    path = tmp_path / "prompts.jsonl"
    asked = [
        {"contents": [{"role": "user", "parts": [{"text": f"{number}. Opposite of hot?"}]}]}
        for number in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    assert cli("data", "check", str(path), "--method", "distillation").status == 0
    done = cli("tune", "distillation", str(path), "--base-model", BASE, "--teacher", "gemini-9")
    assert done.status == 1
    assert "gemini-3.1-pro" in done.err
    options = ["--base-model", BASE, "--teacher", "gemini-3.1-pro", "--epochs", "1", "--json"]
    done = cli("tune", "distillation", str(path), *options)
    assert done.status == 0, done.err
    *changes, last = done.lines
    assert changes[-1]["step"] == changes[-1]["steps"] > 0
    assert last["model"]["endpoint"]


def test_a_field_of_another_way_of_tuning_is_not_known(cli, tmp_path):
    done = cli("tune", "preference", "pairs.jsonl", "--base-model", BASE, "--batch-size", "4")
    assert done.status == 2
    assert "--batch-size" in done.err


def test_a_model_is_tuned_by_what_its_answers_earn(cli, tmp_path):
    rows = [
        {
            "contents": [{"role": "user", "parts": [{"text": f"{number}. Hot?"}]}],
            "references": {"answer": "cold"},
        }
        for number in range(16)
    ]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    reward = rewards.contains("{{references.answer}}").request()
    (tmp_path / "reward.json").write_text(json.dumps(reward), encoding="utf-8")
    options = ["--batch-size", "4", "--samples-per-prompt", "4", "--max-output-tokens", "6", "--epochs", "1"]
    where = ["--base-model", "gemini-3.5-flash", "--reward", str(tmp_path / "reward.json")]
    done = cli("tune", "reinforcement", str(tmp_path / "prompts.jsonl"), *where, *options, "--json")
    assert done.status == 0, done.err
    *changes, last = done.lines
    assert changes[-1]["step"] == changes[-1]["steps"] == 2  # half of the rows are split off
    assert last["model"]["endpoint"]
    assert cli("tune", "reinforcement", "x.jsonl", "--base-model", "gemini-3.5-flash").status == 2
