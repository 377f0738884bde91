"""Who may do what: policies as IAM keeps them. They are told, and nobody is refused anything by them."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vertex_tuning.catalog import requirements
from vertex_tuning.emulator.project.given import MEMBER, PUBLIC, ROLE
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.project.project import Project

Body = dict[str, Any]
Bindings = list[Body]

KIND = "iamPolicies"

_EMPTY = "ACAB"
"""The etag of a policy that nobody has ever set, as Google spells it."""
_UNSET = "BwAAAAAAAAAA"
_CONDITIONAL = 3
"""The version of policies with conditions."""
_MAX_MEMBERS = 1500


class Policies:
    """The policies of a project, and of what is in it, by the resource's full name."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._db = project.db

    def get(self, name: str) -> Body:
        """The policy of a resource, as it is kept."""
        kept = self._db.get(_key(name))
        return kept.body if kept else self._usual(name)

    def put(self, name: str, bindings: Bindings) -> Body:
        """Keep a policy that nobody has to check."""
        body = {"version": _version(bindings), "etag": self._etag(), "bindings": merged(bindings)}
        self._db.put(Resource(_key(name), KIND, "", body), "policy set")
        return body

    def add(self, name: str, role: str, member: str) -> None:
        """Give one role to one member."""
        with self._db.transaction():
            bindings = self.get(name).get("bindings", [])
            self.put(name, [*bindings, {"role": role, "members": [member]}])

    def set(self, name: str, given: Any) -> Body:
        """Replace a policy, as a caller asks.

        Raises:
            ApiError: 400, it is malformed or names somebody who does not exist; 409, it was changed since it was read.
        """
        bindings = self.checked(given)
        with self._db.transaction():
            etag = given.get("etag")
            if etag not in (None, "", self.get(name).get("etag")):
                raise ApiError(
                    Code.ABORTED,
                    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
                )
            return self.put(name, bindings)

    def checked(self, given: Any) -> Bindings:
        """The bindings of a caller's policy.

        Raises:
            ApiError: 400 as of `set`.
        """
        bindings = given.get("bindings", []) if isinstance(given, Mapping) else None
        if not (isinstance(bindings, list) and all(map(_is_binding, bindings))):
            raise ApiError(
                Code.INVALID_ARGUMENT,
                "The policy must be an object with a list of bindings, each with a role, members and perhaps a condition.",
            )
        found: Bindings = [{"members": [], **one} for one in bindings]
        members = 0
        for binding in found:
            if not ROLE.fullmatch(binding["role"]):
                raise ApiError(
                    Code.INVALID_ARGUMENT,
                    f"Role ({binding['role']}) does not exist in the resource's hierarchy.",
                )
            for member in binding["members"]:
                self._check_member(member)
                members += 1
        if members > _MAX_MEMBERS:
            raise ApiError(Code.INVALID_ARGUMENT, f"A policy holds {_MAX_MEMBERS} members at most.")
        if given.get("version") not in (None, 0, 1, 3):
            raise ApiError(Code.INVALID_ARGUMENT, "The version of a policy is 0, 1 or 3.")
        if any(one.get("condition") for one in found) and given.get("version") != _CONDITIONAL:
            raise ApiError(Code.INVALID_ARGUMENT, "A policy with conditions must be of version 3.")
        return found

    def _check_member(self, member: str) -> None:
        if not MEMBER.fullmatch(member):
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"The member {member} is of an unknown type. Please set a valid type prefix for the member.",
            )
        kind, _, email = member.partition(":")
        if kind == "serviceAccount" and not self._project.account_exists(email):
            raise ApiError(Code.INVALID_ARGUMENT, f"Service account {email} does not exist.")

    def allowed(self, wanted: list[str], *policies: Body) -> list[str]:
        """What whoever calls may do of what they ask about: by their roles, where it is known who calls; else everything."""
        caller, missing = self._project.caller()
        found = [one for one in wanted if one not in missing]
        if not caller:
            return found
        roles = {
            binding["role"]
            for policy in policies
            for binding in policy.get("bindings", [])
            if {caller, *PUBLIC} & set(binding["members"])
        }
        patterns = {pattern for role in roles for pattern in requirements.permissions(role)}
        return [one for one in found if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns)]

    def _usual(self, name: str) -> Body:
        """Of what nobody has set: nothing, but for the roles that Google gives its own agents on a project."""
        _, _, project = name.partition("projects/")
        if "/" in project or not project or self._project.is_closed(project):
            return {"etag": _EMPTY}
        number = self._project.settings.number_of(project)
        bindings = [
            {"role": agent.role, "members": [agent.member(number)]}
            for agent in requirements.agents().values()
            if agent.role and self._project.agent_exists(number, agent.name)
        ]
        return {"version": 1, "etag": _UNSET, "bindings": merged(bindings)}

    def _etag(self) -> str:
        """Another for every change; they look like Google's."""
        return base64.b64encode(b"\x07" + int(self._db.new_id("iam")).to_bytes(8)).decode()


def _is_binding(found: Any) -> bool:
    if not isinstance(found, Mapping):
        return False
    members, condition = found.get("members", []), found.get("condition") or {}
    return (
        isinstance(found.get("role"), str)
        and isinstance(members, list)
        and all(isinstance(one, str) for one in members)
        and isinstance(condition, Mapping)
        and all(isinstance(one, str) for one in condition.values())
    )


def shown(policy: Body, version: int) -> Body:
    """A policy for whoever asks for this version: below 3, a condition shows as a strange role."""
    if version >= _CONDITIONAL or policy.get("version") != _CONDITIONAL:
        return policy
    bindings = [
        {"role": f"{one['role']}_withcond_{_digest(one['condition'])}", "members": one["members"]}
        if one.get("condition")
        else one
        for one in policy["bindings"]
    ]
    return {**policy, "version": 1, "bindings": bindings}


def merged(bindings: Iterable[Body]) -> Bindings:
    """Bindings as they are kept: one for a role and its condition, members once each, all in order."""
    found: dict[tuple[str, str], Body] = {}
    for one in bindings:
        condition = one.get("condition")
        key = (one["role"], json.dumps(condition, sort_keys=True) if condition else "")
        kept = found.setdefault(key, {"role": one["role"], "members": []})
        kept["members"] = sorted({*kept["members"], *one.get("members", [])})
        if condition:
            kept["condition"] = condition
    return [found[key] for key in sorted(found) if found[key]["members"]]


def _version(bindings: Bindings) -> int:
    return _CONDITIONAL if any(one.get("condition") for one in bindings) else 1


def _digest(condition: Body) -> str:
    return hashlib.sha256(json.dumps(condition, sort_keys=True).encode()).hexdigest()[:20]


def _key(name: str) -> str:
    return f"iam/{name}"
