"""Models that answer: base models, tuned models, and every checkpoint of a tuned one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.errors import ServiceError, SpecError
from vertex_tuning.retries import again, translated

if TYPE_CHECKING:
    from google.genai import types

    from vertex_tuning.connection import Connection

_NAME = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/models/(?P<id>[^/@]+)(?:@(?P<version>[^/]+))?"
)
_LOCATION = re.compile(r"/locations/([^/]+)/")

Prompt = str | Sequence[Mapping[str, Any]]
"""A text, turns in GenerateContent form (`[{"role": "user", "parts": [{"text": "..."}]}]`), or a saved prompt, filled."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered."""

    text: str
    finish_reason: str
    """`STOP`, `MAX_TOKENS`..."""
    prompt_tokens: int
    answer_tokens: int
    raw: types.GenerateContentResponse
    """The response as google-genai gives it."""

    def __str__(self) -> str:
        return self.text


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
            ServiceError: VT501 refused, VT502 no answer, VT503 trouble that did not pass.
        """
        config = _config(prompt, options)
        response = again(
            lambda: self._client.models.generate_content(
                model=self.served_as, contents=_contents(prompt), config=config
            )
        )
        return _answer(response)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[str]:
        """Ask the model, and yield the answer's text as it comes; options as `generate` has them."""
        config = _config(prompt, options)
        with translated():
            for chunk in self._client.models.generate_content_stream(
                model=self.served_as, contents=_contents(prompt), config=config
            ):
                if chunk.text:
                    yield chunk.text

    def count_tokens(self, prompt: Prompt) -> int:
        """How many tokens a prompt has."""
        response = again(
            lambda: self._client.models.count_tokens(model=self.served_as, contents=_contents(prompt))
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
        self, connection: Connection, served_as: str, info: CheckpointInfo, *, default: bool
    ) -> None:
        super().__init__(connection, served_as)
        self.checkpoint_id = info.checkpoint_id
        self.epoch = info.epoch
        self.step = info.step
        self.default = default
        """Whether it is the one that the model's endpoint serves."""

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
    """A tuned model, one version of it."""

    def __init__(
        self, connection: Connection, name: str, endpoint: str, *, output_uri: str = "", job: str = ""
    ) -> None:
        super().__init__(connection, endpoint)
        self.name = name
        """`projects/.../models/ID@VERSION`; what `SupervisedTuning.base_model` takes to tune on."""
        self.output_uri = output_uri
        """`gs://` folder of an open model's checkpoints; empty for others."""
        self.job = job
        """The job that made it, where it came from one."""

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
        )

    @property
    def endpoint(self) -> str:
        """The endpoint that serves it."""
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

    @property
    def _in_place(self) -> Any:
        found = _LOCATION.search(self.name)
        return self._connection.genai_in(found[1]) if found else self._connection.genai

    def checkpoints(self) -> list[Checkpoint]:
        """Its checkpoints by training order; each can be asked. Empty where only the last one was kept."""
        resource = self.resource()
        endpoints = self._checkpoint_endpoints()
        return [
            Checkpoint(
                self._connection,
                endpoints.get(item.checkpoint_id or "", ""),
                CheckpointInfo(item.checkpoint_id or "", int(item.epoch or 0), int(item.step or 0)),
                default=item.checkpoint_id == resource.default_checkpoint_id,
            )
            for item in resource.checkpoints or []
        ]

    def _checkpoint_endpoints(self) -> dict[str, str]:
        """Checkpoint to endpoint: the job knows, a model's own resource does not."""
        job = self.job or (self.resource().labels or {}).get("google-vertex-llm-tuning-job-id", "")
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

        The service deletes no model that is deployed: it is undeployed from each endpoint first.
        """
        found = _LOCATION.search(self.name)
        location = found[1] if found else self._connection.location
        models = self._connection.service_in("ModelService", location)
        endpoints = self._connection.service_in("EndpointService", location)
        model = self.name.partition("@")[0]
        with _passed_over(404):
            versions = again(lambda: list(models.list_model_versions(name=model)))
            for place in [place for version in versions for place in version.deployed_models]:
                with _passed_over(404):
                    _undeploy(endpoints, place.endpoint, place.deployed_model_id)
            again(lambda: models.delete_model(name=model).result())

    def how_to_call(self) -> str:
        """A program in plain google-genai that asks this model."""
        location = (_LOCATION.search(self.served_as) or ["", self._connection.location])[1]
        return (
            "from google import genai\n\n"
            f'client = genai.Client(vertexai=True, project="{self._connection.project}", location="{location}")\n'
            f'response = client.models.generate_content(\n    model="{self.served_as}",\n    contents="...",\n)\n'
            "print(response.text)"
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "name": self.name,
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
        found = catalog.base_model(name)
        return Model(self._connection, found.id)

    def get(self, name: str) -> TunedModel:
        """A tuned model by its name (`projects/.../models/ID@VERSION`) or its id.

        Raises:
            SpecError: VT316, not a model's name.
            ServiceError: VT501 with code 404, there is none.
        """
        full = (
            name
            if "/" in name
            else f"projects/{self._connection.project}/locations/{self._connection.location}/models/{name}"
        )
        match = _NAME.fullmatch(full)
        if match is None:
            raise SpecError(
                "VT316",
                f'"{name}" is not the name of a tuned model',
                fix="projects/PROJECT/locations/LOCATION/models/ID@VERSION, or its ID; see: vertex-tuning models list",
            )
        client = self._connection.genai_in(match["location"])
        found = again(lambda: client.models.get(model=full))
        # As the service calls it: by the project's number.
        return self._of(found, (found.name or full).partition("@")[0])

    def list(self, *, limit: int | None = None) -> list[TunedModel]:
        """Tuned models, newest first."""
        found: list[TunedModel] = []
        for location in self._locations():
            pages = again(
                lambda location=location: self._connection.genai_in(location).models.list(  # type: ignore[misc]
                    config={"query_base": False, "page_size": 100}
                )
            )
            while True:
                found += [self._of(item, (item.name or "").partition("@")[0]) for item in pages.page]
                try:
                    again(pages.next_page)
                except IndexError:
                    break
        return found[:limit]

    def _locations(self) -> Iterator[str]:
        """The connection's own, and the multi-region in which models tuned there from Gemini 3.x live."""
        yield self._connection.location
        multi = "eu" if self._connection.location.startswith("europe-") else "us"
        if self._connection.location not in ("us", "eu", "global"):
            yield multi

    def _of(self, item: types.Model, name: str) -> TunedModel:
        endpoints = item.endpoints or []
        endpoint = (endpoints[0].name if endpoints else "") or ""
        return TunedModel(self._connection, f"{name}@{item.version or '1'}", endpoint)


