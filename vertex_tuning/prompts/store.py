"""The prompts of a project: saved, versioned, restored.

Google's own module (`vertexai.Client().prompts`) sleeps five seconds before it first looks at an operation, shows the
newest content under an older version's number, and lists no names. So what is done here goes through the generated
`DatasetService`, which Google's older module uses; both modules read what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.errors import ServiceError, SpecError
from vertex_tuning.prompts.saved import SavedPrompt, of_resource, to_metadata
from vertex_tuning.retries import again, translated

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

_SCHEMA = "gs://google-cloud-aiplatform/schema/dataset/metadata/text_prompt_1.0.0.yaml"
_NAME = re.compile(r"(?:projects/[^/]+/locations/[^/]+/datasets/)?([^/]+)")
_TIMEOUT = 120.0
"""Seconds that an operation of a prompt may take."""


class Prompts:
    """The prompts of a project and location."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def _service(self) -> Any:
        return self._connection.service_in("DatasetService", self._connection.location)

    @property
    def _parent(self) -> str:
        return f"projects/{self._connection.project}/locations/{self._connection.location}"

    def save(
        self,
        text: str,
        *,
        model: str,
        name: str = "",
        version_name: str = "",
        prompt: SavedPrompt | str | None = None,
        system: str = "",
        examples: Sequence[Mapping[str, str]] = (),
        labels: Mapping[str, str] | None = None,
        **options: Any,
    ) -> SavedPrompt:
        """Save a prompt, with a first version; or, with `prompt`, the next version of one that is there.

        Args:
            text: The prompt; `{name}` is a place to be filled.
            model: The model that it is written for: `gemini-2.5-flash`, or a tuned one by its full name, or that of its endpoint.
            name: For people. Left out: the beginning of the text, or the name that the prompt has.
            version_name: For people.
            prompt: The prompt, or its id, that gets this as its next version.
            system: System instruction.
            examples: Values for the places, to be shown with it.
            labels: For lists: `list(filter="labels.team=support")`.
            **options: Sampling, as `GenerationConfig` of google-genai has it: `temperature`, `max_output_tokens`...

        Raises:
            SpecError: VT301 a model that there is none of, VT360 not a prompt's id, VT362 there is no text or no model, VT363 an
                option is not one of sampling.
            ServiceError: VT501 refused; a new prompt is not asked for twice, so an answer that was lost is VT502 at once.
        """
        metadata = to_metadata(text, model, system, examples, options)
        _check_model(model)
        wanted: dict[str, Any] = {"metadata": metadata, "model_reference": model}
        if labels is not None:
            wanted["labels"] = dict(labels)
        if prompt is None:
            wanted["display_name"] = name or _title(text)
            wanted["metadata_schema_uri"] = _SCHEMA
            with translated():
                made = self._service.create_dataset(parent=self._parent, dataset=wanted)
                dataset = made.result(timeout=_TIMEOUT)
        else:
            if name:
                wanted["display_name"] = name
            mask = {"paths": sorted(wanted)}
            wanted["name"] = self._full(prompt)
            dataset = again(lambda: self._service.update_dataset(dataset=wanted, update_mask=mask))
        with translated():
            request = {"display_name": version_name} if version_name else {}
            made = self._service.create_dataset_version(parent=dataset.name, dataset_version=request)
            return of_resource(made.result(timeout=_TIMEOUT), dataset)

    def get(self, prompt: SavedPrompt | str, version: str | int | None = None) -> SavedPrompt:
        """A prompt as it is now, or one version of it, by id.

        Raises:
            SpecError: VT360, not a prompt's id.
            ServiceError: VT501 with code 404, there is none.
        """
        name = self._full(prompt)
        dataset = again(lambda: self._service.get_dataset(name=name))
        if version is None:
            return of_resource(dataset, dataset)
        full = f"{name}/datasetVersions/{version}"
        return of_resource(again(lambda: self._service.get_dataset_version(name=full)), dataset)

    def list(self, *, filter: str = "", limit: int | None = None) -> list[SavedPrompt]:
        """Prompts as they are now; `filter` as the service takes it (`display_name="greeting"`, `labels.team=a`)."""
        # No brackets, which not every list of Google's takes: OR binds tighter than AND there.
        only = f'metadata_schema_uri="{_SCHEMA}"'
        request = {"parent": self._parent, "filter": f"{only} AND {filter}" if filter else only}
        return [of_resource(item, item) for item in self._pages("datasets", request, limit)]

    def versions(self, prompt: SavedPrompt | str, *, limit: int | None = None) -> Sequence[SavedPrompt]:
        """The versions of a prompt, each with its content."""
        name = self._full(prompt)
        dataset = again(lambda: self._service.get_dataset(name=name))
        found = self._pages("dataset_versions", {"parent": name}, limit)
        return [of_resource(item, dataset) for item in found]

    def restore(self, prompt: SavedPrompt | str, version: str | int) -> SavedPrompt:
        """Make an earlier version what the prompt is now; that is a new version with the same content."""
        name = f"{self._full(prompt)}/datasetVersions/{version}"
        with translated():
            made = self._service.restore_dataset_version(name=name).result(timeout=_TIMEOUT)
        found = again(lambda: self._service.get_dataset_version(name=made.name))
        return of_resource(found, again(lambda: self._service.get_dataset(name=self._full(prompt))))

    def delete(self, prompt: SavedPrompt | str, version: str | int | None = None) -> bool:
        """Delete a prompt with all its versions, or one version; no fault if it is gone.

        Returns:
            Whether it was there.
        """
        name = self._full(prompt)
        try:
            if version is None:
                again(lambda: self._service.delete_dataset(name=name).result(timeout=_TIMEOUT))
            else:
                full = f"{name}/datasetVersions/{version}"
                again(lambda: self._service.delete_dataset_version(name=full).result(timeout=_TIMEOUT))
        except ServiceError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def _pages(self, kind: str, request: dict[str, Any], limit: int | None) -> Iterator[Any]:
        """Item by item, no more than `limit`; a page that gets lost is asked for again."""
        method = getattr(self._service, f"list_{kind}")
        token, left = "", limit
        while left is None or left > 0:
            asked = {**request, "page_size": min(left or 100, 100), "page_token": token}
            page = again(lambda asked=asked: next(method(request=asked).pages, None))  # type: ignore[misc]
            items = [] if page is None else list(getattr(page, kind))
            yield from items[:left]
            left = None if left is None else left - len(items)
            token = "" if page is None else page.next_page_token
            if not token:
                return

    def _full(self, prompt: SavedPrompt | str) -> str:
        given = prompt.id if isinstance(prompt, SavedPrompt) else str(prompt)
        match = _NAME.fullmatch(given)
        if match is None:
            raise SpecError(
                "VT360",
                f'"{given}" is not the id of a prompt',
                fix="an id as vertex-tuning prompts list shows it, or projects/P/locations/L/datasets/ID",
            )
        return given if "/" in given else f"{self._parent}/datasets/{given}"


def _check_model(model: str) -> None:
    """Hold that there is such a model, as far as that is known without asking: a tuned one has its full name.

    Raises:
        SpecError: VT301, with the nearest names.
    """
    if model.startswith("projects/"):
        return
    try:
        catalog.base_model(model)
    except SpecError as error:
        said = error.fault
        fix = f"{said.fix}; a tuned model by its full name: projects/P/locations/L/models/ID@VERSION"
        raise SpecError(said.rule, said.what, where="model", why=said.why, fix=fix) from None


def _title(text: str) -> str:
    """The beginning of a text, as a name: one line, at most sixty letters, whole words."""
    words = " ".join(text.split())
    return words if len(words) <= 60 else words[:57].rpartition(" ")[0] + "..."
