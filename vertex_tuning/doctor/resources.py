"""The things of a project that have an access policy: how REST names them, and how `gcloud` does."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REGISTRY = re.compile(
    r"(?:https://)?(?P<location>[a-z0-9-]+?)-(?P<kind>docker|kfp)\.pkg\.dev/(?P<project>[^/]+)/(?P<id>[^/]+)"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A project, a bucket, an account, a key, a registry or a service on Cloud Run."""

    kind: str
    """`project`, `bucket`, `account`, `key`, `registry` or `run`."""
    service: str
    """Whose it is: `storage.googleapis.com`."""
    path: str
    """Of its own REST address, with the version."""
    label: str
    """As people call it."""
    group: tuple[str, ...]
    """Words of `gcloud` before a verb: `storage buckets`."""
    named: tuple[str, ...]
    """Words of `gcloud` that name it, the options included."""
    id: str = ""
    """Its own part of the name."""
    project: str = ""
    location: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The options among the words that name it: where it is."""
        return tuple(word for word in self.named if word.startswith("--"))


def project(name: str) -> Resource:
    """The project itself."""
    service = "cloudresourcemanager.googleapis.com"
    return Resource(
        "project", service, f"v3/projects/{name}", f"project {name}", ("projects",), (name,), name, name
    )


def bucket(name: str) -> Resource:
    """A bucket, by its bare name; a folder in it counts as the bucket."""
    name = name.partition("/")[0]
    uri = f"gs://{name}"
    return Resource(
        "bucket", "storage.googleapis.com", f"storage/v1/b/{name}", uri, ("storage", "buckets"), (uri,), name
    )


def account(email: str, project: str) -> Resource:
    """A service account; its project is in its name, for those that people make."""
    home = email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
    home = home if "." not in home and home else project
    path = f"v1/projects/{home}/serviceAccounts/{email}"
    named = (email, f"--project={home}")
    return Resource(
        "account",
        "iam.googleapis.com",
        path,
        email,
        ("iam", "service-accounts"),
        named,
        email.partition("@")[0],
        home,
    )


def key(name: str) -> Resource | None:
    """A key by its full name; None where it is none."""
    match = re.fullmatch(r"projects/([^/]+)/locations/([^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+)", name)
    if not match:
        return None
    home, location, ring, short = match.groups()
    named = (short, f"--keyring={ring}", f"--location={location}", f"--project={home}")
    return Resource(
        "key",
        "cloudkms.googleapis.com",
        f"v1/{name}",
        f"key {short}",
        ("kms", "keys"),
        named,
        short,
        home,
        location,
    )


def registry(address: str) -> Resource | None:
    """A repository of Artifact Registry by the address that it is reached at; None where it is none."""
    match = _REGISTRY.match(address)
    if not match:
        return None
    home, location, short = match["project"], match["location"], match["id"]
    path = f"v1/projects/{home}/locations/{location}/repositories/{short}"
    named = (short, f"--location={location}", f"--project={home}")
    words = ("artifacts", "repositories")
    return Resource(
        "registry",
        "artifactregistry.googleapis.com",
        path,
        f"registry {short}",
        words,
        named,
        short,
        home,
        location,
    )


def run(name: str) -> Resource:
    """A service of Cloud Run by its full name."""
    home, location, short = re.fullmatch(
        r"projects/([^/]+)/locations/([^/]+)/services/([^/]+)", name
    ).groups()  # type: ignore[union-attr]
    named = (short, f"--region={location}", f"--project={home}")
    return Resource(
        "run",
        "run.googleapis.com",
        f"v2/{name}",
        f"service {short}",
        ("run", "services"),
        named,
        short,
        home,
        location,
    )


def registry_format(address: str) -> str:
    """`DOCKER` or `KFP`, as an address of a registry says it; empty where it does not."""
    match = _REGISTRY.match(address)
    return match["kind"].upper() if match else ""


def member(name: str) -> str:
    """Somebody as a policy names them: `serviceAccount:...`, `user:...`; what has its kind already stays."""
    if ":" in name:
        return name
    return f"{'serviceAccount' if name.endswith('gserviceaccount.com') else 'user'}:{name}"
