"""Models that answer: base models, tuned models, and every checkpoint of a tuned one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from vertex_tuning import catalog
from vertex_tuning.asking import Answer, Prompt, answer_of, config_of, contents_of
from vertex_tuning.deploying import Machines, OpenDeployment, chat, undeploy_from
from vertex_tuning.errors import ServiceError, SpecError
from vertex_tuning.following import listed
from vertex_tuning.retries import again, passed_over, translated

if TYPE_CHECKING:
    from google.genai import types

    from vertex_tuning.connection import Connection

_NAME = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/models/(?P<id>[^/@]+)(?:@(?P<version>[^/]+))?"
)
_ID = re.compile(r"[^/@]+(?:@[^/@]+)?")
NEVER = datetime.min.replace(tzinfo=UTC)
"""Before every time that a service may have noted."""
_MADE_BY = "google-vertex-llm-tuning-job-id"
"""Label of a tuned model: the id of the job that made it."""
_LOCATION = re.compile(r"/locations/([^/]+)/")

T = TypeVar("T")


class Model:
    """A model that can be asked, by the name that google-genai takes."""

    def __init__(self, connection: Connection, served_as: str) -> None:
        self._connection = connection
        self.served_as = served_as
        """What to give google-genai as `model`: an endpoint, or a publisher model's name."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.served_as}>"

    @property
    def _client(self) -> Any:
        # The host must be that of the endpoint's location, which may not be the job's.
        found = _LOCATION.search(self.served_as)
        return self._connection.genai_in(found[1]) if found else self._connection.genai

    def generate(self, prompt: Prompt, **options: Any) -> Answer:
        """Ask the model.

        Args:
            prompt: A text, turns, or a saved prompt filled by `SavedPrompt.format`, which brings its own options.
            **options: `system` (instruction), `labels` (the answer is one of these, the likeliest), `schema` (the answer is
                JSON of this shape), `temperature`, `top_p`, `top_k`, `max_output_tokens`, `stop_sequences`, `seed`, and
                whatever else `GenerateContentConfig` of google-genai has.

        Raises:
            SpecError: VT323 an option that there is none of, or its value; VT324 this is no prompt.
            ServiceError: VT501 refused, VT502 no answer, VT503 trouble that did not pass.
        """
        config = config_of(options, prompt)
        response = again(
            lambda: self._client.models.generate_content(
                model=self.served_as, contents=contents_of(prompt), config=config
            )
        )
        return answer_of(response)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[str]:
        """Ask the model, and yield the answer's text as it comes; options as `generate` has them."""
        config = config_of(options, prompt)
        with translated():
            for chunk in self._client.models.generate_content_stream(
                model=self.served_as, contents=contents_of(prompt), config=config
            ):
                if chunk.text:
                    yield chunk.text

    def count_tokens(self, prompt: Prompt) -> int:
        """How many tokens a prompt has."""
        response = again(
            lambda: self._client.models.count_tokens(model=self.served_as, contents=contents_of(prompt))
        )
        return int(response.total_tokens or 0)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Where in the training a checkpoint is from."""

    checkpoint_id: str
    epoch: int
    step: int


class Checkpoint(Model):
    """A tuned model as it was after some steps; it answers like any model."""

    def __init__(
        self,
        connection: Connection,
        served_as: str,
        info: CheckpointInfo,
        *,
        default: bool,
        model: str = "",
    ) -> None:
        super().__init__(connection, served_as)
        self.checkpoint_id = info.checkpoint_id
        self.epoch = info.epoch
        self.step = info.step
        self.default = default
        """Whether it is the one that the model's endpoint serves."""
        self.model = model
        """Name of the model that it is of."""

    def as_base(self) -> dict[str, str]:
        """Fields of a spec that tunes on from it."""
        return {"base_model": self.model, "checkpoint_id": self.checkpoint_id}

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "checkpoint_id": self.checkpoint_id,
            "epoch": self.epoch,
            "step": self.step,
            "endpoint": self.served_as,
            "default": self.default,
        }


