"""What a create request may ask for. Its shape is right already; here it meets the catalog and the store."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog, rewards
from vertex_tuning.emulator.jobs import evaluation, regions, simulated
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found
from vertex_tuning.errors import RewardError, SpecError
from vertex_tuning.rewards.rating import AutoRater

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.state import Resource

SPECS = {
    "supervisedTuningSpec": "supervised tuning",
    "preferenceOptimizationSpec": "preference tuning",
    "distillationSpec": "distillation",
    "reinforcementTuningSpec": "reinforcement tuning",
    "partnerModelTuningSpec": "partner model tuning",
    "fullFineTuningSpec": "full fine-tuning by fullFineTuningSpec",
    "veoTuningSpec": "Veo tuning",
    "veoLoraTuningSpec": "Veo LoRA tuning",
    "distillationSamplingSpec": "distillation sampling",
}
_SERVED = {
    "supervisedTuningSpec": "supervised",
    "preferenceOptimizationSpec": "preference",
    "reinforcementTuningSpec": "reinforcement",
    "distillationSpec": "distillation",
}
"""Which method of the catalog a spec asks for."""
ADAPTER_SIZES = {
    "ADAPTER_SIZE_ONE": 1,
    "ADAPTER_SIZE_TWO": 2,
    "ADAPTER_SIZE_FOUR": 4,
    "ADAPTER_SIZE_EIGHT": 8,
    "ADAPTER_SIZE_SIXTEEN": 16,
    "ADAPTER_SIZE_THIRTY_TWO": 32,
}
_REWARDS = ("singleRewardConfig", "compositeRewardConfig")
_REINFORCEMENT_NUMBERS = (
    *("batchSize", "samplesPerPrompt", "evaluateInterval", "checkpointInterval"),
    *("maxOutputTokens", "stepCount", "thinkingBudget"),
)
_MOST = {"stepCount": "max_steps", "maxOutputTokens": "max_max_output_tokens"}
_OPEN_ONLY = dict.fromkeys(("supervised", "distillation"), ("learningRate", "batchSize"))
_MODES = {"TUNING_MODE_FULL": "full", "TUNING_MODE_PEFT_ADAPTER": "adapter"}
_TRAINING = {"distillation": ("promptDatasetUri", "trainingDatasetUri")}
"""Where the data set's URI stands: the second name is the old one."""
_OBJECT = re.compile(r"gs://[^/]+/.+")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_MODEL_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_ACCOUNT = re.compile(r"[^@\s/]+@[a-z0-9.-]+\.gserviceaccount\.com")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")


