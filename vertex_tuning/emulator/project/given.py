"""What a project is told to be: plain data, whether settings, a seed or Terraform said it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vertex_tuning.catalog import requirements
from vertex_tuning.errors import EmulatorError, Fault

if TYPE_CHECKING:
    from vertex_tuning.config import Config

PUBLIC = ("allUsers", "allAuthenticatedUsers")
"""Members that are everybody."""
_TYPES = (
    "user|group|domain|serviceAccount|deleted|principal|principalSet|projectOwner|projectEditor|projectViewer"
)
MEMBER = re.compile(rf"(?:{_TYPES}):\S+|{'|'.join(PUBLIC)}")
ROLE = re.compile(r"roles/[\w.]+|(?:projects|organizations)/[^/]+/roles/[\w.]+")
PERIOD = re.compile(r"([1-9][0-9]{0,9}s)?")
SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.googleapis\.com")

_ACCOUNT = re.compile(r"[a-z0-9.-]+@(?:(?P<project>[a-z0-9-]+)\.iam|[a-z0-9.-]+)\.gserviceaccount\.com")
_REGISTRY = re.compile(
    r"(?:https://)?(?P<location>[a-z0-9-]+)-(?P<format>docker|kfp)\.pkg\.dev/(?P<project>[^/]+)/(?P<id>[^/]+)/?"
)
_RUN = re.compile(
    r"https://(?:(?P<id>[a-z0-9-]+)-(?:[0-9]+\.(?P<location>[a-z0-9-]+)|[a-z0-9]+-[a-z]+\.a)|(?P<host>[a-z0-9-]+))\.run\.app(?:/.*)?"
)
_BUCKET = re.compile(r"(?:gs://|buckets/)?(?P<name>[a-z0-9][a-z0-9._-]+[a-z0-9])/?")


@dataclass(frozen=True, slots=True)
class Place:
    """Which project it is, and where it works."""

    project: str
    number: str
    location: str

    @property
    def name(self) -> str:
        """Of the project itself, as its policy is kept."""
        return f"projects/{self.project}"

    def by_id(self, name: str) -> str:
        """A resource's name with this project's id where it has its number."""
        return re.sub(rf"^projects/{self.number}(?=/|$)", self.name, name)

    def by_number(self, name: str) -> str:
        """A resource's name with this project's number where it has its id."""
        return re.sub(rf"^projects/{re.escape(self.project)}(?=/|$)", f"projects/{self.number}", name)

    def _bucket(self, text: str) -> str:
        found = _BUCKET.fullmatch(text)
        return f"buckets/{found['name']}" if found else ""

    def _account(self, text: str) -> str:
        email = text.rpartition("/")[2]
        found = _ACCOUNT.fullmatch(email)
        return f"projects/{found['project'] or self.project}/serviceAccounts/{email}" if found else ""

    def _repository(self, text: str) -> str:
        if found := _REGISTRY.fullmatch(text):
            return self.by_id(
                "projects/{project}/locations/{location}/repositories/{id}".format(**found.groupdict())
            )
        return self._named(text, "repositories")

    def _run(self, text: str) -> str:
        if found := _RUN.fullmatch(text):
            location = found["location"] or self.location
            return f"{self.name}/locations/{location}/services/{found['id'] or found['host']}"
        return self._named(text, "services")

    def _key(self, text: str) -> str:
        return self._named(text, "keyRings/[^/]+/cryptoKeys")

    def _endpoint(self, text: str) -> str:
        return self._named(text, "endpoints")

    def _attachment(self, text: str) -> str:
        return self._named(text, "networkAttachments", "regions")

    def _named(self, text: str, collection: str, places: str = "locations") -> str:
        name = text.partition("/compute/v1/")[2] or text
        return (
            self.by_id(name)
            if re.fullmatch(f"projects/[^/]+/{places}/[^/]+/{collection}/[^/]+", name)
            else ""
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource, in the words of seeds."""

    title: str
    name: Callable[[Place, str], str]
    """Its full name, of any that people have for it; empty where it cannot be one."""
    example: str
    fields: Mapping[str, Any]
    """What can be said of it, and what is so where nobody says it. Of a choice: a tuple, the first holds."""

    def default(self, name: str) -> Any:
        """What a field holds where nobody says."""
        value = self.fields[name]
        return value[0] if isinstance(value, tuple) else value


