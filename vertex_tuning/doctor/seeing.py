"""A project as the checks see it: everything is asked once, whoever asks first, and nothing is changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.requirements import satisfies
from vertex_tuning.connection import Connection, vertex_host
from vertex_tuning.doctor import resources
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Finding, Status
from vertex_tuning.doctor.resources import Resource
from vertex_tuning.errors import ServiceError
from vertex_tuning.retries import again

PATIENCE = 10.0
"""Seconds that one call may take."""
_ATTEMPTS = 2
_LONGEST = 300
_NAMES = 20
"""Services asked about at a time; Service Usage takes no more."""
_PUBLIC = ("allUsers", "allAuthenticatedUsers")
_USAGE = "serviceusage.googleapis.com"
_BUCKETS = ("bucket", "pipelines_bucket", "artifacts_bucket")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was answered, or why nothing was."""

    value: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""
    """`missing`, `hidden` (whoever asks may not look), `off` (its service is), `unknown` (nobody knows who asks) or `silent`."""
    words: str = ""
    """The service's own."""
    service: str = ""

    @property
    def missing(self) -> bool:
        """Whether the answer was that there is none."""
        return self.trouble == "missing"


@dataclass(frozen=True, slots=True)
class Held:
    """A role in a policy, with whoever has it."""

    role: str
    members: tuple[str, ...]
    condition: str = ""
    """Its title, where there is one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who has which role on something."""

    seen: Seen
    bindings: tuple[Held, ...] = ()

    def of(self, member: str) -> Iterator[Held]:
        """The roles of one member, by its own name."""
        return (held for held in self.bindings if member in held.members)

    def gives(self, member: str, role: str) -> Held | None:
        """The binding by which a member has a role, or one that contains it: one without a condition first."""
        found = sorted(self.of(member), key=lambda held: bool(held.condition))
        return next((held for held in found if satisfies(held.role, role)), None)

    def public(self) -> Iterator[tuple[str, str]]:
        """Member and role, where everybody has it."""
        return ((member, held.role) for held in self.bindings for member in held.members if member in _PUBLIC)


