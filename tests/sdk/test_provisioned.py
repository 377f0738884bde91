"""A project that was provisioned: what its settings name is what jobs are sent with, and nobody has to say it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1

from tests.sdk.conftest import rows
from vertex_tuning import RewardError, SpecError, SupervisedTuning, TuningClient, custom, rewards
from vertex_tuning.config import Config

TINY = Path(custom.__file__).parent / "training" / "tiny" / "tiny-0.1m"
OPEN = "google/gemma3@gemma-3-1b-it"
KEY = "projects/p/locations/us-central1/keyRings/vt-us-central1/cryptoKeys/vt-data"
ATTACHMENT = "projects/p/regions/us-central1/networkAttachments/vt-psc"
SETTINGS = Config(
    bucket="provisioned-datasets",
    pipelines_bucket="provisioned-pipelines",
    artifacts_bucket="provisioned-artifacts",
    service_account="vt-runner@p.iam.gserviceaccount.com",
    images="us-central1-docker.pkg.dev/p/vt-images",
    kms_key=KEY,
    network_attachment=ATTACHMENT,
    labels={"team": "search", "env": "dev"},
)


@pytest.fixture
def client(
    open_client: Callable[..., TuningClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TuningClient:
    """A client whose settings file is that of a provisioned project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vertex-tuning.toml").write_text(SETTINGS.to_toml(), encoding="utf-8")
    found = open_client()
    for name in ("datasets", "pipelines", "artifacts"):
        if found.connection.storage.lookup_bucket(f"provisioned-{name}") is None:
            found.connection.storage.create_bucket(f"provisioned-{name}", location="us-central1")
    return found


def service(client: TuningClient, name: str) -> Any:
    return client.connection.service_in(name, "us-central1")


@pytest.mark.slow
def test_a_tuning_job_has_the_labels_and_the_key_and_writes_where_artifacts_go(client: TuningClient) -> None:
    spec = SupervisedTuning(base_model=OPEN, training=rows(8), epochs=1, labels={"env": "prod"}, kms_key="")
    job = client.tune(spec)
    assert job.labels.items() >= {"team": "search", "env": "prod"}.items(), "the job's own label goes first"
    assert job.result().output_uri.startswith("gs://provisioned-artifacts/vertex-tuning/tuned/")
    assert job.resource.encryption_spec is None, "an empty key asks for none"
    encrypted = client.tune(SupervisedTuning(base_model="gemini-2.5-flash", training=rows(8), epochs=1))
    assert encrypted.resource.encryption_spec.kms_key_name == KEY
    encrypted.result()


def test_a_model_that_takes_no_key_is_not_tuned_without_one_in_silence(client: TuningClient) -> None:
    with pytest.raises(SpecError) as caught:
        client.tune(SupervisedTuning(base_model="gemini-3.5-flash", training=rows(8)))
    assert caught.value.rule == "VT311"
    assert 'kms_key=""' in caught.value.fault.fix
    assert client.jobs.list(filter='labels.team="search" AND base_model="gemini-3.5-flash"') == []


@pytest.mark.slow
def test_a_custom_job_runs_as_the_account_of_the_settings_and_writes_where_that_may(
    client: TuningClient, write: Any
) -> None:
    config = {"model": str(TINY), "training": str(write(rows(8))), "learning_rate": 5e-3, "steps": 2}
    run = custom.start_training(client, "supervised", config, host="g2-standard-12")
    spec = run.resource.job_spec
    assert spec.service_account == SETTINGS.service_account
    assert spec.psc_interface_config.network_attachment == ATTACHMENT
    assert run.resource.encryption_spec.kms_key_name == KEY
    assert dict(run.resource.labels).items() >= {"team": "search", "env": "dev"}.items()
    container = spec.worker_pool_specs[0].container_spec
    assert container.image_uri.startswith("us-central1-docker.pkg.dev/p/vt-images/vertex-tuning:")
    assert container.args[0].startswith("gs://provisioned-datasets/"), "the order is written by who submits"
    environment = {one.name: one.value for one in container.env}
    assert environment["VERTEX_TUNING_BUCKET"] == "provisioned-artifacts"
    assert environment["VERTEX_TUNING_LABELS"] == "env=dev,team=search"
    trained = run.result()
    assert trained.output_uri.startswith("gs://provisioned-artifacts/")
    assert client.lineage.of(trained.model_uri).manifest["kind"] == "training", "known by the order beside it"


def test_a_pipeline_runs_as_the_account_and_hands_on_through_the_bucket_for_it(client: TuningClient) -> None:
    data = client.upload(rows(8))
    run = client.pipelines.submit("supervised", {"training_data": data})
    run.cancel()
    resource: aiplatform_v1.PipelineJob = service(client, "PipelineService").get_pipeline_job(name=run.name)
    assert resource.service_account == SETTINGS.service_account
    assert resource.runtime_config.gcs_output_directory.startswith("gs://provisioned-pipelines/")
    assert resource.encryption_spec.kms_key_name == KEY
    assert resource.psc_interface_config.network_attachment == ATTACHMENT
    assert dict(resource.labels).items() >= {"team": "search"}.items()
    sent = json.dumps(type(resource).to_dict(resource))
    assert "us-central1-docker.pkg.dev/p/vt-images/vertex-tuning:" in sent
    assert "provisioned-artifacts" in sent
    run.wait()


def test_a_batch_has_the_labels_and_the_key(client: TuningClient) -> None:
    job = client.batch_predict(["Opposite of hot?"], model="gemini-2.5-flash", max_output_tokens=4)
    made = service(client, "JobService").get_batch_prediction_job(name=job.name)
    assert made.encryption_spec.kms_key_name == KEY
    assert dict(made.labels).items() >= {"team": "search", "env": "dev"}.items()
    job.wait()


def test_the_service_that_scores_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RewardError):
        rewards.cloud_run()
    monkeypatch.setenv("VERTEX_TUNING_REWARD_URI", "https://vt-reward-abc-uc.a.run.app")
    assert rewards.cloud_run() == rewards.cloud_run("https://vt-reward-abc-uc.a.run.app")
