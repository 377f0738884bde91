"""`vertex-tuning pipeline runs --here` and `pipeline prune`, as people use them."""

from __future__ import annotations

import json

import pytest

from vertex_tuning.pipelines import stored


@pytest.fixture
def three(env, home, monkeypatch):
    """What three runs left: one failed, one has outputs of another."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(home))
    for name, state in {"first": "SUCCEEDED", "second": "SUCCEEDED", "third": "FAILED"}.items():
        record = stored.Record(name, "chain", None)
        (record.folder / "1").mkdir()
        (record.folder / "1" / "data").write_bytes(b"x" * 1_500_000)
        record.end(state)
    stored.take(
        record.folder.parent / "second" / "taken.jsonl", [str(record.folder.parent / "first" / "1" / "data")]
    )
    stored.cache_folder().mkdir()
    (stored.cache_folder() / "0.json").write_text(json.dumps({"uri": f"{record.folder}/1/data"}))


def here(cli):
    return [run["name"] for run in json.loads(cli("pipeline", "runs", "--here", "--json").out)]


def test_runs_here_are_listed_with_what_they_take(cli, three):
    done = cli("pipeline", "runs", "--here")
    assert done.out.splitlines()[1].split()[:2] == ["third", "failed"]
    assert done.out.count("1.5 MB") == 3
    assert "3 runs in all, 4.5 MB. To remove some: vertex-tuning pipeline prune" in done.err
    assert "Beside these, 3 runs of `pipeline run`, 4.5 MB" in cli("pipeline", "runs").err
    found = json.loads(cli("pipeline", "runs", "--here", "--json", "--limit", "1").out)
    assert [(run["name"], run["state"]) for run in found] == [("third", "FAILED")]
    assert found[0]["bytes"] > 1_500_000


def test_where_nothing_ran_there_is_nothing_to_remove(cli):
    assert "No runs on this machine." in cli("pipeline", "runs", "--here").err
    done = cli("pipeline", "prune")
    assert done.status == 0
    assert "There is no run to remove." in done.err


def test_nothing_is_older_than_the_calendar(cli, three):
    assert "There is no run to remove." in cli("pipeline", "prune", "--older-than", "999999w").err


def test_what_would_go_is_said_and_nothing_goes_that_nobody_agreed_to(cli, three):
    done = cli("pipeline", "prune", "--keep", "2", "--dry-run")
    assert done.status == 0
    assert "first stays: second has outputs there" in done.err
    refused = cli("pipeline", "prune")
    assert refused.status == 1
    assert "VT729  3 runs, 4.5 MB, and with them one step in the cache" in refused.err
    assert "--yes" in refused.err
    assert here(cli) == ["third", "second", "first"]


def test_what_is_agreed_to_goes(cli, three):
    done = cli("pipeline", "prune", "--failed", "--yes", "--json")
    assert done.status == 0, done.err
    pruned = json.loads(done.out)
    assert [run["name"] for run in pruned["removed"]] == ["third"]
    assert (pruned["cached_steps"], pruned["dry_run"], pruned["kept"]) == (1, False, [])
    assert pruned["bytes"] > 1_500_000
    assert here(cli) == ["second", "first"]
    assert (
        "Removed 2 runs: 3.0 MB are free again." in cli("pipeline", "prune", "first", "second", "--yes").out
    )
    assert here(cli) == []


def test_on_a_terminal_it_is_asked(terminal, cli, three):
    shown = terminal("pipeline", "prune", "third")
    shown.until("Remove it?")
    shown.type("y\n")
    assert shown.end() == 0
    assert here(cli) == ["second", "first"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prune", "gone", "third", "other"), "VT728  other: there is no such run on this machine"),
        (("prune", "first", "--yes"), "VT729  first: second has outputs there"),
        (("prune", "--older-than", "7y"), "such as 36h or 7d"),
        (("runs", "--here", "--filter", 'state="x"'), "--filter is for the service"),
    ],
)
def test_what_cannot_be_is_said_in_words(cli, three, arguments, words):
    done = cli("pipeline", *arguments)
    assert done.status != 0
    assert words in done.err
    assert len(here(cli)) == 3


def test_what_a_prune_that_was_cut_off_left_goes_with_the_next_one(cli, three, home):
    runs = home / "pipelines" / "runs"
    (runs / ".removed").mkdir()
    (runs / "third").rename(runs / ".removed" / "third.1f2a")
    done = cli("pipeline", "prune", "--keep", "9", "--yes")
    assert "An earlier prune was cut off: 1.5 MB" in done.err
    assert done.out == "1.5 MB are free again.\n"
    assert here(cli) == ["second", "first"]
