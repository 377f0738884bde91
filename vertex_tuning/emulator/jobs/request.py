"""What a create request may ask for. Its shape is already right; here it is held against the catalog and the store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found
from vertex_tuning.errors import SpecError

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.state import Resource

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_MODEL_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_SPECS = {
    "supervisedTuningSpec": "supervised",
    "preferenceOptimizationSpec": "preference",
    "distillationSpec": "distillation",
    "reinforcementTuningSpec": "reinforcement",
    "partnerModelTuningSpec": "partner",
    "fullFineTuningSpec": "full",
    "veoTuningSpec": "veo",
    "veoLoraTuningSpec": "veo",
}
ADAPTER_SIZES = {
    "ADAPTER_SIZE_ONE": 1,
    "ADAPTER_SIZE_TWO": 2,
    "ADAPTER_SIZE_FOUR": 4,
    "ADAPTER_SIZE_EIGHT": 8,
    "ADAPTER_SIZE_SIXTEEN": 16,
    "ADAPTER_SIZE_THIRTY_TWO": 32,
}


@dataclass(frozen=True, slots=True)
class Source:
    """What a job starts from."""

    base: catalog.BaseModel
    version: Resource | None = None
    """The tuned model's version that is tuned on; None for a base model."""
    checkpoint_id: str = ""


class _Faults:
    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, field: str, description: str) -> None:
        self.found.append((f"tuning_job.{field}" if field else "tuning_job", description))


def check(emulator: Emulator, parent: str, job: dict[str, Any]) -> Source:
    """Hold a request against the catalog and the store.

    Raises:
        ApiError: 400 with every fault; 404 where what it is tuned from is not there; 501 for a method not served yet.
    """
    faults = _Faults()
    location = parent.rsplit("/", 1)[1]
    _check_spec(job, faults)
    source = _source(emulator, parent, job, faults)
    if source is not None:
        _check_method(source.base, location, job, faults)
    _check_datasets(emulator, location, job, faults)
    _check_names(job, faults)
    if faults.found:
        raise invalid(*faults.found)
    assert source is not None
    return source


def _check_spec(job: dict[str, Any], faults: _Faults) -> None:
    given = [name for name in _SPECS if name in job]
    if not given:
        faults.add("tuning_spec", "tuning_spec is required: one of supervised_tuning_spec, ...")
    for name in given:
        if name != "supervisedTuningSpec":
            raise ApiError(
                Code.UNIMPLEMENTED,
                f"The emulator does not serve {_SPECS[name]} tuning ({name}) yet; it serves supervisedTuningSpec.",
                rule="VT610",
            )


def _source(emulator: Emulator, parent: str, job: dict[str, Any], faults: _Faults) -> Source | None:
    if "preTunedModel" in job:
        return _tuned_source(emulator, parent, job["preTunedModel"], faults)
    name = job.get("baseModel", "")
    if not name:
        faults.add("base_model", "base_model or pre_tuned_model is required.")
        return None
    try:
        return Source(catalog.base_model(name))
    except SpecError as error:
        faults.add("base_model", f"Base model {name} is not supported. Use: {error.fault.fix}.")
        return None


def _tuned_source(emulator: Emulator, parent: str, given: dict[str, Any], faults: _Faults) -> Source | None:
    name = given.get("tunedModelName", "")
    match = _MODEL_NAME.fullmatch(name)
    if match is None:
        faults.add("pre_tuned_model.tuned_model_name", f"'{name}' is not the name of a model.")
        return None
    project, location, model, version = match.groups()
    model_name = f"projects/{emulator.settings.number_of(project)}/locations/{location}/models/{model}"
    served_in = {parent.rsplit("/", 1)[1]}
    found = emulator.jobs.registry.version(model_name, version or "default")
    if found is None:
        raise not_found(f"Model {name}")
    base = catalog.base_model(found.private["base_model"])
    served_in.add(base.serving_location(parent.rsplit("/", 1)[1]))
    if location not in served_in:
        faults.add(
            "pre_tuned_model.tuned_model_name",
            f"The model is in {location}, the job in {parent.rsplit('/', 1)[1]}: both must be in one region.",
        )
    checkpoint = given.get("checkpointId", "")
    known = found.private["checkpoints"]
    if checkpoint and checkpoint not in known:
        faults.add(
            "pre_tuned_model.checkpoint_id",
            f"Checkpoint {checkpoint} does not exist; the model has: {', '.join(known)}.",
        )
        return None
    return Source(base, found, checkpoint or found.body.get("defaultCheckpointId", "") or list(known)[-1])


