"""`lineage show`: what a model was made from."""

from __future__ import annotations


def test_people_see_the_chain(cli, tuned, job):
    done = cli("lineage", "show", tuned)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == tuned
    assert f"{job}, JOB_STATE_SUCCEEDED" in lines[1]
    assert "sha256" in done.out
    assert "epochs 2" in done.out
    assert lines[-1] == "  base: gemini-2.5-flash"


def test_machines_get_it_as_one_document(cli, tuned):
    found = cli("lineage", "show", tuned.partition("@")[0].rpartition("/")[2], "--json").json
    assert found["manifest"]["settings"]["epochs"] == 2
    assert found["manifest"]["labels"] == {"team": "a", "stage": "test"}
    assert found["parents"][0]["name"] == "gemini-2.5-flash"


def test_a_model_that_is_not_there_is_1(cli):
    assert cli("lineage", "show", "123456789").status == 1
