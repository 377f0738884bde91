"""What a create request may ask for. Its shape is right already; here it meets the registry and the store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import ServedModel, regions
from vertex_tuning.emulator.jobs.registry import default_checkpoint
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.state import Resource

_TUNED = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_ENDPOINT = re.compile(r"projects/([^/]+)/locations/([^/]+)/endpoints/([^/]+)")
_PUBLISHED = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/[^/]+")
_OBJECT = re.compile(r"gs://[^/]+/.+")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_MODEL_FORMS = (
    "publishers/google/models/MODEL, or projects/P/locations/L/models/ID[@VERSION] of a tuned model"
)
# What nobody here can do. To accept it and do nothing would hide that until the program runs in the cloud.
_NOT_SERVED = {
    "unmanagedContainerModel": "models in containers of one's own",
    "instanceConfig": 'changing of instances by instanceConfig: a line is {"request": {...}}',
    "explanationSpec": "explanations",
    "generateExplanation": "explanations",
    "modelMonitoringConfig": "model monitoring",
    "modelParameters": "modelParameters: a request's own generationConfig says how it is answered",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to do."""

    target: str
    """Who answers; see `served`."""
    version: str
    """Version of a tuned model; empty for a base model."""
    source: str
    """`gs://` URI of the requests."""


def check(emulator: Emulator, parent: str, job: dict[str, Any]) -> Order:
    """Hold a request against the registry and the store.

    Raises:
        ApiError: 400 with every fault; 404, the model is not there.
    """
    return _Check(emulator, parent, job).run()


def served(emulator: Emulator, target: str) -> ServedModel:
    """What answers for a target: an endpoint, a publisher's model, or `MODEL@VERSION` of a tuned one.

    Raises:
        ApiError: 404; 400 where weights are missing, or no model is deployed.
    """
    if "@" in target and "/publishers/" not in f"/{target}":
        version = emulator.db.get(target)
        if version is None:
            raise not_found(f"The Model {target}")
        return emulator.jobs.served_version(version, default_checkpoint(version))
    return emulator.jobs.served(target)


