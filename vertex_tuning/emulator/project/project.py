"""What there is in a project: services that are on, accounts, agents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vertex_tuning.catalog import requirements
from vertex_tuning.emulator.project import resources
from vertex_tuning.emulator.project.policies import Policies
from vertex_tuning.emulator.state import Database, Resource
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.settings import Settings

Body = dict[str, Any]

PROJECTS, SERVICES, AGENTS, ACCOUNTS = "projects", "services", "agents", "serviceAccounts"

_OWN = re.compile(r"[^@]+@([a-z0-9-]+)\.iam\.gserviceaccount\.com")


class Project:
    """The project of an emulator, and any other: those exist too, and all is welcome in them.

    Args:
        settings: Which it is.
        db: Where it is written down.
    """

    def __init__(self, settings: Settings, db: Database) -> None:
        self.settings = settings
        self.db = db
        self.policies = Policies(self)
        self._off: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read again which services are off, after all was written anew."""
        self._off = {row.name for row in self.db.list(SERVICES) if row.body["state"] == "DISABLED"}

    def id_of(self, project: str) -> str:
        """A project's id, of either of its names."""
        return self.settings.project if project == self.settings.project_number else project

    def name_of(self, project: str) -> str:
        """`projects/ID`, as what is in it is called."""
        return f"projects/{self.id_of(project)}"

    def _row(self, project: str) -> Resource | None:
        return self.db.get(f"projects/{self.settings.number_of(project)}")

    def is_closed(self, project: str) -> bool:
        """Whether only that is there which was provisioned."""
        row = self._row(project)
        return row is not None and bool(row.private["closed"])

    def state(self, project: str) -> str:
        """`ACTIVE`, as a rule."""
        row = self._row(project)
        return str(row.private["state"]) if row else "ACTIVE"

    def caller(self) -> tuple[str, list[str]]:
        """Who asks, where that is known, and which permissions they lack."""
        row = self._row(self.settings.project)
        return (row.private["caller"], row.private["missing"]) if row else ("", [])

    # Services

    def is_on(self, project: str, service: str) -> bool:
        """Whether a service is enabled."""
        row = self.db.get(self._service(project, service))
        return row.body["state"] == "ENABLED" if row else not self.is_closed(project)

    def turn(self, project: str, service: str, *, on: bool) -> None:
        """Enable or disable a service; with it, agents come that belong to it from the start."""
        number, state = self.settings.number_of(project), "ENABLED" if on else "DISABLED"
        name = self._service(project, service)
        with self.db.transaction():
            self.db.put(Resource(name, SERVICES, f"projects/{number}", {"state": state}), state)
            for agent in requirements.agents().values():
                if on and agent.needs == service and not agent.late:
                    self.make_agent(number, agent.name)
        (self._off.discard if on else self._off.add)(name)

    def check_on(self, project: str, service: str) -> None:
        """Refuse what a service that is off cannot do.

        Raises:
            ApiError: 403, in the words of all of Google's services.
        """
        if self._off and self._service(project, service) in self._off:
            raise _off(service, self.settings.number_of(project))

    def _service(self, project: str, service: str) -> str:
        return f"projects/{self.settings.number_of(project)}/services/{service}"

    # Agents

    def agent_exists(self, number: str, agent: str) -> bool:
        """Whether one of Google's own accounts is there already."""
        row = self.db.get(f"projects/{number}/agents/{agent}")
        return bool(row.body["exists"]) if row else not self.is_closed(number)

    def make_agent(self, number: str, agent: str) -> None:
        """Let an agent come to exist, as the first job of its kind does; Google gives it its role."""
        if self.agent_exists(number, agent):
            return
        known = requirements.agents()[agent]
        with self.db.transaction():
            name = f"projects/{number}/agents/{agent}"
            self.db.put(Resource(name, AGENTS, f"projects/{number}", {"exists": True}), "created")
            if known.role:
                self.policies.add(self.name_of(number), known.role, known.member(number))

    # Accounts

    def account(self, project: str, key: str) -> Body | None:
        """A service account, by its email or its unique id.

        Args:
            project: Id or number; `-`: whichever it is of.
            key: Email or unique id.
        """
        if key.isdigit():
            rows = self.db.list(ACCOUNTS)
            return next((row.body for row in rows if row.body.get("uniqueId") == key), None)
        if _agent_of(key):
            return None  # it is of a project of Google's, which nobody may look into
        own = _OWN.fullmatch(key)
        home = self.id_of(own[1] if own else project)
        if project == "-":
            project = home
        if self.id_of(project) != home or project == "-":
            return None
        row = self.db.get(f"projects/{home}/serviceAccounts/{key}")
        if row is not None:
            return row.body or None
        return None if self.is_closed(home) else resources.account(home, key, {})

    def accounts(self, project: str) -> list[Body]:
        """The accounts that were made in a project, the oldest first."""
        rows = self.db.list(ACCOUNTS, self.name_of(project), newest_first=False)
        return [row.body for row in rows if row.body]

    def account_exists(self, email: str) -> bool:
        """Whether roles can be given to an account. Of other projects, and of agents that are not known here, it is believed."""
        if agent := _agent_of(email):
            return self.agent_exists(*agent)
        return not _OWN.fullmatch(email) or self.account("-", email) is not None


def _agent_of(email: str) -> tuple[str, str] | None:
    """The number of its project and the name of an agent that has this email; None where none has."""
    for agent in requirements.agents().values():
        start, _, end = agent.email.partition("{number}")
        if email.startswith(start) and email.endswith(end):
            return email[len(start) : -len(end)], agent.name
    return None


def _off(service: str, number: str) -> ApiError:
    known = requirements.every_service().get(service)
    title = known.title if known else service
    page = f"https://console.developers.google.com/apis/api/{service}/overview?project={number}"
    return ApiError(
        Code.PERMISSION_DENIED,
        f"{title} has not been used in project {number} before or it is disabled. Enable it by visiting {page} then retry. "
        "If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {
                    "service": service,
                    "consumer": f"projects/{number}",
                    "containerInfo": number,
                    "serviceTitle": title,
                    "activationUrl": page,
                },
            },
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [{"description": "Google developers console API activation", "url": page}],
            },
        ],
    )
