"""A seed: what differs in a project from what its settings promise.

    [services]
    "run.googleapis.com" = "DISABLED"

    [buckets.demo-tuning-vt-datasets]
    location = "EUROPE-WEST4"

    [[grants.remove]]
    member = "tuning"
    on = "bucket"

Everything that a seed can say is in `given.KINDS` and here; all that is wrong with one is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vertex_tuning.catalog import requirements
from vertex_tuning.emulator.project.given import KINDS, MEMBER, PERIOD, ROLE, SERVICE, SETTINGS, Given, Held
from vertex_tuning.errors import Fault

_STATES = ("ACTIVE", "DELETE_REQUESTED")
_GRANT = ("role", "member", "on")


class Seed:
    """One seed, looked over and then applied.

    Args:
        data: What the file holds.
        where: The file, for messages.
    """

    def __init__(self, data: dict[str, Any], where: str) -> None:
        self._data = data
        self._where = where
        self.faults: list[Fault] = []
        self._given: Given

    def apply(self, given: Given) -> None:
        """Change a project into what the seed says; what is wrong is in `faults`, and is not applied."""
        self._given = given
        tables: dict[str, Callable[[Any], None]] = {
            "project": self._project,
            "services": self._services,
            **{kind: self._resources(kind) for kind in KINDS},
            "agents": self._agents,
            "quotas": self._quotas,
            "grants": self._grants,
            "caller": self._caller,
        }
        for name in self._data.keys() - tables.keys():
            self._fault(name, "a seed has no such table", fix=f"tables are: {', '.join(tables)}")
        # In this order: a grant may be on what the seed itself adds.
        for name, change in tables.items():
            if name in self._data:
                if isinstance(self._data[name], dict):
                    change(self._data[name])
                else:
                    self._fault(name, "it is not a table")

    def _fault(self, path: str, what: str, *, rule: str = "VT414", fix: str = "") -> None:
        self.faults.append(Fault(rule, what, f"{self._where}: {path}", fix=fix))

    def _value(self, path: str, value: Any, wanted: Any) -> bool:
        """Whether a value is of a form: a choice (a tuple), or as an example is."""
        if isinstance(wanted, tuple):
            if value not in wanted:
                self._fault(path, f"it cannot be {value!r}", fix=f"one of: {', '.join(map(str, wanted))}")
            return value in wanted
        form = type(wanted)
        fits = isinstance(value, form) and (form is not int or not isinstance(value, bool))
        if not fits:
            names = {
                str: "text",
                bool: "true or false",
                int: "a whole number",
                dict: "a table",
                list: "a list",
            }
            self._fault(path, f"{value!r} is not {names[form]}")
        return fits

    def _fields(self, path: str, table: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        """The entries of a table that are known and well formed."""
        found = {}
        for name, value in table.items():
            if name not in known:
                self._fault(f"{path}.{name}", "there is no such entry", fix=f"one of: {', '.join(known)}")
            elif self._value(f"{path}.{name}", value, known[name]):
                found[name] = value
        return found

    # The tables

    def _project(self, table: dict[str, Any]) -> None:
        found = self._fields("project", table, {"state": _STATES})
        self._given.state = found.get("state", self._given.state)

    def _services(self, table: dict[str, Any]) -> None:
        for name, state in table.items():
            path = f'services."{name}"'
            if not SERVICE.fullmatch(name):
                self._fault(path, "it is not the name of a service", fix="such as aiplatform.googleapis.com")
            elif self._value(path, state, ("ENABLED", "DISABLED")):
                self._given.services[name] = state == "ENABLED"

    def _resources(self, kind: str) -> Callable[[dict[str, Any]], None]:
        known = KINDS[kind]

        def change(table: dict[str, Any]) -> None:
            for key, entry in table.items():
                path = f'{kind}."{key}"'
                name = (
                    self._given.resolve(key)[1]
                    if SETTINGS.get(key) == kind
                    else known.name(self._given.place, key)
                )
                if not name:
                    self._fault(path, f"it names no {known.title}", fix=f"such as {known.example}")
                elif self._value(path, entry, {}):
                    self._resource(kind, name, path, entry)

        return change

    def _resource(self, kind: str, name: str, path: str, entry: dict[str, Any]) -> None:
        faults = len(self.faults)
        found = self._fields(path, entry, {"exists": True, **KINDS[kind].fields})
        for period in ("rotation", "timeout"):
            if not PERIOD.fullmatch(found.get(period, "")):
                usual = KINDS[kind].default(period)
                self._fault(f"{path}.{period}", f'"{found[period]}" is no period', fix=f"such as {usual}")
        if kind == "buckets" and found.get("location"):
            # Of the server, which a command that only starts one need not load.
            from vertex_tuning.emulator.storage.resources import is_location

            if not is_location(found["location"]):
                self._fault(f"{path}.location", "no bucket can lie there", fix="a region, EU, US or ASIA")
        if len(self.faults) > faults:
            return
        if found.pop("exists", True):
            self._given.put(kind, name, **found)
        else:
            self._given.drop(kind, name)

    def _agents(self, table: dict[str, Any]) -> None:
        known = dict.fromkeys(requirements.agents(), True)
        for name, exists in self._fields("agents", table, known).items():
            if exists:
                self._given.add_agent(name)
            else:
                self._given.drop_agent(name)

    def _quotas(self, table: dict[str, Any]) -> None:
        for metric, value in table.items():
            path = f'quotas."{metric}"'
            if "/" not in metric:
                self._fault(
                    path,
                    "it is not a metric",
                    fix="such as aiplatform.googleapis.com/custom_model_training_cpus",
                )
                continue
            regions = value if isinstance(value, dict) else {"": value}
            for region, number in regions.items():
                if self._value(f"{path}.{region}".rstrip("."), number, 0):
                    self._given.quotas.setdefault(metric, {})[region] = number

    def _caller(self, table: dict[str, Any]) -> None:
        found = self._fields("caller", table, {"member": "", "missing": []})
        member = self._given.member(found.get("member", ""))
        if member and not MEMBER.fullmatch(member):
            self._fault("caller.member", f'"{member}" is no member', fix=_MEMBERS)
        else:
            self._given.caller = member or self._given.caller
        self._given.missing += [str(one) for one in found.get("missing", [])]

    # Grants

    def _grants(self, table: dict[str, Any]) -> None:
        for name, change in (("remove", self._remove), ("add", self._add)):
            rows = table.get(name, [])
            if not isinstance(rows, list):
                self._fault(f"grants.{name}", "it is not a list", fix=f"[[grants.{name}]]")
                continue
            for number, row in enumerate(rows):
                path = f"grants.{name}[{number}]"
                if self._value(path, row, {}):
                    change(path, row)
        for name in table.keys() - {"remove", "add"}:
            self._fault(f"grants.{name}", "there is no such entry", fix="[[grants.remove]] or [[grants.add]]")

    def _remove(self, path: str, row: dict[str, Any]) -> None:
        faults = len(self.faults)
        found = self._fields(path, row, dict.fromkeys(_GRANT, ""))
        if "on" in found:
            found["on"] = self._resource_of(path, found["on"])
        if "member" in found:
            found["member"] = self._given.member(found["member"])
        if len(self.faults) > faults:
            return
        if not found:
            self._fault(path, "it says nothing", fix=f"at least one of: {', '.join(_GRANT)}")
            return
        kept = [
            one for one in self._given.held if any(getattr(one, key) != value for key, value in found.items())
        ]
        if len(kept) == len(self._given.held):
            words = ", ".join(f"{key} {value}" for key, value in found.items())
            self._fault(path, f"there is no such grant: {words}", rule="VT415")
        self._given.held = kept

    def _add(self, path: str, row: dict[str, Any]) -> None:
        faults = len(self.faults)
        found = self._fields(path, row, {**dict.fromkeys(_GRANT, ""), "condition": {}})
        for key in (key for key in _GRANT if key not in row):
            self._fault(f"{path}.{key}", "it is missing")
        role, member = found.get("role", ""), self._given.member(found.get("member", ""))
        if member and not MEMBER.fullmatch(member):
            self._fault(f"{path}.member", f'"{member}" is no member', fix=_MEMBERS)
        if role and not ROLE.fullmatch(role):
            self._fault(f"{path}.role", f'"{role}" is no role', fix="such as roles/storage.objectUser")
        on = self._resource_of(path, found["on"]) if "on" in found else ""
        kind, account = self._given.resolve(member.removeprefix("serviceAccount:"))
        own = account.startswith(f"{self._given.place.name}/")
        if kind == "accounts" and self._given.closed and own and account not in self._given.resources[kind]:
            self._fault(f"{path}.member", f"there is no such account: {member}", rule="VT415")
        for agent, exists in self._given.agents.items():
            if not exists and member == self._given.member(agent):
                what = f"the agent does not exist: {agent}"
                self._fault(f"{path}.member", what, rule="VT415", fix=f"agents.{agent} = true")
        if len(self.faults) == faults:
            told = found.get("condition", {})
            condition = tuple(sorted((str(key), str(value)) for key, value in told.items()))
            self._given.hold(Held(role, member, on, condition))

    def _resource_of(self, path: str, text: str) -> str:
        """The full name of what a grant is on."""
        kind, name = self._given.resolve(text)
        if not name:
            self._fault(
                f"{path}.on", f'"{text}" is nothing that roles are given on', fix=", ".join(_examples())
            )
        elif kind in KINDS and name not in self._given.resources[kind]:
            self._fault(f"{path}.on", f"there is no such {KINDS[kind].title}: {name}", rule="VT415")
        return name


_MEMBERS = "serviceAccount:EMAIL, user:EMAIL, allUsers..., or the name of an agent or of a setting"


def _examples() -> Iterator[str]:
    yield from (requirements.PROJECT, "gs://BUCKET", "the email of an account", "the full name of a key")
    yield from ("a registry", "the address of a Cloud Run service", "the name of a setting")
