"""`:deploy` of a location, as Model Garden's classes call it: weights in Cloud Storage become a model on an endpoint."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.routes import endpoints
from vertex_tuning.emulator.routes.operations import TYPES, finished
from vertex_tuning.emulator.status import ApiError, Code, invalid

routes = Routes()

_LOCATION = "projects/{project}/locations/{location}"
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_URI = "custom_model.gcs_uri"


@routes.post(f"{_LOCATION}:deploy", request="DeployRequest", response="Operation")
async def deploy(call: Call) -> dict[str, Any]:
    """Uploads the model, makes an endpoint, deploys the one on the other."""
    for name in ("publisherModelName", "huggingFaceModelId"):
        if name in call.body:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"The emulator deploys weights in Cloud Storage (customModel), and does not serve {name}.",
                rule="VT639",
            )
    config, asked = call.body.get("modelConfig", {}), call.body.get("endpointConfig", {})
    uri = call.body.get("customModel", {}).get("gcsUri", "")
    faults = [("endpoint_config.labels", text) for text in label_faults(asked.get("labels", {}))]
    if not _FOLDER.fullmatch(uri):
        faults.append((_URI, f"{_URI} is required: a Cloud Storage folder with safetensors and JSON."))
    if identifier := asked.get("endpointUserId", ""):
        faults += endpoints.id_faults(identifier, "endpoint_config.endpoint_user_id")
    if faults:
        raise invalid(*faults, rule="VT663")
    name = uri.rstrip("/").rpartition("/")[2] or "model"
    shown = {
        "displayName": config.get("modelDisplayName") or f"custom-{name}",
        "artifactUri": uri,
        **({"containerSpec": config["containerSpec"]} if "containerSpec" in config else {}),
    }
    model_id = config.get("modelUserId") or call.body["customModel"].get("modelId", "")
    version = await call.emulator.jobs.uploads.upload_folder(call.parent, model_id, shown, _URI)
    try:
        endpoint = endpoints.make(
            call,
            {
                "displayName": asked.get("endpointDisplayName") or shown["displayName"],
                **{key: asked[key] for key in ("labels", "dedicatedEndpointEnabled") if key in asked},
            },
            identifier,
        )
        try:
            machines = _machines(call.body.get("deployConfig", {}))
            deployed = {"model": version.name, **machines}
            call.emulator.jobs.deployments.deploy(endpoint, deployed, {"0": 100})
        except ApiError:
            call.emulator.db.delete(endpoint.name)
            raise
    except ApiError:
        call.emulator.jobs.registry.delete_model(version.parent)
        raise
    response = {
        "@type": f"{TYPES}.{call.version}.DeployResponse",
        "endpoint": endpoint.name,
        "model": version.name,
    }
    return finished(call, call.parent, "DeployOperationMetadata", response, {"destination": call.parent})


def _machines(config: dict[str, Any]) -> dict[str, Any]:
    """What of a `DeployedModel` says on which machines it runs: those of the catalog, where nothing is said."""
    usual = catalog.limits("deployment")
    resources = {"minReplicaCount": 1, **config.get("dedicatedResources", {})}
    resources.setdefault(
        "machineSpec",
        {
            "machineType": usual["machine_type"],
            "acceleratorType": usual["accelerator_type"],
            "acceleratorCount": usual["accelerator_count"],
        },
    )
    found: dict[str, Any] = {"dedicatedResources": resources}
    for name in ("serviceAccount", "systemLabels"):
        if name in config:
            found[name] = config[name]
    return found
