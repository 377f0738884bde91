"""What Terraform made, as a project: `terraform show -json`, of the state.

Only what a project is looked at for is read. What Terraform does not say is not there, but for what Google adds of itself: its
agents, with the role that each gets on the project. Late ones exist where Terraform gave them something, which Google refuses
for those that do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vertex_tuning.catalog import requirements
from vertex_tuning.emulator.project.given import Given, Held

Values = Mapping[str, Any]


def is_state(data: Mapping[str, Any]) -> bool:
    """Whether a file is Terraform's."""
    return "format_version" in data and "terraform_version" in data


def apply(data: Mapping[str, Any], given: Given) -> None:
    """Add what a state holds to a project in which nothing is."""
    found = list(_resources(data.get("values", {}).get("root_module", {})))
    for kind, values in found:
        if read := _READ.get(kind):
            read(given, values)
    for kind, values in found:
        for held in _held(given, kind, values):
            given.hold(held)
    members = {held.member for held in given.held}
    for agent in requirements.agents().values():
        if given.services.get(agent.needs) and (not agent.late or given.member(agent.name) in members):
            given.add_agent(agent.name)
        else:
            given.agents[agent.name] = False


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, Values]]:
    for resource in module.get("resources", []):
        if resource.get("mode") == "managed":
            yield resource["type"], resource.get("values", {})
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _block(values: Values, name: str) -> Values:
    """A block that is there once at most: a list of one, or none."""
    found = values.get(name) or [{}]
    block: Values = found[0] if isinstance(found, list) else found
    return block


def _service(given: Given, values: Values) -> None:
    given.services[values["service"]] = True


def _account(given: Given, values: Values) -> None:
    email = values.get("email") or f"{values['account_id']}@{given.place.project}.iam.gserviceaccount.com"
    _put(
        given,
        "accounts",
        email,
        title=values.get("display_name") or "",
        disabled=bool(values.get("disabled")),
    )


def _bucket(given: Given, values: Values) -> None:
    _put(
        given,
        "buckets",
        values["name"],
        location=values["location"],
        default_kms_key=_block(values, "encryption").get("default_kms_key_name") or "",
        uniform_access=bool(values.get("uniform_bucket_level_access")),
        public_access_prevention=values.get("public_access_prevention") or "inherited",
        versioning=bool(_block(values, "versioning").get("enabled")),
        labels=dict(values.get("labels") or {}),
    )


def _key(given: Given, values: Values) -> None:
    template = _block(values, "version_template")
    name = f"{values['key_ring']}/cryptoKeys/{values['name']}"
    _put(
        given,
        "keys",
        name,
        purpose=values.get("purpose") or "ENCRYPT_DECRYPT",
        protection=template.get("protection_level") or "SOFTWARE",
        rotation=values.get("rotation_period") or "",
        labels=dict(values.get("labels") or {}),
    )


def _repository(given: Given, values: Values) -> None:
    _put(
        given,
        "repositories",
        _repository_name(given, values, "repository_id"),
        format=values["format"],
        kms_key=values.get("kms_key_name") or "",
        labels=dict(values.get("labels") or {}),
    )


def _repository_name(given: Given, values: Values, field: str) -> str:
    last = str(values[field]).rpartition("/")[2]
    return f"projects/{_project(given, values)}/locations/{values['location']}/repositories/{last}"


def _run(given: Given, values: Values) -> None:
    template = _block(values, "template")
    containers = template.get("containers") or [{}]
    _put(
        given,
        "run",
        _run_name(given, values),
        uri=values.get("uri") or "",
        account=template.get("service_account") or "",
        image=containers[0].get("image") or "",
        timeout=template.get("timeout") or "300s",
        ingress=values.get("ingress") or "INGRESS_TRAFFIC_ALL",
        invoker_check=not values.get("invoker_iam_disabled"),
        kms_key=template.get("encryption_key") or "",
        labels=dict(values.get("labels") or {}),
    )


def _run_name(given: Given, values: Values) -> str:
    last = str(values["name"]).rpartition("/")[2]
    return f"projects/{_project(given, values)}/locations/{values['location']}/services/{last}"


def _endpoint(given: Given, values: Values) -> None:
    last = str(values["name"]).rpartition("/")[2]
    _put(
        given,
        "endpoints",
        f"projects/{_project(given, values)}/locations/{values['location']}/endpoints/{last}",
        title=values.get("display_name") or "",
        kms_key=_block(values, "encryption_spec").get("kms_key_name") or "",
        labels=dict(values.get("labels") or {}),
    )


def _attachment(given: Given, values: Values) -> None:
    region = str(values["region"]).rpartition("/")[2]
    subnetworks = values.get("subnetworks") or [""]
    _put(
        given,
        "attachments",
        f"projects/{_project(given, values)}/regions/{region}/networkAttachments/{values['name']}",
        connection=values.get("connection_preference") or "ACCEPT_MANUAL",
        subnetwork=str(subnetworks[0]).rpartition("/")[2],
    )


def _project(given: Given, values: Values) -> str:
    return str(values.get("project") or given.place.project)


def _put(given: Given, kind: str, text: str, **fields: Any) -> None:
    """A resource under its full name; where Terraform has no name of that form, there is nothing to be looked up."""
    if name := given.resolve(f"gs://{text}" if kind == "buckets" else text)[1]:
        given.put(kind, name, **fields)


_READ: dict[str, Callable[[Given, Values], None]] = {
    "google_project_service": _service,
    "google_service_account": _account,
    "google_storage_bucket": _bucket,
    "google_kms_crypto_key": _key,
    "google_artifact_registry_repository": _repository,
    "google_cloud_run_v2_service": _run,
    "google_vertex_ai_endpoint": _endpoint,
    "google_compute_network_attachment": _attachment,
}
"""By type of resource, what it adds."""

_ON: dict[str, Callable[[Given, Values], str]] = {
    "google_project_iam": lambda *_: requirements.PROJECT,
    "google_service_account_iam": lambda _, values: str(values["service_account_id"]),
    "google_storage_bucket_iam": lambda _, values: f"gs://{str(values['bucket']).removeprefix('b/')}",
    "google_kms_crypto_key_iam": lambda _, values: str(values["crypto_key_id"]),
    "google_artifact_registry_repository_iam": lambda given, values: _repository_name(
        given, values, "repository"
    ),
    "google_cloud_run_v2_service_iam": _run_name,
}
"""By the beginning of a type, what its roles are on."""


def _held(given: Given, kind: str, values: Values) -> Iterator[Held]:
    start, _, form = kind.rpartition("_")
    if start not in _ON or form not in ("member", "binding"):
        return
    on = given.resolve(_ON[start](given, values))[1]
    told = _block(values, "condition")
    condition = tuple(sorted((key, str(value)) for key, value in told.items() if value))
    for member in [values["member"]] if form == "member" else values.get("members", []):
        if on:
            yield Held(values["role"], member, on, condition)
