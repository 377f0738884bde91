"""A request as what the trainer is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import custom, files
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.jobs.request import (
    ADAPTER_SIZES,
    Source,
    method_of,
    mode_of,
    spec_of,
    training_uri,
)
from vertex_tuning.emulator.jobs.served import ServedModel
from vertex_tuning.emulator.settings import processors
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

_SEED = 42
_DEFAULT_ADAPTER_SIZE = 4
Dropped = Sequence[tuple[int, str]]
"""(row from 1, reason)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided when a job was created; a restart with other settings does not change it."""

    base_model: str
    """Id in the catalog."""
    stand_in: str
    """Name of the open model that is trained."""
    mode: str
    """`adapter` or `full`."""
    adapter_size: int
    """Rank; 0 in full tuning."""
    source: str
    """Full name of the version that is tuned on; empty for a base model."""
    checkpoint_id: str
    """Its checkpoint."""
    custom: bool
    """Whether it starts from weights that the user gave."""
    method: str = "supervised"
    """As the catalog calls it."""
    teacher: str = ""
    """In distillation, the base model that teaches, or the one that the teacher was tuned from."""
    teacher_stand_in: str = ""
    """The open model that answers for it."""
    teacher_source: str = ""
    """Full name of the version that teaches; empty for a base model."""
    drop_media: bool = False
    """Whether rows that a stand-in cannot see or hear are left out; else they fail the job."""
    simulated: bool = False
    """Nothing is trained: the states are gone through."""

    def to_json(self) -> dict[str, Any]:
        """For the private part of the job."""
        return asdict(self)


def stand_in_of(emulator: Emulator, base: catalog.BaseModel) -> catalog.StandIn:
    """The open model that stands in for a base model here."""
    return catalog.stand_in_for(base, emulator.settings.stand_in)


def weights(emulator: Emulator, stand_in: str) -> Path:
    """The folder of a stand-in's weights.

    Raises:
        ApiError: 400, they were not fetched; with the command that does.
    """
    path: Path | None = emulator.weights.path(stand_in)
    if path is None:
        known = catalog.stand_in(stand_in)
        way = f"Fetch them once with: vertex-tuning emulator models pull {stand_in}"
        if known.kind == "own":
            way = f"They lay in {known.folder}: put them back, or name another folder by `models add`"
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"The emulator serves this model by {known.title}, whose weights are not on this machine. {way}",
            rule="VT702",
        )
    return path


def make(emulator: Emulator, job: dict[str, Any], source: Source) -> Plan:
    """Decide what the request leaves open.

    Raises:
        ApiError: 400, the weights were not fetched.
    """
    mode = mode_of(source.base, job)
    if source.version is not None:
        stand_in = source.version.private["stand_in"]
    else:
        stand_in = stand_in_of(emulator, source.base).name
    trains = emulator.settings.simulate is None
    if trains:
        weights(emulator, stand_in)
    teaching: dict[str, str] = {}
    if (teacher := source.teacher) is not None:
        version = teacher.version
        name = version.private["stand_in"] if version else stand_in_of(emulator, teacher.base).name
        if trains:
            weights(emulator, name)
        teaching = {
            "teacher": teacher.base.id,
            "teacher_stand_in": name,
            "teacher_source": version.name if version else "",
        }
    given = ADAPTER_SIZES.get(spec_of(job).get("hyperParameters", {}).get("adapterSize", ""), 0)
    return Plan(
        base_model=source.base.id,
        stand_in=stand_in,
        mode=mode,
        adapter_size=0 if mode == "full" else given or _default_size(source),
        source=source.version.name if source.version else "",
        checkpoint_id=source.checkpoint_id,
        custom=bool(job.get("customBaseModel")),
        method=method_of(job),
        drop_media=emulator.settings.drop_media and trains,
        simulated=not trains,
        **teaching,
    )


def _default_size(source: Source) -> int:
    if source.version is not None:
        return int(source.version.private["adapter_size"])
    sizes = source.base.adapter_sizes
    return _DEFAULT_ADAPTER_SIZE if _DEFAULT_ADAPTER_SIZE in sizes else max(sizes)


def take_in(emulator: Emulator, folder: JobFolder, job: dict[str, Any], plan: Plan) -> None:
    """Put aside everything that the job reads: what happens to it later does not change the job.

    Raises:
        ApiError: 400, the user's weights are not what they should be; 409, an object was replaced just now.
    """
    spec = spec_of(job)
    folder.path.mkdir(parents=True)
    try:
        files.take(emulator.storage.open_path(training_uri(job)), folder.training)
        if spec.get("validationDatasetUri"):
            files.take(emulator.storage.open_path(spec["validationDatasetUri"]), folder.validation)
        if plan.source:
            _take_checkpoint(emulator, plan.source, plan.checkpoint_id, folder.initial)
        if plan.teacher_source:
            _take_checkpoint(emulator, plan.teacher_source, "", folder.teacher)
        if plan.custom:
            custom.take_in(emulator.storage, job["customBaseModel"], weights(emulator, plan.stand_in), folder)
    except FileNotFoundError as error:
        raise ApiError(
            Code.ABORTED,
            "An object that the job reads was replaced or deleted while it was taken in. Try again.",
        ) from error


def _take_checkpoint(emulator: Emulator, source: str, checkpoint_id: str, target: Path) -> None:
    """A checkpoint of a version; its default one where none is named."""
    version = emulator.db.get(source)
    assert version is not None
    known = version.private["checkpoints"]
    chosen = checkpoint_id or version.body.get("defaultCheckpointId", "") or list(known)[-1]
    files.take_tree(emulator.settings.data_dir / known[chosen]["path"], target)


def config(
    emulator: Emulator,
    folder: JobFolder,
    job: dict[str, Any],
    plan: Plan,
    dropped: Dropped = (),
    dropped_validation: Dropped = (),
) -> dict[str, Any]:
    """What the trainer is told, as JSON: the `TrainingConfig` of the plan's method.

    Args:
        emulator: Whose settings and weights count.
        folder: Of the job.
        job: Its body.
        plan: What was decided when it was created.
        dropped: Rows that were left out, and prompts that the teacher did not answer: (row from 1, reason).
        dropped_validation: The same of the validation set.

    Raises:
        ApiError: 400, the weights are not there any more.
    """
    spec = spec_of(job)
    parameters = spec.get("hyperParameters", {})
    stand_in = catalog.stand_in(plan.stand_in)
    extra: dict[str, Any] = {}
    if plan.method == "reinforcement":
        usual = stand_in.learning_rate_reinforcement
        extra = {**_reinforcement(emulator, spec, parameters), "job": int(job["name"].rpartition("/")[2])}
    elif plan.method == "preference":
        usual = stand_in.learning_rate_preference
        if parameters.get("beta"):
            extra["beta"] = parameters["beta"]
    else:
        usual = stand_in.learning_rate_full if plan.mode == "full" else stand_in.learning_rate_adapter
    if plan.method == "distillation" and not plan.simulated:
        held_out = folder.labelled_validation
        extra = {
            "training": str(folder.labelled),
            "validation": str(held_out) if held_out.exists() else None,
        }
    model = folder.base if folder.base.exists() or plan.simulated else weights(emulator, plan.stand_in)
    found = {
        "model": str(model),
        "base_model": plan.base_model,
        "training": str(folder.training),
        "training_name": training_uri(job),
        "validation": str(folder.validation) if folder.validation.exists() else None,
        "validation_name": spec.get("validationDatasetUri"),
        "output": str(folder.output),
        "mode": plan.mode,
        "adapter_size": plan.adapter_size,
        "epochs": int(parameters.get("epochCount", 0)) or None,
        "batch_size": int(parameters.get("batchSize", 0)) or None,
        "learning_rate": parameters.get("learningRate")
        or usual * (parameters.get("learningRateMultiplier") or 1.0),
        "seed": _SEED,
        "max_tokens": stand_in.max_tokens,
        "last_checkpoint_only": bool(spec.get("exportLastCheckpointOnly")),
        "initial": str(folder.initial) if folder.initial.exists() else None,
        "threads": processors(),
        "dropped": dropped,
        "dropped_validation": dropped_validation,
    }
    return {**found, **extra}


def served(
    emulator: Emulator, folder: JobFolder, plan: Plan, evaluation: dict[str, Any], checkpoint: str
) -> tuple[ServedModel, ServedModel, ServedModel]:
    """Who answers in the evaluation of a checkpoint: it, what the job started from, and the judge.

    Raises:
        ApiError: 400, weights are not there any more; 404, the judge is not.
    """
    base, stand_in = catalog.base_model(plan.base_model), catalog.stand_in(plan.stand_in)
    model = folder.base if folder.base.exists() else weights(emulator, plan.stand_in)
    made, initial = folder.checkpoint(checkpoint), folder.initial if folder.initial.exists() else None

    def serve(model: Path, adapter: Path | None) -> ServedModel:
        return ServedModel(model, adapter, base.id, stand_in, is_gemini=not base.open)

    name = evaluation.get("autoraterConfig", {}).get("autoraterModel", "")
    if name and "/" not in name:
        name = f"publishers/google/models/{name}"
    judge = emulator.jobs.served(name) if name else serve(weights(emulator, plan.stand_in), None)
    tuned = serve(made, None) if plan.mode == "full" else serve(model, made)
    return tuned, serve(model, initial), judge


_BATCH_SIZE, _SAMPLES, _OUTPUT_TOKENS = 8, 8, 64
"""What a stand-in on a CPU does in a step where nobody says: the service's own defaults would take it minutes."""


def _reinforcement(emulator: Emulator, spec: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """What only reinforcement tuning is told."""

    def number(name: str, usual: int | None = None) -> int | None:
        return int(parameters.get(name, 0)) or usual

    return {
        "reward": {
            name: spec[name] for name in ("singleRewardConfig", "compositeRewardConfig") if name in spec
        },
        "batch_size": number("batchSize", _BATCH_SIZE),
        "samples_per_prompt": number("samplesPerPrompt", _SAMPLES),
        "max_output_tokens": min(number("maxOutputTokens", _OUTPUT_TOKENS) or 0, 4 * _OUTPUT_TOKENS),
        "evaluate_interval": number("evaluateInterval"),
        "checkpoint_interval": number("checkpointInterval"),
        "steps": number("stepCount"),
        "max_steps": catalog.limits("reinforcement")["max_steps"],
        "split_validation": True,
        "judge": emulator.address,
        "judge_token": emulator.settings.token,
        "local_code": emulator.settings.local_code,
        "maps": dict(emulator.settings.maps),
    }