class Project:
    """What the settings name, and what there is of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.id = connection.project
        self.location = connection.location
        self._asked: dict[str, Future[Seen]] = {}
        self._lock = threading.Lock()
        self.off: set[str] = set()
        """Services that a call was refused for."""

    # What the settings say

    @cached_property
    def configured(self) -> dict[str, Any]:
        """Every setting that is set, by name; a bucket that is left out is the one for data sets."""
        return {**self.connection.config.filled(), "project": self.id, "location": self.location}

    @cached_property
    def itself(self) -> Resource:
        """The project, as a resource."""
        return resources.project(self.id)

    @property
    def number(self) -> str:
        """The project's own number; what the settings say, where nobody answers."""
        name = str(self.get(self.itself).value.get("name", ""))
        return name.partition("/")[2] or str(self.configured.get("project_number", ""))

    def buckets(self) -> dict[str, Resource]:
        """The buckets of the settings, each once, by the first setting that names it."""
        found: dict[str, Resource] = {}
        for setting in _BUCKETS:
            if name := self.configured.get(setting):
                bucket = resources.bucket(name)
                if bucket not in found.values():
                    found[setting] = bucket
        return found

    def resource(self, setting: str) -> Resource | None:
        """What a grant is on: the project, or what a setting names; None where that is not to be had."""
        if setting == requirements.PROJECT:
            return self.itself
        name = self.configured.get(setting, "")
        if not name:
            return None
        if setting.endswith("bucket"):
            return resources.bucket(name)
        if setting == "service_account":
            return resources.account(name, self.id)
        if setting == "kms_key":
            return resources.key(name)
        if setting == "reward_uri":
            found = self.reward().value.get("name")
            return resources.run(found) if found else None
        return resources.registry(name)

    # What there is

    def ask(self, service: str, path: str, *, host: str = "", method: str = "GET", **rest: Any) -> Seen:
        """One call, made once; a service that is known to be off is not asked.

        Args:
            service: Whose API it is.
            path: With the version.
            host: Where it answers, if not under its own name.
            method: HTTP verb of what changes nothing all the same.
            **rest: `query` and `body`.
        """
        address = f"{method} {service} {path} {json.dumps(rest, sort_keys=True)}"
        with self._lock:
            mine = address not in self._asked
            future = self._asked.setdefault(address, Future())
        if mine:
            try:
                future.set_result(self._ask(service, path, host or service, method=method, **rest))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _ask(self, service: str, path: str, host: str, **rest: Any) -> Seen:
        if service not in (_USAGE, self.itself.service) and self.state(service) == "DISABLED":
            return Seen(trouble="off", service=service)
        try:
            call = lambda: self.connection.ask(host, path, timeout=PATIENCE, **rest)  # noqa: E731
            return Seen(again(call, attempts=_ATTEMPTS), service=service)
        except ServiceError as error:
            trouble = _trouble(error)
            if trouble == "off":
                self.off.add(service)
            words = " ".join(error.fault.what.split())
            return Seen(trouble=trouble, words=words[:_LONGEST], service=service)

    def get(self, resource: Resource) -> Seen:
        """A resource as its service describes it."""
        return self.ask(resource.service, resource.path)

    def policy(self, resource: Resource) -> Policy:
        """Who has which role on a resource itself."""
        service, path = resource.service, f"{resource.path}:getIamPolicy"
        if resource.kind == "project":
            seen = self.ask(service, path, method="POST", body={"options": {"requestedPolicyVersion": 3}})
        elif resource.kind == "bucket":
            seen = self.ask(service, f"{resource.path}/iam", query={"optionsRequestedPolicyVersion": 3})
        else:
            method = "POST" if resource.kind == "account" else "GET"
            seen = self.ask(service, path, method=method, query={"options.requestedPolicyVersion": 3})
        return Policy(seen, tuple(_held(row) for row in seen.value.get("bindings", ())))

    def allowed(self, resource: Resource, permissions: list[str]) -> Seen:
        """Which of these permissions whoever asks has, as `permissions`."""
        if resource.kind == "bucket":
            return self.ask(
                resource.service, f"{resource.path}/iam/testPermissions", query={"permissions": permissions}
            )
        path = f"{resource.path}:testIamPermissions"
        return self.ask(resource.service, path, method="POST", body={"permissions": permissions})

    def services(self) -> Seen:
        """The services that are needed, by name: `ENABLED` or `DISABLED`."""
        names = [service.name for service in requirements.services(self.configured)]
        states: dict[str, str] = {}
        for start in range(0, len(names), _NAMES):
            some = [f"projects/{self.id}/services/{name}" for name in names[start : start + _NAMES]]
            seen = self.ask(_USAGE, f"v1/projects/{self.id}/services:batchGet", query={"names": some})
            if seen.trouble:
                return seen
            for row in seen.value.get("services", ()):
                states[str(row["name"]).rpartition("/")[2]] = str(row.get("state", ""))
        return Seen(states, service=_USAGE)

    def state(self, service: str) -> str:
        """`ENABLED`, `DISABLED`, or empty where that is not known."""
        return str(self.services().value.get(service, ""))

    def reward(self) -> Seen:
        """The service on Cloud Run that answers at the setting's address; `missing` where none does."""
        uri = str(self.configured["reward_uri"])
        host = uri.removeprefix("https://").partition("/")[0]
        # NAME-NUMBER.REGION.run.app says where it is; NAME-HASH-REGION.a.run.app, in letters that mean little, does not.
        parts = host.split(".")
        location = parts[1] if len(parts) == 4 and len(parts[1]) > 2 else self.location
        path, token = f"v2/projects/{self.id}/locations/{location}/services", ""
        while True:
            seen = self.ask("run.googleapis.com", path, query={"pageToken": token} if token else {})
            if seen.trouble:
                return seen
            for row in seen.value.get("services", ()):
                known = {str(one).rstrip("/") for one in (row.get("uri", ""), *row.get("urls", ()))}
                if f"https://{host}" in known:
                    return Seen(row, service=seen.service)
            token = str(seen.value.get("nextPageToken", ""))
            if not token:
                return Seen(trouble="missing", service=seen.service)

    def endpoint(self, name: str, location: str) -> Seen:
        """An endpoint of Vertex AI, where it should be."""
        return self.ask("aiplatform.googleapis.com", f"v1/{name}", host=vertex_host(location))

    def caller(self) -> str:
        """Who asks, as a policy names them; empty where that is not known."""
        credentials = self.connection.credentials
        email = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
        if not email or email == "default":
            seen = self.ask("openidconnect.googleapis.com", "v1/userinfo")
            email = str(seen.value.get("email", ""))
        return resources.member(email) if email else ""

    # What cannot be seen

    def unseen(self, where: str, seen: Seen, *, policies: bool = False) -> Finding:
        """That something could not be looked at, and what would let one look."""
        if seen.trouble == "off":
            return Finding(Status.UNSEEN, where, f"not seen: {seen.service} is off")
        if seen.trouble != "hidden":
            return Finding(Status.UNSEEN, where, f"not seen: {seen.words}", "VT126")
        role = requirements.looking("policies" if policies else seen.service)
        who = self.caller() or "user:YOU"
        line = gcloud(
            "projects",
            "add-iam-policy-binding",
            self.id,
            f"--member={who}",
            f"--role={role}",
            "--condition=None",
        )
        return Finding(
            Status.UNSEEN, where, f"not seen: you may not look ({role} may)", "VT127", cure=Cure((line,))
        )


def _held(row: Mapping[str, Any]) -> Held:
    condition = row.get("condition") or {}
    title = str(condition.get("title") or condition.get("expression") or "") if condition else ""
    return Held(str(row.get("role", "")), tuple(row.get("members", ())), title)


def _trouble(error: ServiceError) -> str:
    if error.code == 404:
        return "missing"
    if error.code == 401:
        return "unknown"
    if error.code == 403:
        words = error.fault.what
        is_off = "SERVICE_DISABLED" in _reasons(error) or "has not been used in project" in words
        return "off" if is_off else "hidden"
    return "silent"


def _reasons(error: ServiceError) -> set[str]:
    """Why Google refused, as its `ErrorInfo` says it."""
    details = getattr(error.__cause__, "details", None) or ()
    return {str(item.get("reason", "")) for item in details if isinstance(item, Mapping)}