def _check_method(base: catalog.BaseModel, location: str, job: dict[str, Any], faults: _Faults) -> None:
    spec = job.get("supervisedTuningSpec", {})
    if "supervised" not in base.methods:
        faults.add("base_model", f"Base model {base.id} does not support supervised tuning.")
    if location not in base.regions:
        faults.add(
            "base_model",
            f"{base.id} cannot be tuned in {location}; it can in {', '.join(base.regions[:6])}"
            f"{'...' if len(base.regions) > 6 else ''}.",
        )
    if "encryptionSpec" in job and not base.cmek:
        faults.add("encryption_spec", f"{base.id} does not support customer-managed encryption keys.")
    mode = mode_of(job)
    if mode not in base.modes:
        faults.add(
            "supervised_tuning_spec.tuning_mode",
            f"{base.id} supports {' and '.join(base.modes)} tuning, not {mode} tuning.",
        )
    parameters = spec.get("hyperParameters", {})
    size = parameters.get("adapterSize")
    if size and mode == "adapter" and base.adapter_sizes and ADAPTER_SIZES.get(size) not in base.adapter_sizes:
        faults.add(
            "supervised_tuning_spec.hyper_parameters.adapter_size",
            f"Adapter size {size} is not supported for {base.id}; supported: "
            f"{', '.join(str(value) for value in base.adapter_sizes)}.",
        )
    _check_numbers(base, parameters, faults)
    if base.open and not job.get("outputUri", "").startswith("gs://"):
        faults.add("output_uri", f"output_uri (gs://...) is required to tune {base.id}.")
    if "customBaseModel" in job:
        raise ApiError(
            Code.UNIMPLEMENTED, "The emulator does not serve customBaseModel yet; tune a base model.", rule="VT610"
        )
    if "evaluationConfig" in spec:
        raise ApiError(Code.UNIMPLEMENTED, "The emulator does not serve evaluationConfig yet.", rule="VT610")


def _check_numbers(base: catalog.BaseModel, parameters: dict[str, Any], faults: _Faults) -> None:
    prefix = "supervised_tuning_spec.hyper_parameters"
    most = catalog.limits("supervised")["max_epochs"]
    epochs = parameters.get("epochCount")
    if epochs is not None and not 0 <= int(epochs) <= most:
        faults.add(f"{prefix}.epoch_count", f"epoch_count must be between 1 and {most}.")
    multiplier = parameters.get("learningRateMultiplier")
    if multiplier is not None and not (isinstance(multiplier, int | float) and 0 <= multiplier < float("inf")):
        faults.add(f"{prefix}.learning_rate_multiplier", "learning_rate_multiplier must be a positive number.")
    for name, field in (("batchSize", "batch_size"), ("learningRate", "learning_rate")):
        value = parameters.get(name)
        if value is None:
            continue
        if not base.open:
            faults.add(f"{prefix}.{field}", f"{field} is only supported for open models, not for {base.id}.")
        elif float(value) <= 0 or float(value) == float("inf"):
            faults.add(f"{prefix}.{field}", f"{field} must be a positive number.")
    if "learningRate" in parameters and multiplier:
        faults.add(f"{prefix}.learning_rate", "learning_rate and learning_rate_multiplier exclude each other.")


def _check_datasets(emulator: Emulator, location: str, job: dict[str, Any], faults: _Faults) -> None:
    spec = job.get("supervisedTuningSpec")
    if spec is None:
        return
    for name, field in (
        ("trainingDatasetUri", "training_dataset_uri"),
        ("validationDatasetUri", "validation_dataset_uri"),
    ):
        uri = spec.get(name, "")
        path = f"supervised_tuning_spec.{field}"
        if not uri:
            if name == "trainingDatasetUri":
                faults.add(path, f"{field} is required.")
            continue
        if not uri.startswith("gs://") or not uri.endswith(".jsonl"):
            faults.add(path, f"{field} should be a GCS object of type JSONL.")
            continue
        if emulator.storage.stat(uri) is None:
            faults.add(path, f"{field}: {uri} does not exist, or cannot be read.")
            continue
        bucket = emulator.storage.bucket(uri.removeprefix("gs://").partition("/")[0]) or {}
        if not compatible(str(bucket.get("location", "")), location):
            faults.add(
                path,
                f"The bucket of {uri} is in {bucket.get('location')}, the job runs in {location}: use a bucket in "
                "the job's region, or in a multi-region that holds it.",
            )


def compatible(bucket_location: str, location: str) -> bool:
    """Whether a bucket's location holds data for jobs of a region: the region itself, or its multi-region."""
    bucket_location = bucket_location.lower()
    if bucket_location in ("", location) or location == "global":
        return True
    multi = {"us": ("us-", "northamerica-"), "eu": ("europe-",), "asia": ("asia-",)}
    return location.startswith(multi.get(bucket_location, ("\0",)))


def _check_names(job: dict[str, Any], faults: _Faults) -> None:
    longest = catalog.limits("display_name")["max_bytes"]
    if len(job.get("tunedModelDisplayName", "").encode()) > longest:
        faults.add("tuned_model_display_name", f"The display name may have up to {longest} bytes of UTF-8.")
    labels = job.get("labels", {})
    if len(labels) > catalog.limits("labels")["max_count"]:
        faults.add("labels", f"No more than {catalog.limits('labels')['max_count']} labels are allowed.")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            faults.add(
                "labels",
                f"Label '{key}': '{value}' is not valid: lower-case letters, digits, '_' and '-', up to 63 characters, "
                "keys beginning with a letter.",
            )


def mode_of(job: dict[str, Any]) -> str:
    """`adapter` or `full`; adapter tuning unless full was asked for, or nothing else is on offer."""
    mode = job.get("supervisedTuningSpec", {}).get("tuningMode", "")
    if mode == "TUNING_MODE_FULL":
        return "full"
    if mode == "" and "baseModel" in job:
        try:
            modes = catalog.base_model(job["baseModel"]).modes
        except SpecError:
            return "adapter"
        return "adapter" if "adapter" in modes else "full"
    return "adapter"
