"""A pipeline in a registry: pushed once however often, and started by its address."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines import small
from tests.pipelines.conftest import rows, write_rows
from tests.projects import PROJECT, SETTINGS, running
from tests.running import RunningEmulator
from vertex_tuning import PipelineError, ServiceError, TuningClient, connect
from vertex_tuning.pipelines import templates

REGISTRY = str(SETTINGS.templates)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """A project with a registry, for the tests of this file."""
    with running(tmp_path_factory.mktemp("registry")) as emulator:
        yield emulator


@pytest.fixture
def open_client(
    project: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TuningClient]]:
    """Opens clients in a folder with the settings of the project, or with others: `open_client(templates="")`."""
    opened: list[TuningClient] = []
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", project.address)
    monkeypatch.chdir(tmp_path)

    def open_(**differs: str) -> TuningClient:
        replace(SETTINGS, **differs).write(tmp_path / "vertex-tuning.toml", force=True)
        opened.append(connect())
        return opened[-1]

    yield open_
    for client in opened:
        client.close()


@pytest.fixture
def client(open_client: Callable[..., TuningClient]) -> TuningClient:
    return open_client()


def file_of(folder: Path, pipeline: Any, name: str = "", **changes: Any) -> Path:
    """A compiled pipeline of a user's own, under a name that no other test has."""
    spec = small.spec(pipeline)
    spec["pipelineInfo"]["name"] = name or f"p-{uuid.uuid4().hex[:12]}"
    spec["pipelineInfo"].update(changes)
    path = folder / f"{uuid.uuid4().hex}.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


def test_what_was_pushed_is_started_by_its_address(client: TuningClient, tmp_path: Path) -> None:
    template = client.pipelines.push(file_of(tmp_path, small.chain), tags=["v1", "stable"])
    assert template.uri == f"{REGISTRY}/{template.package}/v1"
    assert template.addresses == [
        template.uri,
        f"{REGISTRY}/{template.package}/stable",
        f"{REGISTRY}/{template.package}/{template.version}",
    ]
    for address in (template.uri, template.pinned):
        run = client.pipelines.submit(address, {"text": "four"}).succeed(timeout=120)
        assert run.id.startswith(template.package)
        assert run.resource.template_uri == address
        assert run.resource.template_metadata.version == template.version
        assert run.resource.service_account == SETTINGS.service_account
        assert {task.name: task.parameters for task in run.tasks}["measure"] == {"Output": 4}


def test_the_same_pipeline_is_the_same_version_and_its_tags_move(
    client: TuningClient, tmp_path: Path
) -> None:
    path = file_of(tmp_path, small.chain)
    first = client.pipelines.push(path, tags=["v1", "latest"])
    again = client.pipelines.push(path, tags=["v1", "v1"])
    assert (again.version, again.tags) == (first.version, ("v1",))
    other = client.pipelines.push(file_of(tmp_path, small.control, first.package), tags=["latest", "v2"])
    assert other.version != first.version
    steps = {
        end: client.pipelines.load(f"{REGISTRY}/{first.package}/{end}").steps
        for end in ("v1", "latest", "v2")
    }
    assert steps["latest"] == steps["v2"] != steps["v1"]
    found = client.connection.ask(
        "artifactregistry.googleapis.com",
        f"v1/projects/{PROJECT}/locations/us-central1/repositories/vt-pipelines/packages/{first.package}/versions",
    )
    assert len(found["versions"]) == 2


def test_ours_is_pushed_as_it_would_be_submitted(client: TuningClient, tmp_path: Path) -> None:
    pushed = client.pipelines.load(client.pipelines.push("supervised", tags=["v1"]).uri)
    assert not pushed.needs_image
    containers = [one["container"] for one in pushed.spec["deploymentSpec"]["executors"].values()]
    for container in containers:
        assert container["image"].startswith(f"{SETTINGS.images}/vertex-tuning")
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert environment["VERTEX_TUNING_PROJECT"] == PROJECT
        assert environment["VERTEX_TUNING_BUCKET"] == SETTINGS.artifacts_bucket
    own = client.pipelines.push("supervised", tags=["own"], image="example.com/ours@sha256:0")
    images = {
        one["container"]["image"]
        for one in client.pipelines.load(own.uri).spec["deploymentSpec"]["executors"].values()
    }
    assert images == {"example.com/ours@sha256:0"}
    # A data set is uploaded, as for one by its name.
    train = write_rows(tmp_path / "train.jsonl", rows(20, tag=f" {tmp_path.name}"))
    run = client.pipelines.submit(own.uri, {"training_data": str(train)})
    sent = run.resource.runtime_config.parameter_values["training_data"]
    assert sent.startswith(f"gs://{SETTINGS.bucket}/")
    run.cancel()
    run.wait(timeout=60)