@dataclass(frozen=True, slots=True)
class Source:
    """What a job starts from."""

    base: catalog.BaseModel
    version: Resource | None = None
    """The tuned model's version that is tuned on; None for a base model."""
    checkpoint_id: str = ""
    """Its checkpoint."""
    teacher: Teacher | None = None
    """Who answers the prompts, in distillation."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """Whose answers a student learns from."""

    base: catalog.BaseModel
    version: Resource | None = None
    """Of a tuned model; None: the base model itself."""


def check(emulator: Emulator, parent: str, job: dict[str, Any]) -> Source:
    """Hold a request against the catalog and the store.

    Raises:
        ApiError: 400 with every fault, or the method is not served; 404, what it is tuned from is not
        there.
    """
    _check_method(job)
    return _Check(emulator, parent, job).run()


def spec_of(job: dict[str, Any]) -> dict[str, Any]:
    """The spec of a job that was checked: of its members, the one that says how to tune."""
    return next(dict(job[name]) for name in _SERVED if name in job)


def method_of(job: dict[str, Any]) -> str:
    """As the catalog calls it."""
    return next(method for name, method in _SERVED.items() if name in job)


def training_uri(job: dict[str, Any]) -> str:
    """Where the rows to learn from are."""
    spec = spec_of(job)
    return next((spec[name] for name in _training_names(method_of(job)) if spec.get(name)), "")


def _training_names(method: str) -> tuple[str, ...]:
    return _TRAINING.get(method, ("trainingDatasetUri",))


def mode_of(base: catalog.BaseModel, job: dict[str, Any]) -> str:
    """`adapter` or `full`; where it is not said, an adapter if the model has any."""
    given = _MODES.get(spec_of(job).get("tuningMode", ""))
    return given or ("adapter" if "adapter" in base.modes else "full")


def _check_method(job: dict[str, Any]) -> None:
    given = [name for name in SPECS if name in job]
    if len(given) > 1:
        # Some specs stand outside of the documented oneof; the service refuses a second one all the same.
        raise ApiError(
            Code.INVALID_ARGUMENT,
            "Invalid value at 'tuning_job' (oneof), oneof field 'tuning_spec' is already set. "
            f"Cannot set '{given[1]}'",
            rule="VT630",
        )
    if given and given[0] not in _SERVED:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"The emulator does not serve {SPECS[given[0]]} ({given[0]}) yet. It serves {' and '.join(_SERVED)}.",
            rule="VT639",
        )


class _Check:
    """One request being checked."""

    def __init__(self, emulator: Emulator, parent: str, job: dict[str, Any]) -> None:
        self.emulator = emulator
        self.location = parent.rsplit("/", 1)[1]
        self.job = job
        self.key = next((name for name in _SERVED if name in job), "")
        self.method = _SERVED.get(self.key, "supervised")
        self.spec: dict[str, Any] = job.get(self.key, {})
        self.parameters: dict[str, Any] = self.spec.get("hyperParameters", {})
        self.path = _snake(self.key)
        self.numbers_path = f"{self.path}.hyper_parameters"
        self.faults: list[tuple[str, str, str]] = []

    def fault(self, rule: str, field: str, description: str) -> None:
        self.faults.append((rule, f"tuning_job.{field}", description))

    def run(self) -> Source:
        if not self.key:
            served = " and ".join(_snake(name) for name in _SERVED)
            self.fault("VT630", "tuning_spec", f"tuning_spec is required; the emulator serves {served}.")
        source = self.source()
        if source is not None:
            self.model(source.base)
        if self.key:
            self.datasets()
        if source is not None and self.method == "distillation":
            source = self.distillation(source)
        if source is not None and "evaluationConfig" in self.spec:
            self.evaluation(source.base)
        self.names()
        if self.faults or source is None:
            error = invalid(*((field, text) for _, field, text in self.faults), rule=self.faults[0][0])
            # One rule stands as the reason; the others can be read off by field.
            error.details[-1]["metadata"] = {field: rule for rule, field, _ in self.faults}
            raise error
        return source

    # Where it starts

    def source(self) -> Source | None:
        if "preTunedModel" in self.job:
            return self.tuned_source(self.job["preTunedModel"])
        name = self.job.get("baseModel", "")
        if not name:
            self.fault("VT630", "source_model", "source_model is required: base_model or pre_tuned_model.")
            return None
        try:
            return Source(catalog.base_model(name, self.method))
        except SpecError as error:
            self.fault(
                "VT301", "base_model", f"Base model {name} is not supported. To fix: {error.fault.fix}."
            )
            return None

    def tuned_source(self, given: dict[str, Any]) -> Source | None:
        found = self.version(given.get("tunedModelName", ""), "pre_tuned_model.tuned_model_name")
        if found is None:
            return None
        base = catalog.base_model(found.private["base_model"])
        self.goes_on(found)
        known = found.private["checkpoints"]
        checkpoint = given.get("checkpointId", "")
        if checkpoint and checkpoint not in known:
            self.fault(
                "VT638",
                "pre_tuned_model.checkpoint_id",
                f"Checkpoint {checkpoint} does not exist; the model has: {', '.join(known)}.",
            )
            return None
        return Source(base, found, checkpoint or found.body.get("defaultCheckpointId", "") or list(known)[-1])

    def goes_on(self, found: Resource) -> None:
        """Whether this way of tuning goes on from a model that was made as this one was."""
        made = self.emulator.db.get(found.private["job"] or "")
        before = method_of(made.body) if made is not None else ""
        # Distillation has no such list: a tuned model is never a student, and that is told below.
        able = catalog.limits(self.method).get("tunes_on")
        if before and able is not None and before not in able:
            from_ = " and ".join(map(catalog.tuning, able))
            text = f"{catalog.tuning(self.method)} goes on from models of {from_}, not of {catalog.tuning(before)}."
            self.fault("VT638", "pre_tuned_model.tuned_model_name", text.capitalize())

    def version(self, name: str, field: str) -> Resource | None:
        """The version of a tuned model that is named, near enough to the job; None: a fault was noted."""
        match = _MODEL_NAME.fullmatch(name)
        if match is None:
            text = f"'{name}' is not the name of a tuned model: projects/P/locations/L/models/M[@VERSION]."
            self.fault("VT638", field, text)
            return None
        project, location, model, version = match.groups()
        full = f"projects/{self.emulator.settings.number_of(project)}/locations/{location}/models/{model}"
        found = self.emulator.jobs.registry.version(full, version or "default")
        if found is None:
            raise not_found(f"The Model {name}")
        if not found.private["base_model"]:
            text = (
                f"{name} was uploaded. Tune on weights of an open model by custom_base_model, their folder."
            )
            self.fault("VT638", field, text)
            return None
        folders = [
            self.emulator.settings.data_dir / one["path"] for one in found.private["checkpoints"].values()
        ]
        if self.emulator.settings.simulate is None and any(map(simulated.is_note, folders)):
            text = f"{name} is of a simulated job: it has no weights. Start the emulator with --simulate to go on from it."
            self.fault("VT638", field, text)
            return None
        base = catalog.base_model(found.private["base_model"])
        # A model lives in its job's region or, from Gemini 3 on, in the multi-region round it.
        if location not in (self.location, base.serving_location(self.location)):
            text = f"The model is in {location}, the job in {self.location}: they must be in one region."
            self.fault("VT638", field, text)
        return found

    # What the model takes

    def model(self, base: catalog.BaseModel) -> None:
        if self.method not in base.methods:
            what = SPECS.get(self.key, "tuning")
            self.fault("VT631", "base_model", f"{base.id} does not support {what}.")
        regions = base.regions_for(self.method)
        if self.location not in regions:
            several = ", ".join(regions[:6]) + (", ..." if len(regions) > 6 else "")
            self.fault(
                "VT632",
                "base_model",
                f"{base.id} cannot be tuned in {self.location}. It can be in: {several}.",
            )
        if self.key:
            self.mode(base)
            self.numbers(base)
            if self.method == "reinforcement":
                self.reinforcement(base)
        self.placement(base)
        self.encryption(base)

    def mode(self, base: catalog.BaseModel) -> None:
        mode = mode_of(base, self.job)
        if mode not in base.modes:
            self.fault(
                "VT631",
                f"{self.path}.tuning_mode",
                f"{base.id} offers {' and '.join(base.modes)} tuning, not {mode} tuning.",
            )
            return
        size = self.parameters.get("adapterSize", "ADAPTER_SIZE_UNSPECIFIED")
        if mode == "full" and size in ADAPTER_SIZES:
            self.fault(
                "VT633",
                f"{self.numbers_path}.adapter_size",
                "Full tuning makes no adapter: leave adapter_size out.",
            )
        elif mode == "adapter" and size in ADAPTER_SIZES and ADAPTER_SIZES[size] not in base.adapter_sizes:
            self.fault(
                "VT633",
                f"{self.numbers_path}.adapter_size",
                f"Adapter size {ADAPTER_SIZES[size]} is not supported for {base.id}. Supported: "
                f"{', '.join(str(value) for value in base.adapter_sizes)}.",
            )

    def numbers(self, base: catalog.BaseModel) -> None:
        """In proto3, 0 is the same as left out: the service decides."""
        most = catalog.limits(self.method)["max_epochs"]
        if not 0 <= int(self.parameters.get("epochCount", 0)) <= most:
            self.fault(
                "VT633", f"{self.numbers_path}.epoch_count", f"epoch_count must be between 1 and {most}."
            )
        for name, field in (
            ("learningRateMultiplier", "learning_rate_multiplier"),
            ("learningRate", "learning_rate"),
            ("batchSize", "batch_size"),
            ("beta", "beta"),
        ):
            value = float(self.parameters.get(name, 0))
            if not math.isfinite(value) or value < 0:
                self.fault("VT633", f"{self.numbers_path}.{field}", f"{field} must be a positive number.")
            elif value and not base.open and name in _OPEN_ONLY.get(self.method, ()):
                self.fault(
                    "VT633",
                    f"{self.numbers_path}.{field}",
                    f"{field} is for open models only; {base.id} is not one.",
                )
        if self.parameters.get("learningRate") and self.parameters.get("learningRateMultiplier"):
            self.fault(
                "VT633",
                f"{self.numbers_path}.learning_rate",
                "learning_rate and learning_rate_multiplier are mutually exclusive.",
            )

    def reinforcement(self, base: catalog.BaseModel) -> None:
        """The reward, and the numbers that only reinforcement tuning has."""
        try:
            reward = rewards.from_json({name: self.spec[name] for name in _REWARDS if name in self.spec})
        except RewardError as error:
            for fault in error.faults:
                self.fault(fault.rule, f"{self.path}.{fault.where}", f"{fault.what}. To fix: {fault.fix}.")
        else:
            self.judges(reward)
        limits = catalog.limits("reinforcement")
        given = {name: int(self.parameters.get(name, 0)) for name in _REINFORCEMENT_NUMBERS}
        for name, value in given.items():
            most = limits[_MOST[name]] if name in _MOST else None
            if value < 0 or (most and value > most):
                words = f"between 1 and {most:,}" if most else "a positive number"
                self.number(name, f"{_snake(name)} must be {words}.")
        if given["stepCount"] and self.parameters.get("epochCount"):
            self.number("stepCount", "step_count and epoch_count are mutually exclusive.")
        batch = given["batchSize"] or limits["batch_size"]
        several = given["samplesPerPrompt"] or limits["samples_per_prompt"]
        if (given["batchSize"] or given["samplesPerPrompt"]) and (
            batch * several % limits["samples_multiple"] or batch * several > limits["max_samples"]
        ):
            self.number(
                "batchSize",
                f"batch_size x samples_per_prompt ({batch} x {several}) must be a multiple of {limits['samples_multiple']}, "
                f"and {limits['max_samples']:,} at most.",
            )
        multiplier = float(self.parameters.get("learningRateMultiplier", 0))
        low, high = limits["min_learning_rate_multiplier"], limits["max_learning_rate_multiplier"]
        if multiplier and not low <= multiplier <= high:
            self.number(
                "learningRateMultiplier", f"learning_rate_multiplier must be between {low} and {high}."
            )
        if self.parameters.get("thinkingBudget") and base.id.startswith("gemini-3"):
            self.number(
                "thinkingBudget", f"thinking_budget is not supported for {base.id}; use thinking_level."
            )

    def judges(self, reward: rewards.AnyReward) -> None:
        """Whether the models are there that an autorater asks: each of its calls would fail, an answer after the other."""
        if isinstance(reward, rewards.CompositeReward):
            path = "composite_reward_config.weighted_reward_configs[{}].reward_config"
            parts = {path.format(index): part for index, (part, _) in enumerate(reward.parts)}
        else:
            parts = {"single_reward_config": reward}
        for where, part in parts.items():
            if not isinstance(part.scorer, AutoRater):
                continue
            try:
                self.emulator.jobs.served(part.scorer.model)
            except ApiError as error:
                if self.emulator.settings.simulate is None or error.code is Code.NOT_FOUND:
                    field = f"{self.path}.{where}.autorater_scorer.autorater_config.autorater_model"
                    self.fault("VT915", field, error.message)

    def distillation(self, student: Source) -> Source:
        """Who teaches whom."""
        if student.version is not None:
            self.fault("VT647", "pre_tuned_model", "A tuned model cannot be distilled into; give base_model.")
        old = self.spec.get("studentModel", "")
        if old and old != self.job.get("baseModel"):
            text = "student_model is deprecated; the student is tuning_job.base_model."
            self.fault("VT647", f"{self.path}.student_model", text)
        if name := self.spec.get("tunedTeacherModelSource", ""):
            field = f"{self.path}.tuned_teacher_model_source"
            found = self.version(name, field)
            if found is None:
                return student
            teacher = Teacher(catalog.base_model(found.private["base_model"]), found)
            if teacher.base.open != student.base.open:
                self.fault("VT647", field, f"{teacher.base.id} cannot teach {student.base.id}.")
            return replace(student, teacher=teacher)
        field = f"{self.path}.base_teacher_model"
        able = ", ".join(student.base.teachers)
        name = self.spec.get("baseTeacherModel", "")
        if not name:
            text = f"base_teacher_model or tuned_teacher_model_source is required; {student.base.id} learns from: {able}."
            self.fault("VT647", f"{self.path}.teacher_model", text)
            return student
        try:
            base = catalog.base_model(name)
        except SpecError as error:
            self.fault("VT301", field, f"Teacher model {name} is not supported. To fix: {error.fault.fix}.")
            return student
        if base.id not in student.base.teachers and student.base.teachers:
            self.fault(
                "VT647", field, f"{base.id} cannot teach {student.base.id}, which learns from: {able}."
            )
        return replace(student, teacher=Teacher(base))

    def number(self, name: str, description: str) -> None:
        self.fault("VT633", f"{self.numbers_path}.{_snake(name)}", description)

    def placement(self, base: catalog.BaseModel) -> None:
        output, custom = self.job.get("outputUri", ""), self.job.get("customBaseModel", "")
        # What a teacher says is written to a folder of the user's, whatever the student.
        keeps = base.open or self.method == "distillation"
        for value, field, allowed in (
            (output, "output_uri", keeps),
            (custom, "custom_base_model", base.open),
        ):
            if value and not allowed:
                self.fault("VT636", field, f"{field} is for open models only; {base.id} is not one.")
        if not keeps:
            return
        if not output and base.open:
            self.fault("VT636", "output_uri", f"output_uri is required to tune {base.id}.")
        elif not output:
            pass
        elif not _FOLDER.fullmatch(output):
            self.fault(
                "VT636", "output_uri", f"'{output}' should be a Cloud Storage folder: gs://BUCKET/FOLDER."
            )
        else:
            self.bucket(output, "output_uri")
        if custom and base.open and not _OBJECT.fullmatch(custom):
            self.fault(
                "VT636", "custom_base_model", f"'{custom}' should be a Cloud Storage folder with weights."
            )

    def encryption(self, base: catalog.BaseModel) -> None:
        key = self.job.get("encryptionSpec", {}).get("kmsKeyName", "")
        if not key:
            return
        if not base.cmek:
            self.fault(
                "VT637", "encryption_spec", f"{base.id} does not support customer-managed encryption keys."
            )
            return
        match = _KMS_KEY.fullmatch(key)
        if match is None:
            self.fault(
                "VT637",
                "encryption_spec.kms_key_name",
                f"'{key}' should be projects/P/locations/L/keyRings/R/cryptoKeys/K.",
            )
        elif match[1] != self.location:
            self.fault(
                "VT637",
                "encryption_spec.kms_key_name",
                f"The key is in {match[1]}, the job in {self.location}; both must be in one region.",
            )

    # What it reads and writes

    def datasets(self) -> None:
        needed, *older = _training_names(self.method)
        if not any(self.spec.get(name) for name in (needed, *older)):
            self.fault("VT634", f"{self.path}.{_snake(needed)}", f"{_snake(needed)} is required.")
        for name in (needed, *older, "validationDatasetUri"):
            uri, field = self.spec.get(name, ""), _snake(name)
            path = f"{self.path}.{field}"
            if not uri:
                continue
            if re.fullmatch(r"projects/[^/]+/locations/[^/]+/datasets/[^/]+", uri):
                self.fault(
                    "VT639", path, "The emulator does not serve multimodal datasets yet; use a JSONL object."
                )
            elif not _OBJECT.fullmatch(uri) or not uri.endswith(".jsonl"):
                self.fault("VT634", path, f"{field} should be a GCS object of type JSONL.")
            else:
                self.dataset(uri, field, path)

    def dataset(self, uri: str, field: str, path: str) -> None:
        if not self.bucket(uri, path):
            return
        found = self.emulator.storage.stat(uri)
        if found is None:
            self.fault("VT634", path, f"{field}: {uri} does not exist.")
        elif found.size == 0:
            self.fault("VT634", path, f"{field}: {uri} is empty.")
        elif found.size > (most := catalog.limits(self.method)["max_file_bytes"]):
            self.fault(
                "VT634", path, f"{field}: {uri} has {found.size:,} bytes; a data set may have up to {most:,}."
            )

    def bucket(self, uri: str, path: str) -> bool:
        """Whether the bucket of a URI is there, and near enough."""
        found = regions.fault(self.emulator.storage, uri, self.location)
        if found is not None:
            rule, text = found
            self.fault(rule, path, text)
        return found is None

    def evaluation(self, base: catalog.BaseModel) -> None:
        """What is to be measured of the checkpoints."""
        config, path = self.spec["evaluationConfig"], f"{self.path}.evaluation_config"
        if self.method != "supervised":
            self.fault(
                "VT681", path, f"The emulator evaluates jobs of supervised tuning, not of {SPECS[self.key]}."
            )
            return
        regions = catalog.limits(self.method)["evaluation_regions"]
        if self.location not in regions:
            text = f"evaluation_config is not available in {self.location}, but in: {', '.join(regions)}."
            self.fault("VT682", path, text)
        if not self.spec.get("validationDatasetUri"):
            field = f"{self.path}.validation_dataset_uri"
            self.fault(
                "VT683",
                field,
                "validation_dataset_uri is required by evaluation_config: its rows are answered.",
            )
        for rule, field, text in evaluation.faults(self.emulator, config, base):
            self.fault(rule, f"{path}.{field}", text)
        uri = evaluation.output(config)
        if evaluation.is_folder(uri):
            self.bucket(uri, f"{path}.{evaluation.OUTPUT}")

    # What it is called

    def names(self) -> None:
        longest = catalog.limits("display_name")["max_bytes"]
        if len(self.job.get("tunedModelDisplayName", "").encode()) > longest:
            self.fault(
                "VT640",
                "tuned_model_display_name",
                f"tuned_model_display_name may have up to {longest} bytes of UTF-8.",
            )
        account = self.job.get("serviceAccount", "")
        if account and not _ACCOUNT.fullmatch(account):
            text = f"'{account}' is not a service account: NAME@PROJECT.iam.gserviceaccount.com."
            self.fault("VT640", "service_account", text)
        for text in label_faults(self.job.get("labels", {})):
            self.fault("VT640", "labels", text)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def label_faults(labels: dict[str, str]) -> list[str]:
    """What is wrong with labels: short, lower-case letters of any script, digits, `_` and `-`."""
    limits = catalog.limits("labels")
    found = []
    if len(labels) > limits["max_count"]:
        found.append(f"There are {len(labels)} labels; a resource may have up to {limits['max_count']}.")
    for key, value in labels.items():
        if not key:
            found.append("A label's key must not be empty.")
        for text, part in ((key, "key"), (value, "value")):
            if len(text) > limits["max_length"]:
                found.append(
                    f"Label {part} '{text[:20]}...' is longer than {limits['max_length']} characters."
                )
            elif any(not (char in "_-" or (char.isalnum() and char == char.lower())) for char in text):
                found.append(
                    f"Label {part} '{text}' may hold lower-case letters, digits, underscores and dashes only."
                )
    return found