class TunedModel(Model):
    """A tuned model: one version of a model tuned from Gemini, or the weights that tuning an open model left.

    Gemini's are served from the moment that the job has ended. An open model's weights lie in `output_uri`, and answer once they
    are deployed.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        endpoint: str,
        *,
        output_uri: str = "",
        job: str = "",
        base_model: str = "",
        display_name: str = "",
    ) -> None:
        super().__init__(connection, endpoint)
        self.name = name
        """`projects/.../models/ID@VERSION`; empty for an open model."""
        self.display_name = display_name
        """What it is called, for people, where that is known."""
        self.base_model = base_model
        """What an open model was tuned from, where that is known."""
        self.output_uri = output_uri
        """`gs://` folder of an open model's checkpoints; empty for others."""
        self.job = job
        """The job that made it, where it came from one."""
        self._deployment = OpenDeployment(connection, output_uri) if output_uri and not name else None

    def __repr__(self) -> str:
        return f"<TunedModel {self.name or self.output_uri}>"

    @classmethod
    def of_job(cls, connection: Connection, resource: types.TuningJob) -> TunedModel:
        """The result of a job that succeeded."""
        made = resource.tuned_model
        return cls(
            connection,
            (made.model if made else "") or "",
            (made.endpoint if made else "") or "",
            output_uri=resource.output_uri or "",
            job=resource.name or "",
            base_model=resource.base_model or "",
            display_name=resource.tuned_model_display_name or "",
        )

    def as_base(self) -> dict[str, str]:
        """Fields of a spec that tunes on from it: an open model by its weights, others by their name.

        Raises:
            SpecError: VT321, nobody knows what the weights in a folder were tuned from.
        """
        if self._deployment is None:
            return {"base_model": self.name}
        if not self.base_model:
            raise SpecError(
                "VT321",
                f"nothing tells what the weights in {self.output_uri} were tuned from",
                where="base_model",
                fix=f'base_model="...", custom_base_model="{self._deployment.weights}"',
            )
        return {"base_model": self.base_model, "custom_base_model": self._deployment.weights}

    @property
    def endpoint(self) -> str:
        """The endpoint that serves it; empty for an open model that is not deployed, as far as is known."""
        return self.served_as

    @property
    def version(self) -> str:
        """Its version, as in `models/ID@VERSION`."""
        found = _NAME.fullmatch(self.name)
        return (found and found["version"]) or ""

    def resource(self) -> types.Model:
        """The resource as google-genai gives it."""
        found: types.Model = again(lambda: self._in_place.models.get(model=self.name))
        return found

    def made_by(self) -> str:
        """The job that made it, by its name or its id; empty where nothing tells."""
        return self.job or ((self.resource().labels or {}).get(_MADE_BY, "") if self.name else "")

    @property
    def _in_place(self) -> Any:
        found = _LOCATION.search(self.name)
        return self._connection.genai_in(found[1]) if found else self._connection.genai

    def checkpoints(self) -> list[Checkpoint]:
        """Its checkpoints by training order; each can be asked. Empty where only the last one was kept.

        An open model's lie beside each other in `output_uri`: name a folder to `client.models.get`.
        """
        if self._deployment is not None:
            return []
        resource = self.resource()
        endpoints = self._checkpoint_endpoints()
        return [
            Checkpoint(
                self._connection,
                endpoints.get(item.checkpoint_id or "", ""),
                CheckpointInfo(item.checkpoint_id or "", int(item.epoch or 0), int(item.step or 0)),
                default=item.checkpoint_id == resource.default_checkpoint_id,
                model=self.name,
            )
            for item in resource.checkpoints or []
        ]

    def _checkpoint_endpoints(self) -> dict[str, str]:
        """Checkpoint to endpoint: the job knows, a model's own resource does not."""
        job = self.made_by()
        if not job:
            return {}
        full = job if "/" in job else f"tuningJobs/{job}"
        made = again(lambda: self._connection.genai.tunings.get(name=full)).tuned_model
        return {
            item.checkpoint_id or "": item.endpoint or ""
            for item in (made.checkpoints if made else None) or []
        }

    def make_default(self, checkpoint: Checkpoint | str) -> None:
        """Let the model's endpoint serve this checkpoint from now on."""
        chosen = checkpoint if isinstance(checkpoint, str) else checkpoint.checkpoint_id
        again(lambda: self._in_place.models.update(model=self.name, config={"default_checkpoint_id": chosen}))
        for item in self.checkpoints():
            if item.default and item.served_as:
                self.served_as = item.served_as

    def delete(self) -> None:
        """Delete the model with all its versions and the endpoints that serve nothing else; no fault if it is gone.

        The service deletes no model that is deployed: it is undeployed from each endpoint first. Of an open model the deployment
        goes; the weights in its `output_uri` are yours, and stay.
        """
        if self._deployment is not None:
            self.undeploy()
            return
        found = _LOCATION.search(self.name)
        location = found[1] if found else self._connection.location
        models = self._connection.service_in("ModelService", location)
        endpoints = self._connection.service_in("EndpointService", location)
        model = self.name.partition("@")[0]
        with passed_over(404):
            versions = again(lambda: list(models.list_model_versions(name=model)))
            for place in [place for version in versions for place in version.deployed_models]:
                with passed_over(404):
                    _undeploy(endpoints, place.endpoint, place.deployed_model_id)
            again(lambda: models.delete_model(name=model).result())

    def how_to_call(self) -> str:
        """A program with nothing but Google's libraries in it that asks this model; an open one must be deployed.

        Raises:
            SpecError: VT351, it is an open model, and not deployed.
        """
        if self._deployment is not None:
            endpoint = self._deployed()
            return self._deployment.how_to_call(endpoint)
        location = (_LOCATION.search(self.served_as) or ["", self._connection.location])[1]
        return (
            "from google import genai\n\n"
            f'client = genai.Client(vertexai=True, project="{self._connection.project}", location="{location}")\n'
            f'response = client.models.generate_content(\n    model="{self.served_as}",\n    contents="...",\n)\n'
            "print(response.text)"
        )

    # Open models

    def deploy(
        self,
        *,
        machine_type: str = "",
        accelerator_type: str = "",
        accelerator_count: int = 0,
        min_replicas: int = 1,
        max_replicas: int = 1,
        timeout: float | None = None,
    ) -> TunedModel:
        """Deploy an open model to an endpoint, by Google's Model Garden; afterwards it answers.

        **On Vertex AI this costs money by the hour for every machine, asked or not, until `undeploy()`.** What is deployed
        already is taken as it is. It takes some ten to thirty minutes.

        Args:
            machine_type: Such as `g2-standard-12`. Left out: Vertex AI chooses.
            accelerator_type: Such as `NVIDIA_L4`; together with the machine's type.
            accelerator_count: Per machine.
            min_replicas: Machines that always run.
            max_replicas: Machines when there is much to do.
            timeout: Seconds. Left out: two hours.

        Raises:
            SpecError: VT350 a model of Gemini's, which is served already; VT353 no such machines; VT354 it is being deployed.
            ServiceError: The service refused; it is not asked a second time.
        """
        deployment = self._open("deploy")
        machines = Machines(machine_type, accelerator_type, accelerator_count, min_replicas, max_replicas)
        self.served_as = deployment.make(machines, timeout)
        return self

    def undeploy(self) -> bool:
        """Undeploy an open model, and delete its endpoint; the weights stay. No fault if it is not deployed.

        Returns:
            Whether it was.

        Raises:
            SpecError: VT350, a model of Gemini's: `delete()` takes it from its endpoints.
        """
        was_deployed = self._open("undeploy").remove()
        self.served_as = ""
        return was_deployed

    def _open(self, what: str) -> OpenDeployment:
        if self._deployment is None:
            raise SpecError(
                "VT350",
                "only the weights of an open model are deployed: a model tuned from Gemini is served already",
                where=f"{what} {self.name}",
                fix="ask it: model.generate(...); to take it from its endpoints: model.delete()",
            )
        return self._deployment

    def _deployed(self) -> str:
        """The endpoint of an open model, looked for where it is not known."""
        assert self._deployment is not None
        self.served_as = self.served_as or self._deployment.find()
        if not self.served_as:
            raise SpecError(
                "VT351",
                "an open model answers once it is deployed, and this one is not",
                where=self.output_uri,
                fix=f"model.deploy(), or: vertex-tuning models deploy {self.output_uri}",
            )
        return self.served_as

    def generate(self, prompt: Prompt, **options: Any) -> Answer:
        """`Model.generate`; of an open model, by the chat completions of its endpoint.

        Raises:
            SpecError: VT351 an open model that is not deployed, VT352 an option that it does not take.
        """
        if self._deployment is None:
            return super().generate(prompt, **options)
        body = chat(prompt, options)
        found = self._deployment.ask(self._deployed(), body)
        choice, usage = found["choices"][0], found.get("usage") or {}
        text = choice["message"].get("content") or ""
        return Answer(
            text=_unquoted(text) if options.get("labels") is not None else text,
            finish_reason={"stop": "STOP", "length": "MAX_TOKENS"}.get(choice.get("finish_reason"), ""),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            answer_tokens=int(usage.get("completion_tokens", 0)),
            raw=found,
        )

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[str]:
        """`Model.stream`; of an open model, by the chat completions of its endpoint."""
        if self._deployment is None:
            yield from super().stream(prompt, **options)
            return
        if options.get("labels") is not None:
            yield self.generate(prompt, **options).text  # one of them, or nothing
            return
        body = chat(prompt, options)
        for chunk in self._deployment.stream(self._deployed(), body):
            for choice in chunk["choices"]:
                if text := choice["delta"].get("content"):
                    yield text

    def count_tokens(self, prompt: Prompt) -> int:
        """`Model.count_tokens`; an open model tells after it has answered: `answer.prompt_tokens`.

        Raises:
            SpecError: VT352, an open model.
        """
        if self._deployment is None:
            return super().count_tokens(prompt)
        raise SpecError(
            "VT352",
            "a deployed open model does not count tokens beforehand",
            where="count_tokens",
            fix="generate(...).prompt_tokens",
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "name": self.name,
            "display_name": self.display_name,
            "version": self.version,
            "endpoint": self.endpoint,
            "output_uri": self.output_uri,
        }