KINDS: dict[str, Kind] = {
    "buckets": Kind(
        "bucket",
        Place._bucket,
        "demo-tuning-vt-datasets",
        {
            "location": "",
            "default_kms_key": "",
            "uniform_access": True,
            "public_access_prevention": ("enforced", "inherited"),
            "versioning": True,
            "labels": {},
        },
    ),
    "accounts": Kind(
        "service account",
        Place._account,
        "vt-runner@demo-tuning.iam.gserviceaccount.com",
        {"title": "", "disabled": False},
    ),
    "keys": Kind(
        "key",
        Place._key,
        "projects/demo-tuning/locations/us-central1/keyRings/vt/cryptoKeys/data",
        {
            "state": ("ENABLED", "DISABLED", "DESTROY_SCHEDULED", "DESTROYED", "PENDING_GENERATION"),
            "purpose": ("ENCRYPT_DECRYPT", "ASYMMETRIC_SIGN", "ASYMMETRIC_DECRYPT", "MAC"),
            "protection": ("SOFTWARE", "HSM", "EXTERNAL"),
            "rotation": "7776000s",
            "labels": {},
        },
    ),
    "repositories": Kind(
        "repository",
        Place._repository,
        "us-central1-docker.pkg.dev/demo-tuning/vt-images",
        {"format": ("DOCKER", "KFP", "PYTHON", "GENERIC"), "kms_key": "", "labels": {}},
    ),
    "run": Kind(
        "Cloud Run service",
        Place._run,
        "https://vt-reward-123456789012.us-central1.run.app",
        {
            "uri": "",
            "account": "",
            "image": "us-docker.pkg.dev/cloudrun/container/hello",
            "timeout": "300s",
            "ready": True,
            "ingress": (
                "INGRESS_TRAFFIC_ALL",
                "INGRESS_TRAFFIC_INTERNAL_ONLY",
                "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            ),
            "invoker_check": True,
            "kms_key": "",
            "labels": {},
        },
    ),
    "endpoints": Kind(
        "endpoint",
        Place._endpoint,
        "projects/demo-tuning/locations/us-central1/endpoints/7",
        {"title": "vertex-tuning", "kms_key": "", "labels": {}},
    ),
    "attachments": Kind(
        "network attachment",
        Place._attachment,
        "projects/demo-tuning/regions/us-central1/networkAttachments/vt-psc",
        {
            "connection": ("ACCEPT_MANUAL", "ACCEPT_AUTOMATIC"),
            "subnetwork": "vt-training",
            "network": "vt-training",
        },
    ),
}

SETTINGS = {
    "bucket": "buckets",
    "pipelines_bucket": "buckets",
    "artifacts_bucket": "buckets",
    "service_account": "accounts",
    "submitter": "accounts",
    "scheduler": "accounts",
    "reward_account": "accounts",
    "kms_key": "keys",
    "images": "repositories",
    "templates": "repositories",
    "reward_uri": "run",
    "endpoint": "endpoints",
    "network_attachment": "attachments",
}
"""Settings that name a resource, and its kind."""


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody holds a role on something."""

    role: str
    member: str
    on: str
    """Full name of the resource."""
    condition: tuple[tuple[str, str], ...] = ()
    """`expression`, `title`..., where there is one."""


@dataclass(slots=True)
class Given:
    """A project as it shall be."""

    place: Place
    settings: dict[str, str] = field(default_factory=dict)
    """The settings that name something, by name."""
    closed: bool = False
    """Nothing is there but what is said; else everything that can be taken for granted is."""
    state: str = "ACTIVE"
    services: dict[str, bool] = field(default_factory=dict)
    agents: dict[str, bool] = field(default_factory=dict)
    resources: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    """By kind, then by full name: fields."""
    absent: list[str] = field(default_factory=list)
    """Full names of what is said not to be there."""
    quotas: dict[str, dict[str, int]] = field(default_factory=dict)
    """By metric, then by location; of all others: ""."""
    held: list[Held] = field(default_factory=list)
    caller: str = ""
    """The member who asks; empty: somebody who may do everything."""
    missing: list[str] = field(default_factory=list)
    """Permissions that whoever asks does not have."""

    @property
    def fingerprint(self) -> str:
        """Another for every other project."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def resolve(self, text: str) -> tuple[str, str]:
        """Kind and full name of what a setting's name, or any name of a resource, stands for; empty where it is none.

        Args:
            text: `project`, `bucket`, `kms_key`..., or `gs://...`, an email, a registry, an address, a full name.
        """
        if text in (requirements.PROJECT, self.place.name):
            return requirements.PROJECT, self.place.name
        if text in SETTINGS:
            kind, text = SETTINGS[text], self.settings.get(text, "")
            return kind, KINDS[kind].name(self.place, text) if text else ""
        for kind, found in KINDS.items():
            if (kind != "buckets" or text.startswith(("gs://", "buckets/"))) and (
                name := found.name(self.place, text)
            ):
                return kind, name
        return "", ""

    def member(self, text: str) -> str:
        """Who a setting's name or an agent's stands for; anything else stands for itself."""
        if agent := requirements.agents().get(text):
            return agent.member(self.place.number)
        if SETTINGS.get(text) != "accounts":
            return text
        name = self.settings.get(text)
        if not name:
            return text
        kind = "serviceAccount" if _ACCOUNT.fullmatch(name) else "user"
        return name if ":" in name else f"{kind}:{name}"

    def drop(self, kind: str, name: str) -> None:
        """Take a resource away, and all roles on it and of it."""
        self.resources[kind].pop(name, None)
        self.absent.append(name)
        member = f"serviceAccount:{name.rpartition('/')[2]}" if kind == "accounts" else ""
        self.held = [one for one in self.held if one.on != name and one.member != member]

    def drop_agent(self, agent: str) -> None:
        """Let an agent not exist yet: nobody can have given it a role."""
        self.agents[agent] = False
        member = self.member(agent)
        self.held = [one for one in self.held if one.member != member]

    def add_agent(self, agent: str) -> None:
        """Let an agent exist, with the role that Google gives it on the project."""
        self.agents[agent] = True
        if role := requirements.agents()[agent].role:
            self.hold(Held(role, self.member(agent), self.place.name))

    def hold(self, held: Held) -> None:
        """Give a role, once."""
        if held not in self.held:
            self.held.append(held)

    def put(self, kind: str, name: str, **fields: Any) -> None:
        """Let a resource exist; fields that are not said are as usual."""
        known = KINDS[kind]
        self.absent = [one for one in self.absent if one != name]
        usual = {field: known.default(field) for field in known.fields}
        before = self.resources[kind].get(name, usual)
        self.resources[kind][name] = {**before, **fields}


def error_of(faults: Sequence[Fault], what: str, where: str) -> EmulatorError:
    """Faults as one error: the only one by itself, several under a head of these words."""
    first = faults[0]
    if len(faults) == 1:
        return EmulatorError(first.rule, first.what, where=first.where, why=first.why, fix=first.fix)
    return EmulatorError(first.rule, what, where=where, faults=faults)


def open_project(place: Place) -> Given:
    """A project in which everything is welcome, and that has been used before."""
    found = Given(place)
    for agent in requirements.agents():
        found.add_agent(agent)
    return found


def of_config(config: Config, place: Place, *, provisioned: bool = True) -> Given:
    """The project that settings describe, ready to tune in and used before.

    Args:
        config: The settings.
        place: The project.
        provisioned: Whether what the settings name is there; else nothing is, and something else will say what is.

    Raises:
        EmulatorError: VT417, settings that name nothing that there could be.
    """
    found = Given(place, settings=_named(config.given()), closed=True)
    if faults := _nameless(found):
        raise error_of(faults, f"{len(faults)} settings name nothing", ", ".join(one.where for one in faults))
    configured = config.filled()
    found.settings = _named(configured)
    found.services = dict.fromkeys(requirements.every_service(), False)
    if not provisioned:
        return found
    found.services |= {service.name: True for service in requirements.services(configured)}
    _put_all(found, config)
    for agent in requirements.agents():
        found.add_agent(agent)
    for grant in requirements.grants(configured):
        found.hold(Held(grant.role, found.member(grant.to), found.resolve(grant.on)[1]))
    return found


def _named(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(settings[name]) for name in SETTINGS if name in settings}


def _nameless(found: Given) -> list[Fault]:
    return [
        Fault(
            "VT417",
            f'"{value}" names no {KINDS[SETTINGS[setting]].title}',
            setting,
            fix=f"such as {KINDS[SETTINGS[setting]].example}",
        )
        for setting, value in found.settings.items()
        if not (found.resolve(setting)[1] or _is_person(setting, value))
    ]


def _is_person(setting: str, value: str) -> bool:
    """Whether it is somebody who can be given a role and is no account of the project: people, or a group of them."""
    return SETTINGS[setting] == "accounts" and "@" in value and not value.endswith("gserviceaccount.com")


def _put_all(found: Given, config: Config) -> None:
    key, labels = config.kms_key or "", dict(config.labels)
    more: dict[str, dict[str, Any]] = {
        "buckets": {"location": found.place.location, "default_kms_key": key, "labels": labels},
        "keys": {"labels": labels},
        "repositories": {"kms_key": key, "labels": labels},
        "run": {
            "uri": "/".join((config.reward_uri or "").split("/")[:3]),
            "account": config.reward_account or "",
            "kms_key": key,
            "labels": labels,
        },
        "endpoints": {"kms_key": key, "labels": labels},
    }
    for setting in found.settings:
        kind, name = found.resolve(setting)
        if not name:
            continue
        fields = {**more.get(kind, {})}
        if kind == "accounts":
            fields["title"] = setting.replace("_", " ").capitalize()
        if setting == "templates":
            fields["format"] = "KFP"
        found.put(kind, name, **fields)
