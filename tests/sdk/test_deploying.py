"""A tuned open model is deployed by Google's Model Garden classes, asked, and taken down again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sdk.conftest import OPPOSITES, rows
from vertex_tuning import ServiceError, SpecError, SupervisedTuning, TunedModel, aconnect, connect
from vertex_tuning.deploying import OpenDeployment

LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"


def tune(client, **options) -> TunedModel:
    """An open model that knows the opposites; its weights in a bucket of its own."""
    client.connection.ensure_bucket()
    name = options.pop("name")
    spec = SupervisedTuning(
        base_model=LLAMA,
        training=rows(100),
        epochs=8,
        learning_rate_multiplier=2,
        output_uri=f"gs://{client.connection.bucket}/{name}",
        **options,
    )
    return client.tune(spec).result()


@pytest.fixture(scope="session")
def weights(emulator, tmp_path_factory) -> str:
    """The output folder of a job; whoever deploys it takes it down again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            return tune(client, name="sdk-adapter", adapter_size=16).output_uri


@pytest.fixture
def model(client, weights):
    """That model, not deployed before nor after."""
    found = client.models.get(weights)
    yield found
    found.undeploy()


def endpoints(client, name: str) -> list[str]:
    service = client.connection.service_in("EndpointService", client.connection.location)
    parent = f"projects/{client.connection.project}/locations/{client.connection.location}"
    return [one.name for one in service.list_endpoints(parent=parent) if one.display_name == name]


def test_an_open_model_is_deployed_asked_and_taken_down(client, model, weights, emulator):
    with pytest.raises(SpecError) as caught:
        model.generate("Opposite of hot?")
    assert caught.value.rule == "VT351"
    assert "models deploy" in str(caught.value)
    assert model.deploy() is model
    for word, answer in OPPOSITES:
        asked = model.generate(f"Opposite of {word}?", temperature=0, max_output_tokens=8)
        assert (asked.text, asked.finish_reason) == (answer, "STOP")
        assert asked.prompt_tokens > 0 < asked.answer_tokens
    pieces = list(model.stream("Opposite of hot?", temperature=0, max_output_tokens=8))
    assert "".join(pieces) == "cold"
    turns = [{"role": "user", "parts": [{"text": "Opposite of up?"}]}]
    assert model.generate(turns, temperature=0, max_output_tokens=8).text == "down"
    told = model.generate("Opposite of hot?", system="Be brief.", max_output_tokens=2)
    assert told.prompt_tokens > model.generate("Opposite of hot?", max_output_tokens=2).prompt_tokens
    labels = ["cold", "warm"]
    assert model.generate("Opposite of hot?", labels=labels, temperature=0).text == "cold"
    assert list(model.stream("Opposite of hot?", labels=labels, temperature=0)) == ["cold"]

    program = (
        model.how_to_call()
        .replace('"..."', '"Opposite of hot?"')
        .replace('"messages"', '"temperature": 0, "max_tokens": 8, "messages"')
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=emulator.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "cold\n"), done.stderr

    # Another program finds it, and does not pay twice.
    other = client.models.get(weights)
    assert other.generate("Opposite of hot?", temperature=0, max_output_tokens=8).text == "cold"
    assert client.models.get(weights).deploy().endpoint == model.endpoint
    name = OpenDeployment(client.connection, weights).display_name
    assert endpoints(client, name) == [model.endpoint]
    assert model.to_json()["endpoint"] == model.endpoint
    model.undeploy()
    assert endpoints(client, name) == []
    with pytest.raises(SpecError):
        model.generate("Opposite of hot?")
    model.undeploy()  # gone is gone
    blobs = client.connection.storage.list_blobs(client.connection.ensure_bucket(), prefix="sdk-adapter/")
    assert any(blob.name.endswith("final/adapter_model.safetensors") for blob in blobs)


def test_every_weight_and_one_checkpoint_of_several_are_deployed(client):
    model = tune(client, name="sdk-full", mode="full")
    first = client.models.get(f"{model.output_uri}/postprocess/node-0/checkpoints/checkpoint-1")
    try:
        assert model.deploy().endpoint != first.deploy().endpoint
        assert model.generate("Opposite of hot?", temperature=0, max_output_tokens=8).text == "cold"
        assert first.generate("Opposite of hot?", temperature=0, max_output_tokens=8).text
    finally:
        model.delete()
        first.delete()


@pytest.mark.parametrize("what", ["deploy", "undeploy"])
def test_a_model_of_geminis_is_served_already(tuned, what):
    with pytest.raises(SpecError) as caught:
        getattr(tuned, what)()
    assert caught.value.rule == "VT350"
    assert tuned.name in str(caught.value)


def test_what_is_being_deployed_is_not_deployed_twice(client, model, weights):
    name = OpenDeployment(client.connection, weights).display_name
    service = client.connection.service_in("EndpointService", client.connection.location)
    parent = f"projects/{client.connection.project}/locations/{client.connection.location}"
    service.create_endpoint(parent=parent, endpoint={"display_name": name}).result()
    for call in (model.deploy, lambda: model.generate("Opposite of hot?")):
        with pytest.raises(SpecError) as caught:
            call()
        assert caught.value.rule == "VT354"
    model.undeploy()
    assert endpoints(client, name) == []


def test_what_does_not_fit_is_refused_before_anything_is_asked_for(client, open_client, model, weights):
    for options in (
        {"machine_type": "g2-standard-12"},
        {"accelerator_count": 1},
        {"min_replicas": 2},
        {"min_replicas": 0},
    ):
        with pytest.raises(SpecError) as caught:
            model.deploy(**options)
        assert caught.value.rule == "VT353"
    with pytest.raises(SpecError) as caught:
        open_client(location="global").models.get(weights).deploy()
    assert caught.value.rule == "VT353"
    for call in (
        lambda: model.count_tokens("x"),
        lambda: model.generate("x", thinking_config={}),
    ):
        with pytest.raises(SpecError) as caught:
            call()
        assert caught.value.rule == "VT352"
    with pytest.raises(SpecError) as caught:
        model.generate("x", labels=["a"], schema={})
    assert caught.value.rule == "VT317"
    assert model.checkpoints() == []


def test_the_services_refusal_comes_out_of_the_child_process(client):
    nothing = client.models.get(f"gs://{client.connection.ensure_bucket()}/nothing-there")
    with pytest.raises(ServiceError) as caught:
        nothing.deploy()
    assert (caught.value.rule, caught.value.code) == ("VT501", 400)
    assert "neither a model" in str(caught.value)


async def test_deploying_is_awaited(emulator, tmp_path, monkeypatch, weights):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    async with await aconnect("local") as client:
        model = await client.models.get(weights)
        await model.deploy(
            machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1, max_replicas=2
        )
        answer = await model.generate("Opposite of hot?", temperature=0, max_output_tokens=8)
        assert answer.text == "cold"
        await model.undeploy()