def test_a_schedule_names_the_address_and_its_runs_say_it(client: TuningClient, tmp_path: Path) -> None:
    template = client.pipelines.push(file_of(tmp_path, small.chain), tags=["weekly"])
    made = client.pipelines.schedule(template.uri, {"n": 3}, cron="0 3 * * 1")
    job = made._resource.create_pipeline_job_request.pipeline_job
    assert job.template_uri == template.uri
    made.delete()


def test_what_was_pushed_runs_on_this_machine_too(client: TuningClient, tmp_path: Path) -> None:
    template = client.pipelines.push(file_of(tmp_path, small.chain))
    assert template.uri == template.pinned
    with client.pipelines.run(template.uri, {"text": "abc"}) as run:
        assert [event["state"] for event in run if event["event"] == "run"][-1] == "SUCCEEDED"


def test_a_proxy_of_the_environment_is_not_the_way(
    client: TuningClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    template = client.pipelines.push(file_of(tmp_path, small.chain), tags=["v1"])
    assert client.pipelines.load(template.uri).name == template.package


def test_everything_that_keeps_it_from_being_pushed_is_said_at_once(
    open_client: Callable[..., TuningClient], tmp_path: Path
) -> None:
    path = file_of(tmp_path, small.chain, "Not a Name")
    with pytest.raises(PipelineError) as caught:
        open_client(templates="").pipelines.push(path, tags=["v1", "no tag", "sha256:0"])
    assert caught.value.rule == "VT725"
    assert [fault.rule for fault in caught.value.faults] == ["VT721", "VT724", "VT723", "VT723"]
    assert "--registry" in caught.value.faults[0].fix


@pytest.mark.parametrize(
    ("registry", "rule"),
    [
        ("", "VT721"),
        ("us-central1-kfp.pkg.dev/demo-tuning/vt-pipelines", "VT722"),
        ("https://us-central1-docker.pkg.dev/demo-tuning/vt-images", "VT722"),
        ("https://us-central1-kfp.pkg.dev/demo-tuning/others", "VT727"),
    ],
)
def test_a_registry_that_cannot_take_it_is_named(
    open_client: Callable[..., TuningClient], tmp_path: Path, registry: str, rule: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        open_client(templates="").pipelines.push(file_of(tmp_path, small.chain), registry=registry)
    assert caught.value.rule == rule
    assert caught.value.fault.fix


def test_a_registry_of_another_format_refuses_it(client: TuningClient, tmp_path: Path) -> None:
    registry = f"https://us-central1-kfp.pkg.dev/{PROJECT}/vt-images"
    with pytest.raises(ServiceError, match="keeps DOCKER") as caught:
        client.pipelines.push(file_of(tmp_path, small.chain), registry=registry)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        (f"{REGISTRY}/nothing/v1", "VT726"),
        (f"{REGISTRY}/nothing/sha256:0", "VT726"),
        (f"{REGISTRY}/nothing", "VT722"),
        ("https://example.com/pipeline.yaml", "VT722"),
    ],
)
def test_an_address_without_a_pipeline_starts_nothing(client: TuningClient, address: str, rule: str) -> None:
    with pytest.raises(PipelineError) as caught:
        client.pipelines.submit(address)
    assert caught.value.rule == rule
    assert address in str(caught.value)


def test_parameters_are_held_against_what_lies_there(client: TuningClient, tmp_path: Path) -> None:
    template = client.pipelines.push(file_of(tmp_path, small.chain))
    with pytest.raises(PipelineError) as caught:
        client.pipelines.submit(template.uri, {"n": "many", "colour": "red"})
    assert [fault.rule for fault in caught.value.faults] == ["VT734", "VT732"]
    assert [run.name for run in client.pipelines.runs() if run.id.startswith(template.package)] == []


def test_a_template_is_told_as_json() -> None:
    found = templates.Template(REGISTRY, "p", "sha256:0", ("v1",))
    assert json.loads(json.dumps(found.to_json())) == {
        "uri": f"{REGISTRY}/p/v1",
        "pinned": f"{REGISTRY}/p/sha256:0",
        "package": "p",
        "version": "sha256:0",
        "tags": ["v1"],
    }
