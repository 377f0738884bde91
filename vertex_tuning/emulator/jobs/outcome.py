"""What a job that succeeded leaves: a model, or another version of one, and an endpoint per checkpoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.jobs.ledger import identifier
from vertex_tuning.emulator.jobs.plan import Plan
from vertex_tuning.emulator.jobs.request import spec_of
from vertex_tuning.emulator.state import Database, Resource
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.registry import Registry

_TUNE_TYPES = {
    "supervised": "sft",
    "preference": "dpo",
    "reinforcement": "rl",
    "distillation": "distillation",
}
"""The service's own word is known for `sft` alone."""
_NO_LABEL = re.compile(r"[^a-z0-9_-]")


def of(emulator: Emulator, registry: Registry, job: Resource, folder: JobFolder) -> dict[str, Any]:
    """The output fields of a job that has trained; registers its model. Call it inside of a transaction.

    An open model's weights lie in the user's bucket; nothing is registered, as nothing serves them.
    """
    decided = Plan(**job.private["plan"])
    base = catalog.base_model(decided.base_model)
    checkpoints = job.private["trained"]["checkpoints"]
    fields: dict[str, Any] = {}
    if not base.open:
        fields["tunedModel"] = _register(emulator, registry, job, decided, base, checkpoints, folder)
    if "evaluationConfig" in spec_of(job.body) and emulator.settings.simulate is not None:
        words = "This job was simulated: nothing was trained, and there is nothing to evaluate."
        error = ApiError(Code.UNIMPLEMENTED, words, rule="VT681").status()
        fields["evaluateDatasetRuns"] = [
            {"checkpointId": checkpoint["checkpoint_id"], "error": error} for checkpoint in checkpoints
        ]
    return fields


def _register(
    emulator: Emulator,
    registry: Registry,
    job: Resource,
    decided: Plan,
    base: catalog.BaseModel,
    checkpoints: list[dict[str, Any]],
    folder: JobFolder,
) -> dict[str, Any]:
    project, location = job.parent.rsplit("/locations/", 1)
    number = identifier(job.name)
    display = job.body.get("tunedModelDisplayName", "")
    model = ""
    source = emulator.db.get(decided.source) if decided.source else None
    if source is not None and display in ("", source.body["displayName"]):
        # Tuned on under the same name: another version. Under another name: another model.
        model, display = source.parent, source.body["displayName"]
    body: dict[str, Any] = {
        "displayName": display or f"tuned-model-{number}",
        "labels": {
            **job.body.get("labels", {}),
            "tune-type": _TUNE_TYPES[decided.method],
            "google-vertex-llm-tuning-base-model-id": _NO_LABEL.sub("-", base.id.lower())[:63],
            "google-vertex-llm-tuning-job-id": number,
        },
        "baseModelSource": {"genieSource": {"baseModelUri": f"publishers/google/models/{base.id}"}},
    }
    for field in ("description", "encryptionSpec"):
        if field in job.body:
            body[field] = job.body[field]
    return registry.add_version(
        parent=f"{project}/locations/{base.serving_location(location)}",
        model=model,
        body=body,
        private={
            "base_model": base.id,
            "stand_in": decided.stand_in,
            "mode": decided.mode,
            "adapter_size": decided.adapter_size,
            "job": job.name,
        },
        checkpoints=[
            {
                **checkpoint,
                # Within the data folder, which may be moved.
                "path": str(
                    folder.checkpoint(checkpoint["checkpoint_id"]).relative_to(emulator.settings.data_dir)
                ),
            }
            for checkpoint in checkpoints
        ],
        export_last_only=bool(spec_of(job.body).get("exportLastCheckpointOnly")),
        deploy_to=job.private.get("deploy_to", ""),
    )


def add_experiment(db: Database, job: Resource) -> None:
    """The context that a job's `experiment` names: Google's client fetches it when it refreshes a job."""
    name = job.body["experiment"]
    if db.get(name) is not None:
        return
    body = {
        "name": name,
        "displayName": identifier(name),
        "schemaTitle": "system.Experiment",
        "schemaVersion": "0.0.1",
        "metadata": {"experiment_deleted": False},
        "createTime": job.body["startTime"],
        "updateTime": job.body["startTime"],
    }
    db.put(Resource(name, "contexts", name.rsplit("/contexts/", 1)[0], body), "created", {"job": job.name})
