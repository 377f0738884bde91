"""What a model was made from can be read later, by anybody, from the model's name alone."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pytest

import vertex_tuning
from tests.sdk.conftest import rows
from vertex_tuning import AsyncTuningClient, LineageError, ServiceError, SpecError, SupervisedTuning, custom
from vertex_tuning.errors import ConfigurationError
from vertex_tuning.lineage import Parent

BASE = "gemini-2.5-flash"
TINY = Path(vertex_tuning.__file__).parent / "training" / "tiny" / "tiny-0.1m"
OPEN_MODEL = "meta/llama3_1@llama-3.1-8b-instruct"


@pytest.fixture(scope="module")
def chain(emulator, tmp_path_factory):
    """Names of two models, the second tuned on from the first."""
    from vertex_tuning import connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            first = client.tune(
                SupervisedTuning(base_model=BASE, training=rows(20), epochs=2, display_name="first"),
                note={"pipeline": "weekly", "run": "7"},
            ).result()
            checkpoint = first.checkpoints()[0]
            second = client.tune(
                SupervisedTuning(
                    **checkpoint.as_base(),
                    training=rows(20, tag=" please"),
                    validation=rows(10, tag="!"),
                    epochs=1,
                )
            ).result()
            return first.name, second.name


def test_a_chain_is_read_from_the_models_name(client, chain):
    first, second = chain
    link = client.lineage.of(second)
    assert link.name == second
    assert link.job["state"] == "JOB_STATE_SUCCEEDED"
    assert link.manifest["method"] == "supervised"
    assert set(link.manifest["data"]) == {"training", "validation"}
    assert link.manifest["versions"]["google-genai"]
    [parent] = link.parents
    assert (parent.role, parent.name, parent.checkpoint) == ("base", first, "1")
    assert parent.manifest["settings"] == {"base_model": BASE, "epochs": 2, "display_name": "first"}
    assert parent.manifest["note"] == {"pipeline": "weekly", "run": "7"}
    [root] = parent.parents
    assert (root.name, root.parents, root.job) == (BASE, (), {})


def test_data_is_told_by_its_digest(client, chain):
    data = client.lineage.of(chain[0]).manifest["data"]["training"]
    bucket, _, name = data["uri"].removeprefix("gs://").partition("/")
    content = client.connection.storage.bucket(bucket).blob(name).download_as_bytes()
    assert data["sha256"] == hashlib.sha256(content).hexdigest()
    assert data["bytes"] == len(content)
    assert data["crc32c"]


def test_what_is_known_later_is_noted_beside_it(open_client, chain):
    first = chain[0]
    uri = open_client().lineage.note(first, "evaluation", {"exact_match": 0.5})
    open_client().lineage.note(first, "gate", {"open": True})
    assert "/vertex-tuning/lineage/models/" in uri
    link = open_client().lineage.of(first)
    assert [note["kind"] for note in link.notes][-2:] == ["evaluation", "gate"]
    assert "exact_match 0.5" in str(link)
    assert json.loads(json.dumps(link.to_json()))["notes"][-1]["body"] == {"open": True}


def test_weights_in_a_folder_have_a_chain_too(client, chain):
    folder = f"gs://{client.connection.ensure_bucket()}/weights/policy"
    client.lineage.note(
        folder,
        "training",
        {"method": "reinforcement", "seed": 7},
        parents=[
            Parent("base", chain[0]),
            Parent("reward", f"{folder}-reward"),
            Parent("code", "smollm2-135m"),
        ],
    )
    link = client.lineage.of(folder)
    assert link.notes[0]["body"]["seed"] == 7
    assert [parent.role for parent in link.parents] == ["base", "reward", "code"]
    assert link.parents[0].parents[0].name == BASE
    assert link.parents[1].remark == "nothing is written down about it"
    assert link.parents[2].remark == ""


def test_an_open_models_folder_tells_what_the_weights_in_it_were_made_from(client):
    out = f"gs://{client.connection.ensure_bucket()}/lineage-open"
    spec = {"training": rows(20), "epochs": 1}
    first = client.tune(SupervisedTuning(base_model=OPEN_MODEL, output_uri=f"{out}/1", **spec)).result()
    second = client.tune(SupervisedTuning(base_model=first, output_uri=f"{out}/2", **spec)).result()
    assert client.lineage.of(second).manifest["settings"]["output_uri"] == f"{out}/2"
    link = client.lineage.of(f"{out}/2/postprocess/node-0/checkpoints/final")
    assert link.manifest["key"] == client.lineage.of(second).manifest["key"]
    assert [(parent.role, parent.name) for parent in link.parents] == [
        ("base", OPEN_MODEL),
        ("weights", f"{out}/1/postprocess/node-0/checkpoints/final"),
    ]
    assert link.parents[1].manifest["settings"]["output_uri"] == f"{out}/1"


def test_what_a_custom_job_trained_is_told_by_its_order(client, tmp_path):
    training = tmp_path / "train.jsonl"
    training.write_text("".join(json.dumps(row) + "\n" for row in rows(8)), encoding="utf-8")
    config = {"model": str(TINY), "training": str(training), "steps": 2, "learning_rate": 5e-3, "seed": 7}
    trained = custom.run_training(client, "supervised", config, host="l4")
    link = client.lineage.of(trained.model_uri)
    assert link.manifest["method"] == "supervised"
    assert link.manifest["settings"]["seed"] == 7
    assert link.manifest["data"]["training"]["sha256"] == hashlib.sha256(training.read_bytes()).hexdigest()
    assert [parent.role for parent in link.parents] == ["base"]


def test_a_job_of_somebody_elses_is_told_as_far_as_the_service_knows(client):
    uri = client.upload(rows(20))
    job = client.connection.genai.tunings.tune(
        base_model=BASE, training_dataset={"gcs_uri": uri}, config={"epoch_count": 1}
    )
    model = client.jobs.get(job.name).result()
    link = client.lineage.of(model)
    assert link.manifest == {}
    assert "no manifest" in link.remark
    assert link.job["data"] == {"training": uri}
    assert [parent.name for parent in link.parents] == [BASE]
    assert uri in str(link)


def test_a_parent_that_is_gone_ends_the_chain(client):
    first = client.tune(SupervisedTuning(base_model=BASE, training=rows(20, tag=" gone"), epochs=1)).result()
    second = client.tune(SupervisedTuning(base_model=first.name, training=rows(20), epochs=1)).result()
    first.delete()
    [parent] = client.lineage.of(second).parents
    assert (parent.name, parent.remark) == (first.name, "it is gone")


def test_a_ring_is_not_followed_for_ever(client):
    folder = f"gs://{client.connection.ensure_bucket()}/weights/ring"
    client.lineage.note(folder, "training", {}, parents=[Parent("base", folder)])
    assert client.lineage.of(folder).parents[0].remark == "it stands above already"


@pytest.mark.parametrize(
    "error", [ServiceError("VT501", "no", code=403), ConfigurationError("VT108", "no bucket is set")]
)
def test_a_manifest_that_cannot_be_written_stops_no_job_and_is_said(client, monkeypatch, caplog, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("vertex_tuning.lineage.bucket.write", refuse)
    with caplog.at_level(logging.WARNING):
        job = client.tune(
            SupervisedTuning(base_model=BASE, training=rows(20, tag=f" {error.rule}"), epochs=1)
        )
    assert "no manifest was written" in caplog.text
    job.cancel()
    job.wait()


def test_what_cannot_be_noted_is_refused(client):
    with pytest.raises(LineageError, match="VT761"):
        client.lineage.note("gs://bucket/folder", "../up", {})
    with pytest.raises(LineageError, match="VT761"):
        client.lineage.note("gs://bucket/folder", "tuning", {})
    with pytest.raises(SpecError, match="VT316"):
        client.lineage.note("gemini-2.5-flash", "evaluation", {})


async def test_it_can_be_awaited(open_client, chain):
    client = AsyncTuningClient(open_client())
    await client.lineage.note(chain[1], "gate", {"open": True})
    link = await client.lineage.of(await client.models.get(chain[1]))
    assert link.notes[-1]["body"] == {"open": True}
    job = await client.jobs.of(await client.models.get(chain[1]))
    assert job.name == link.job["name"]