def _undeploy(endpoints: Any, endpoint: str, deployed_id: str) -> None:
    """Take a model from an endpoint, and delete the endpoint where it holds no other."""
    with _passed_over(404):
        again(lambda: endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=deployed_id).result())
    if not again(lambda: endpoints.get_endpoint(name=endpoint)).deployed_models:
        again(lambda: endpoints.delete_endpoint(name=endpoint).result())


@contextlib.contextmanager
def _passed_over(code: int) -> Iterator[None]:
    """Pass over an answer with this HTTP code."""
    try:
        yield
    except ServiceError as error:
        if error.code != code:
            raise


def _contents(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [dict(turn) for turn in prompt]


def _config(prompt: Prompt, options: dict[str, Any]) -> Any:
    from google.genai import types

    # What was saved with a prompt counts where nothing else is said.
    given = {**getattr(prompt, "options", {}), **options}
    if "system" in given:
        given["system_instruction"] = given.pop("system")
    labels, schema = given.pop("labels", None), given.pop("schema", None)
    if labels is not None and schema is not None:
        raise SpecError("VT317", "labels and schema exclude each other", where="generate")
    if labels is not None:
        given.update(
            response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": list(labels)}
        )
    if schema is not None:
        given.update(response_mime_type="application/json", response_schema=schema)
    return types.GenerateContentConfig(**given)


def _answer(response: types.GenerateContentResponse) -> Answer:
    candidate = (response.candidates or [None])[0]
    usage = response.usage_metadata
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    return Answer(
        text="".join(part.text or "" for part in parts if not part.thought),
        finish_reason=str(getattr(candidate.finish_reason, "value", "") or "") if candidate else "",
        prompt_tokens=int((usage.prompt_token_count if usage else 0) or 0),
        answer_tokens=int((usage.candidates_token_count if usage else 0) or 0),
        raw=response,
    )