class Models:
    """The models of a project and location."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def base(self, name: str) -> Model:
        """A base model, to be asked as it is.

        Raises:
            SpecError: VT301, not in the catalog.
        """
        try:
            found = catalog.base_model(name)
        except SpecError as error:
            # Whoever asks a model may mean one of their own.
            said, fix = error.fault, f"{error.fault.fix}; tuned models have names: vertex-tuning models list"
            raise SpecError(said.rule, said.what, where=said.where, why=said.why, fix=fix) from None
        return Model(self._connection, found.id)

    def get(self, name: str) -> TunedModel:
        """A tuned model by its name (`projects/.../models/ID@VERSION`) or its id; an open one by its `gs://` folder.

        The folder is a job's `output_uri`, or that of one of its checkpoints; nobody is asked for it.

        Raises:
            SpecError: VT316, not a model's name.
            ServiceError: VT501 with code 404, there is none.
        """
        if name.startswith("gs://"):
            return TunedModel(self._connection, "", "", output_uri=name)
        if name in catalog.models():
            what, fix = f"{name} is a base model", f"client.models.base, or: vertex-tuning catalog {name}"
            raise SpecError("VT316", what, fix=fix)
        if _ID.fullmatch(name) is not None:
            parent = f"projects/{self._connection.project}/locations"
            return by_id(self._connection, lambda location: self.get(f"{parent}/{location}/models/{name}"))
        match = _NAME.fullmatch(name)
        if match is None:
            raise SpecError(
                "VT316",
                f'"{name}" is not the name of a tuned model',
                fix="projects/PROJECT/locations/LOCATION/models/ID@VERSION, its ID, or an open model's gs:// folder; "
                "see: vertex-tuning models list",
            )
        client = self._connection.genai_in(match["location"])
        found = again(lambda: client.models.get(model=name))
        # As the service calls it: by the project's number.
        return self._of(found, (found.name or name).partition("@")[0])

    def list(self, *, limit: int | None = None) -> list[TunedModel]:
        """Tuned models, newest first."""
        items: list[types.Model] = [
            item
            for location in locations(self._connection)
            for item in listed(self._connection.genai_in(location).models.list, query_base=False)
        ]
        items.sort(key=_created, reverse=True)
        return [self._of(item, (item.name or "").partition("@")[0]) for item in items[:limit]]

    def _of(self, item: types.Model, name: str) -> TunedModel:
        endpoints = item.endpoints or []
        endpoint = (endpoints[0].name if endpoints else "") or ""
        called = item.display_name or ""
        return TunedModel(self._connection, f"{name}@{item.version or '1'}", endpoint, display_name=called)


def _created(item: types.Model) -> datetime:
    time = item.tuned_model_info.create_time if item.tuned_model_info else None
    return time or NEVER


def locations(connection: Connection) -> Iterator[str]:
    """The connection's own, and the multi-region in which models tuned there from Gemini 3.x live."""
    yield connection.location
    multi = "eu" if connection.location.startswith("europe-") else "us"
    if connection.location not in ("us", "eu", "global"):
        yield multi


def by_id(connection: Connection, ask: Callable[[str], T]) -> T:
    """What an id alone names, wherever `locations` has it.

    Raises:
        ServiceError: Of the connection's own location where it is nowhere.
    """
    missing: ServiceError | None = None
    for location in locations(connection):
        try:
            return ask(location)
        except ServiceError as error:
            if error.code != 404:
                raise
            missing = missing or error
    assert missing is not None
    raise missing


def _undeploy(endpoints: Any, endpoint: str, deployed_id: str) -> None:
    """Take a model from an endpoint, and delete the endpoint where it holds no other."""
    undeploy_from(endpoints, endpoint, deployed_id)
    if not again(lambda: endpoints.get_endpoint(name=endpoint)).deployed_models:
        again(lambda: endpoints.delete_endpoint(name=endpoint).result())


def _unquoted(text: str) -> str:
    """A label as it was given: a container answers with a JSON string."""
    with contextlib.suppress(ValueError):
        return str(json.loads(text))
    return text