class _Check:
    """One request being checked."""

    def __init__(self, emulator: Emulator, parent: str, job: dict[str, Any]) -> None:
        self.emulator = emulator
        self.location = parent.rsplit("/", 1)[1]
        self.job = job
        self.faults: list[tuple[str, str, str]] = []
        self.missing: ApiError | None = None

    def fault(self, rule: str, field: str, description: str) -> None:
        self.faults.append((rule, f"batch_prediction_job.{field}", description))

    def run(self) -> Order:
        for name, what in _NOT_SERVED.items():
            if self.job.get(name):
                self.fault("VT654", _snake(name), f"The emulator does not serve {what}.")
        target, version = self.model()
        source = self.input()
        self.output()
        self.names()
        if self.faults:
            error = invalid(*((field, text) for _, field, text in self.faults), rule=self.faults[0][0])
            # One rule stands as the reason; the others can be read off by field.
            error.details[-1]["metadata"] = {field: rule for rule, field, _ in self.faults}
            raise error
        if self.missing is not None:
            raise self.missing
        return Order(target, version, source)

    # Who answers

    def model(self) -> tuple[str, str]:
        name, endpoint = self.job.get("model", ""), self.job.get("endpoint", "")
        if name and endpoint:
            self.fault("VT651", "endpoint", "model and endpoint are mutually exclusive.")
        elif endpoint:
            return self.of_endpoint(endpoint), ""
        elif not name:
            self.fault("VT651", "model", f"model is required: {_MODEL_FORMS}.")
        elif match := _TUNED.fullmatch(name):
            return self.tuned(name, *match.groups())
        elif _PUBLISHED.fullmatch(name):
            return self.there(name), ""
        elif _ENDPOINT.fullmatch(name):
            self.fault(
                "VT651",
                "model",
                f"'{name}' is an endpoint. Name the tuned model that it serves, or give it as endpoint (v1beta1).",
            )
        else:
            self.fault("VT651", "model", f"'{name}' is not a model's name: {_MODEL_FORMS}.")
        return "", ""

    def of_endpoint(self, name: str) -> str:
        match = _ENDPOINT.fullmatch(name)
        if match is None:
            self.fault(
                "VT651",
                "endpoint",
                f"'{name}' is not an endpoint's name: projects/P/locations/L/endpoints/E.",
            )
            return ""
        self.near("endpoint", match[2])
        return self.there(f"{self.place(match[1], match[2])}/endpoints/{match[3]}")

    def tuned(self, name: str, project: str, location: str, model: str, version: str) -> tuple[str, str]:
        full = f"{self.place(project, location)}/models/{model}"
        found: Resource | None = self.emulator.jobs.registry.version(full, version or "default")
        if found is None:
            self.missing = not_found(f"The Model {name}")
            return "", ""
        self.near("model", location)
        return self.there(found.name), str(found.body["versionId"])

    def place(self, project: str, location: str) -> str:
        return f"projects/{self.emulator.settings.number_of(project)}/locations/{location}"

    def near(self, field: str, location: str) -> None:
        if self.location == "global":
            self.fault(
                "VT651",
                field,
                f"A tuned model does not answer batches in global. Ask in the model's own location: {location}.",
            )
        elif location != self.location:
            self.fault(
                "VT651",
                field,
                f"It is in {location}, the job in {self.location}: they must be in one location.",
            )

    def there(self, target: str) -> str:
        """The target, once it is sure that it can answer."""
        try:
            served(self.emulator, target)
        except ApiError as error:
            self.missing = error
        return target

    # What it reads and writes

    def input(self) -> str:
        config = self.job.get("inputConfig", {})
        path = "input_config"
        if "bigquerySource" in config:
            self.fault(
                "VT654",
                f"{path}.bigquery_source",
                "The emulator does not serve BigQuery; use a JSONL object in Cloud Storage (gcs_source).",
            )
            return ""
        if "vertexMultimodalDatasetSource" in config:
            self.fault(
                "VT654",
                f"{path}.vertex_multimodal_dataset_source",
                "The emulator does not serve multimodal datasets; use a JSONL object in Cloud Storage (gcs_source).",
            )
            return ""
        self.form(path, "instances_format", config.get("instancesFormat", ""))
        uris = config.get("gcsSource", {}).get("uris", [])
        path = f"{path}.gcs_source.uris"
        if len(uris) != 1:
            self.fault(
                "VT652",
                path,
                f"One JSONL object of Cloud Storage is required; there are {len(uris)}. Join them into one.",
            )
            return ""
        uri = str(uris[0])
        if not _OBJECT.fullmatch(uri) or "*" in uri:
            self.fault(
                "VT652", path, f"'{uri}' should be an object of Cloud Storage: gs://BUCKET/NAME.jsonl."
            )
        elif self.bucket("VT652", path, uri):
            self.object(path, uri)
        return uri

    def object(self, path: str, uri: str) -> None:
        found = self.emulator.storage.stat(uri)
        most = catalog.limits("batch")["max_file_bytes"]
        if found is None:
            self.fault("VT652", path, f"{uri} does not exist.")
        elif found.size == 0:
            self.fault("VT652", path, f"{uri} is empty.")
        elif found.size > most:
            self.fault(
                "VT652", path, f"{uri} has {found.size:,} bytes; a batch may have up to {most:,}. Split it."
            )

    def output(self) -> None:
        config = self.job.get("outputConfig", {})
        path = "output_config"
        for name, what in (
            ("bigqueryDestination", "BigQuery"),
            ("vertexMultimodalDatasetDestination", "multimodal datasets"),
        ):
            if name in config:
                self.fault(
                    "VT654",
                    f"{path}.{_snake(name)}",
                    f"The emulator does not serve {what}; write to Cloud Storage (gcs_destination).",
                )
                return
        self.form(path, "predictions_format", config.get("predictionsFormat", ""))
        prefix = config.get("gcsDestination", {}).get("outputUriPrefix", "")
        path = f"{path}.gcs_destination.output_uri_prefix"
        if not prefix:
            self.fault("VT653", path, "output_uri_prefix is required: gs://BUCKET/FOLDER.")
        elif not _FOLDER.fullmatch(prefix):
            self.fault("VT653", path, f"'{prefix}' should be a folder of Cloud Storage: gs://BUCKET/FOLDER.")
        else:
            self.bucket("VT653", path, prefix)

    def form(self, path: str, field: str, given: str) -> None:
        if not given:
            self.fault("VT650", f"{path}.{field}", f"{field} is required: jsonl.")
        elif given != "jsonl":
            self.fault("VT654", f"{path}.{field}", f"The emulator serves jsonl alone, not '{given}'.")

    def bucket(self, rule: str, path: str, uri: str) -> bool:
        found = regions.fault(self.emulator.storage, uri, self.location)
        if found is not None:
            # A bucket that is not there is a fault of what is read or written; one far away is one of regions.
            self.fault("VT635" if found[0] == "VT635" else rule, path, found[1])
        return found is None

    # What it is called

    def names(self) -> None:
        longest = catalog.limits("display_name")["max_bytes"]
        name = self.job.get("displayName", "")
        if not name:
            self.fault("VT650", "display_name", "display_name is required.")
        elif len(name.encode()) > longest:
            self.fault("VT640", "display_name", f"display_name may have up to {longest} bytes of UTF-8.")
        for text in label_faults(self.job.get("labels", {})):
            self.fault("VT640", "labels", text)


def not_jsonl(uri: str, what: str) -> ApiError:
    """The refusal of an input in which there is nothing to answer, or too much."""
    return invalid(("batch_prediction_job.input_config.gcs_source.uris", f"{uri} {what}"), rule="VT652")


def taken_away() -> ApiError:
    """The refusal where the input went while it was taken in."""
    return ApiError(Code.ABORTED, "The input was replaced or deleted while it was taken in. Try again.")


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)
