"""`rebaseTunedModel`: the job of a tuned model again, on the newest base of its family.

What is the same is the method and the data. The hyperparameters are the new base's own, as Google's guide to rebasing
says, unless the request's `tuningJob` has others. What else that field has replaces what the first job had.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import ledger, request
from vertex_tuning.emulator.jobs.registry import default_checkpoint
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

Body = dict[str, Any]

_KEPT = ("tunedModelDisplayName", "description", "encryptionSpec", "serviceAccount")
"""Of the first job, beside its spec. Its labels are not: one of them may be a key that tells jobs apart."""
_DATA = (("trainingDatasetUri", "training_dataset_uri"), ("validationDatasetUri", "validation_dataset_uri"))
_JOB = re.compile(r"projects/([^/]+)/(locations/[^/]+/tuningJobs/[^/]+)")
_MODEL = re.compile(r"projects/([^/]+)/(locations/[^/]+/models/[^/@]+)(?:@([^/@]+))?")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")


def decide(emulator: Emulator, parent: str, asked: Body) -> tuple[Body, str]:
    """The body of the new job, and the endpoint that its model is to take over (or none).

    Args:
        emulator: Where the first job is.
        parent: Where the new job runs.
        asked: `RebaseTunedModelRequest`.

    Raises:
        ApiError: 400, with what stands in the way; 404, there is no such model or job.
    """
    job, version = _original(emulator, asked.get("tunedModelRef", {}))
    location = parent.rsplit("/", 1)[1]
    body = _merged(job, asked.get("tuningJob", {}), location)
    _check_data(emulator, job.body, body)
    _place_artifacts(body, asked.get("artifactDestination", {}).get("outputUriPrefix", ""))
    endpoint = ""
    if asked.get("deployToSameEndpoint"):
        endpoint = _same_endpoint(emulator, version, body, location)
    return body, endpoint


def _original(emulator: Emulator, given: Body) -> tuple[Resource, Resource | None]:
    """The job that made a tuned model, and the version that it made (an open model has none)."""
    number = emulator.settings.number_of
    if "tunedModel" in given:
        match = _MODEL.fullmatch(given["tunedModel"])
        if match is None:
            raise _refused("tuned_model", f"'{given['tunedModel']}' is not the name of a tuned model.")
        name = f"projects/{number(match[1])}/{match[2]}"
        version = emulator.jobs.registry.version(name, match[3] or "default")
        if version is None:
            raise not_found(f"The Model {given['tunedModel']}")
        job = emulator.db.get(version.private.get("job") or "")
        if job is None:
            raise _refused("tuned_model", "The model was uploaded or copied: there is no job to do again.")
        return job, version
    if "tuningJob" in given:
        match = _JOB.fullmatch(given["tuningJob"])
        if match is None:
            raise _refused("tuning_job", f"'{given['tuningJob']}' is not the name of a tuning job.")
        job = emulator.db.get(f"projects/{number(match[1])}/{match[2]}")
        if job is None or job.kind != ledger.KIND:
            raise not_found(f"TuningJob {given['tuningJob']}")
        if job.body["state"] != ledger.SUCCEEDED:
            raise _refused("tuning_job", f"The job has made no model: it is in {job.body['state']}.")
        return job, emulator.db.get(job.body.get("tunedModel", {}).get("model", ""))
    if "pipelineJob" in given:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            "The emulator has no models of before Gemini, which pipeline jobs made: give tuned_model or tuning_job.",
            rule="VT639",
        )
    raise invalid(
        ("tuned_model_ref", "tuned_model_ref is required: tuned_model, tuning_job or pipeline_job."),
        rule="VT673",
    )


def _merged(job: Resource, given: Body, location: str) -> Body:
    """The first job on another base, with what the caller gives in the place of what it had."""
    first = job.body
    if "preTunedModel" in first:
        raise _refused(
            "", "The model was tuned on from a tuned model. Rebase that one, then tune on from the result."
        )
    key = next(name for name in request.SPECS if name in first)
    spec = {name: value for name, value in first[key].items() if name != "hyperParameters"}
    body = {name: first[name] for name in _KEPT if name in first}
    body |= {**given, key: {**spec, **given.get(key, {})}}
    if "baseModel" not in given:
        base = catalog.base_model(first["baseModel"])
        newest = catalog.newest(base, request.method_of(first), location)
        if newest is base:
            raise _refused(
                "",
                f"{base.id} is the newest model of its family that can be tuned this way in {location}; another one "
                "can be named as tuning_job.base_model.",
            )
        body["baseModel"] = newest.id
    return body


def _check_data(emulator: Emulator, first: Body, body: Body) -> None:
    """The data must be there still; what the caller gave is checked as that of any job."""
    before, spec = request.spec_of(first), request.spec_of(body)
    gone = [
        (f"tuning_job.{field}", f"The first job's data is not there any more: {spec[name]}.")
        for name, field in _DATA
        if spec.get(name) and spec[name] == before.get(name) and emulator.storage.stat(spec[name]) is None
    ]
    if gone:
        raise invalid(*gone, rule="VT675")


def _place_artifacts(body: Body, folder: str) -> None:
    if not folder:
        return
    if not _FOLDER.fullmatch(folder):
        raise invalid(
            ("artifact_destination.output_uri_prefix", f"'{folder}' should be gs://BUCKET/FOLDER."),
            rule="VT673",
        )
    if "/" in str(body["baseModel"]).removeprefix("publishers/google/models/"):
        body.setdefault("outputUri", folder)  # of an open model; a Gemini model's weights are never shown


def _same_endpoint(emulator: Emulator, version: Resource | None, body: Body, location: str) -> str:
    if version is None:
        raise _refused("", "The model has no endpoint that another one could take over.")
    base = catalog.base_model(body["baseModel"])
    endpoint = emulator.db.get(version.private["checkpoints"][default_checkpoint(version)]["endpoint"])
    if endpoint is None or not any(
        one["version"] == version.name for one in endpoint.private.get("deployed", {}).values()
    ):
        raise _refused("", "The model is not deployed to its endpoint any more.")
    here, there = endpoint.name.split("/")[3], base.serving_location(location)
    if here != there:
        raise _refused(
            "",
            f"The endpoint is in {here}, and models tuned from {base.id} are served in {there}. Leave out "
            "deploy_to_same_endpoint, or name another tuning_job.base_model.",
        )
    return endpoint.name


def _refused(field: str, why: str) -> ApiError:
    return invalid((f"tuned_model_ref.{field}" if field else "tuned_model_ref", why), rule="VT674")
