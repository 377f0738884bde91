"""What tuning and answers cost, said before anything is started."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import BASE, write_rows


def test_an_estimate_starts_nothing(cli, train):
    before = cli("jobs", "list", "--json").out
    done = cli("tune", "supervised", str(train), "--base-model", BASE, "--epochs", "2", "--estimate")
    assert done.status == 0, done.err
    assert "training" in done.out
    assert "100 rows, 2 epochs: " in done.out.splitlines()[-1]
    assert "US$" in done.out.splitlines()[-1]
    assert "Tokenizer: none: 3 to 5 characters a token" in done.err
    assert "times the epochs" in done.err
    assert cli("jobs", "list", "--json").out == before
    found = cli("tune", "supervised", str(train), "--base-model", BASE, "--estimate", "--json").json
    assert found["epochs"] == [1, 10]
    assert found["items"][0]["usd_per_million"] == 5.0


def test_a_price_that_nobody_knows_is_told_with_the_tokens_and_stops_no_job(cli, train):
    arguments = ("tune", "supervised", str(train), "--base-model", "gemini-3.5-flash", "--epochs", "1")
    done = cli(*arguments, "--estimate")
    assert done.status == 1
    assert "VT795" in done.err
    assert "training tokens, in 100 rows" in done.err
    started = cli(*arguments, "--no-wait", "--json")
    assert started.status == 0, started.err
    assert started.json["estimate"]["usd"] is None
    assert started.json["estimate"]["rows"] == 100
    cli("jobs", "cancel", started.json["name"], "--no-wait")


def test_answers_are_priced_by_the_thousand_or_for_a_file(cli, tmp_path):
    said = cli("cost", "answers", BASE, "--prompt-tokens", "400", "--answer-tokens", "50")
    assert said.out == "1,000 answers of gemini-2.5-flash: US$0.24 on Vertex AI\n"
    assert "third party" in said.err, "whose figures these are"
    prompts = write_rows(tmp_path / "prompts.jsonl", [{"prompt": "q" * 300}] * 7)
    found = cli(
        "cost",
        "answers",
        "gemini-3.5-flash",
        "--prompts",
        str(prompts),
        "--answer-tokens",
        "50",
        "--tuned",
        "--batch",
        "--json",
    ).json
    assert (found["rows"], found["prompt_tokens"]) == (7, [60, 100])
    assert found["usd"] == pytest.approx(
        [7 * (tokens * 1.5 + 50 * 9) * 1.5 / 2 / 1e6 for tokens in (60, 100)]
    )


@pytest.mark.parametrize(
    "row",
    [
        "q" * 300,
        [{"role": "user", "parts": [{"text": "q" * 300}]}],
        {"prompt": [{"role": "user", "parts": [{"text": "q" * 300}]}]},
        {"messages": [{"role": "user", "content": "q" * 300}]},
    ],
)
def test_a_prompt_is_counted_whatever_its_form(cli, tmp_path, row):
    prompts = write_rows(tmp_path / "prompts.jsonl", [row])
    found = cli("cost", "answers", BASE, "--prompts", str(prompts), "--answer-tokens", "5", "--json").json
    assert found["prompt_tokens"] == [60, 100]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"input": "Where?"}, "VT340  prompts.jsonl line 1: the row asks nothing"),
        ({"contents": 5}, "contents is a number"),
    ],
)
def test_what_asks_nothing_is_not_said_to_cost_nothing(cli, tmp_path, row, words):
    prompts = write_rows(tmp_path / "prompts.jsonl", [row] * 3)
    done = cli("cost", "answers", BASE, "--prompts", str(prompts), "--answer-tokens", "5")
    assert (done.status, done.out) == (1, "")
    assert words in done.err
    assert "2 other rows" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--answer-tokens", "50"], "one of --prompts and --prompt-tokens"),
        (["--answer-tokens", "-1", "--prompt-tokens", "1"], "range"),
    ],
)
def test_what_cannot_be_priced_is_told_so(cli, arguments, words):
    done = cli("cost", "answers", BASE, *arguments)
    assert done.status == 2
    assert words in done.err


def test_an_unknown_price_is_no_price(cli):
    done = cli(
        "cost",
        "answers",
        "google/gemma3@gemma-3-4b-it",
        "--prompt-tokens",
        "1",
        "--answer-tokens",
        "1",
        "--json",
    )
    assert done.status == 1
    assert json.loads(done.out)["error"]["rule"] == "VT795"


def test_a_project_at_rest_is_priced_by_what_its_settings_say_it_has(cli, tmp_path):
    bare = cli("cost", "project", "--json").json
    assert bare["usd"] == pytest.approx(sum(item["usd"] or 0 for item in bare["items"]))
    assert bare["unknown"] == ["alert on failed jobs"]
    (tmp_path / "vertex-tuning.toml").write_text(
        'kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"\n'
    )
    with_key = cli("cost", "project", "--json").json
    assert {item["name"] for item in with_key["items"]} - {item["name"] for item in bare["items"]} == {
        "key",
        "key_use",
    }
    everything = cli("cost", "project", "--all", "--json").json
    assert {item["input"] for item in everything["items"]} > {"cmek", "schedules", "network", "budget"}
    assert everything["usd"] > with_key["usd"] > bare["usd"]


def test_a_project_is_priced_for_sizes_of_ones_own(cli):
    usual = cli("cost", "project", "--all", "--json").json["usd"]
    said = cli("cost", "project", "--size", "artifacts_gb=550", "--size", "schedules=5", "--all")
    assert said.status == 0
    assert "580 GB" in said.out, "500 GB more than a small team, and two schedules that are not free"
    assert f"US${usual + 500 * 0.02 + 2 * 0.10:.2f} a month in us-central1, at rest" in said.out
    assert "Without: alert on failed jobs" in said.err, "what is unknown is not passed over"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("artefacts_gb=3", "'artefacts_gb' is none of: datasets_gb, "),
        ("artifacts_gb", "--size artifacts_gb"),
        ("artifacts_gb=-1", "range"),
    ],
)
def test_a_size_that_cannot_be_read_is_told_so(cli, size, words):
    done = cli("cost", "project", "--size", size)
    assert done.status == 2
    assert words in done.err


def test_a_job_that_may_cost_too_much_is_not_started(cli, train):
    asked = (
        "tune",
        "supervised",
        str(train),
        "--base-model",
        BASE,
        "--epochs",
        "100",
        "--label",
        "limit=low",
    )
    before = cli("jobs", "list", "--filter", 'labels.limit="low"', "--json").json
    refused = cli(*asked, "--at-most", "0.05", "--no-wait", "--json")
    assert refused.status == 1
    assert refused.json["error"]["rule"] == "VT180"
    assert "no more than US$0.05 is allowed" in refused.json["error"]["what"]
    assert cli("jobs", "list", "--filter", 'labels.limit="low"', "--json").json == before == []
    estimate = cli(*asked, "--estimate", "--at-most", "0.05")
    assert (estimate.status, "VT180" in estimate.err) == (1, True)
    assert "what is paid for" in estimate.out, "what it would cost is said first"
    assert cli(*asked, "--estimate", "--at-most", "100").status == 0


def test_with_a_limit_an_unknown_price_is_too_much(cli, train):
    asked = ("tune", "supervised", str(train), "--base-model", "gemini-3.5-flash", "--epochs", "2")
    refused = cli(*asked, "--at-most", "1000", "--no-wait", "--json")
    assert (refused.status, refused.json["error"]["rule"]) == (1, "VT795")
