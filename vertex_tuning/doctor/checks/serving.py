"""What runs: the service for rewards, the endpoint, and the network of training machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.doctor import cures, resources
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Finding, Status, fault, ok, unset, warning
from vertex_tuning.doctor.resources import Resource
from vertex_tuning.doctor.seeing import Project

_REWARD = 'reward_service = { image = "..." }'


def reward(project: Project) -> Iterator[Finding]:
    """The service on Cloud Run that scores answers."""
    uri = project.configured.get("reward_uri")
    if not uri:
        yield unset("reward_uri, a service that scores answers")
        return
    if not re.fullmatch(r"https://[a-z0-9.-]+\.run\.app/?.*", uri):
        # Behind a domain of one's own, Cloud Run does not tell which service it is.
        yield Finding(
            Status.UNSEEN, uri, "not seen: Cloud Run lists services by addresses that end in .run.app"
        )
        return
    seen = project.reward()
    if seen.missing:
        listed = gcloud("run", "services", "list", f"--region={project.location}", f"--project={project.id}")
        cure = Cure((listed,), _REWARD, "the right reward_uri in vertex-tuning.toml")
        yield fault("VT160", uri, "no service of Cloud Run answers there", cure)
        return
    if seen.trouble:
        yield project.unseen(uri, seen)
        return
    service = resources.run(str(seen.value["name"]))
    found = [
        *_open(project, service, seen.value),
        *_ready(service, seen.value),
        *_patience(service, seen.value),
    ]
    yield from found
    if not any(finding.rule for finding in found):
        yield ok(service.label, "is ready, and not public")


def _open(project: Project, service: Resource, found: Any) -> Iterator[Finding]:
    if found.get("invokerIamDisabled"):
        cure = Cure((cures.on(service, "update", "--invoker-iam-check"),), apply=True)
        yield fault("VT161", service.label, "whoever knows its address may call it", cure)
    policy = project.policy(service)
    if policy.seen.trouble:
        yield project.unseen(f"policy of {service.label}", policy.seen, policies=True)
    for member, role in policy.public():
        cure = Cure((cures.revoke(service, member, role),))
        yield fault("VT161", service.label, f"{member} has {role}", cure)


def _ready(service: Resource, found: Any) -> Iterator[Finding]:
    condition = found.get("terminalCondition") or {}
    state = str(condition.get("state", ""))
    if state != "CONDITION_SUCCEEDED":
        said = str(condition.get("message", "")) or state or "nothing is said of its state"
        yield fault("VT162", service.label, f"is not ready: {said}", Cure((cures.on(service, "describe"),)))


def _patience(service: Resource, found: Any) -> Iterator[Finding]:
    wanted = int(catalog.limits("reward_cloud_run")["max_seconds"])
    timeout = str((found.get("template") or {}).get("timeout", ""))
    if timeout and float(timeout.rstrip("s")) < wanted:
        what = f"gives up after {timeout}; a tuning job would wait {wanted} s"
        cure = Cure((cures.on(service, "update", f"--timeout={wanted}"),), apply=True)
        yield warning("VT163", service.label, what, cure)


def endpoint(project: Project) -> Iterator[Finding]:
    """The endpoint that models are deployed to."""
    name = project.configured.get("endpoint")
    if not name:
        yield unset("endpoint")
        return
    match = re.fullmatch(r"projects/[^/]+/locations/([^/]+)/endpoints/([^/]+)", name)
    place = match[1] if match else project.location
    listed = gcloud("ai", "endpoints", "list", f"--region={project.location}", f"--project={project.id}")
    cure = Cure((listed,), "endpoint = {}", "the right endpoint in vertex-tuning.toml")
    if place != project.location:
        what = f"lies in {place}, and models are tuned in {project.location}"
        yield fault("VT165", name, what, cure)
        return
    full = name if match else f"projects/{project.id}/locations/{place}/endpoints/{name}"
    seen = project.endpoint(full, place)
    if seen.missing:
        yield fault("VT164", name, "there is no such endpoint", cure)
    elif seen.trouble:
        yield project.unseen(name, seen)
    else:
        yield ok(name, "is there")


def network(project: Project) -> Iterator[Finding]:
    """The network attachment of training machines."""
    name = project.configured.get("network_attachment")
    if not name:
        yield unset("network_attachment")
        return
    match = re.fullmatch(r"projects/([^/]+)/regions/([^/]+)/networkAttachments/([^/]+)", name)
    listed = gcloud("compute", "network-attachments", "list", f"--project={project.id}")
    cure = Cure((listed,), "network = {}", "the right network_attachment in vertex-tuning.toml")
    if not match:
        yield fault("VT166", name, "is no name of a network attachment", cure)
        return
    if match[2] != project.location:
        what = f"lies in {match[2]}, and jobs run in {project.location}"
        yield fault("VT166", name, what, cure)
        return
    seen = project.ask("compute.googleapis.com", f"compute/v1/{name}")
    if seen.missing:
        yield fault("VT166", name, "there is no such network attachment", cure)
    elif seen.trouble:
        yield project.unseen(name, seen)
    else:
        yield ok(name, "is there")
