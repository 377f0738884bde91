"""The exact words that mend something, with the project's own names in them."""

from __future__ import annotations

import shlex

from vertex_tuning.catalog.requirements import Agent
from vertex_tuning.doctor.findings import Cure
from vertex_tuning.doctor.resources import Resource

ROTATION = ("--rotation-period=90d", "--next-rotation-time=+p90d")
AGENTS = "vertex-tuning init --make-agents"


def gcloud(*words: str) -> str:
    """A line for a shell."""
    return shlex.join(["gcloud", *words])


def on(resource: Resource, verb: str, *words: str) -> str:
    """What `gcloud` does to a resource: `gcloud kms keys update vt-data --keyring=...`."""
    return gcloud(*resource.group, verb, *resource.named, *words)


def grant(resource: Resource, member: str, role: str) -> str:
    """Give somebody a role on something."""
    return _binding(resource, "add-iam-policy-binding", member, role)


def revoke(resource: Resource, member: str, role: str) -> str:
    """Take a role from somebody."""
    return _binding(resource, "remove-iam-policy-binding", member, role)


def _binding(resource: Resource, verb: str, member: str, role: str) -> str:
    # Where a policy has conditions, gcloud asks, unless it is told.
    bare = ("--condition=None",) if resource.kind in ("project", "account") else ()
    return on(resource, verb, f"--member={member}", f"--role={role}", *bare)


def enable(service: str, project: str) -> Cure:
    """Turn a service on."""
    return Cure((gcloud("services", "enable", service, f"--project={project}"),), apply=True)


def setting(name: str, value: str) -> Cure:
    """Write something else into the settings file."""
    return Cure(words=f'{name} = "{value}" in vertex-tuning.toml')


def make_bucket(bucket: Resource, project: str, location: str, key: str) -> Cure:
    """Make a bucket as terraform/ does."""
    encrypted = (f"--default-encryption-key={key}",) if key else ()
    safe = ("--uniform-bucket-level-access", "--public-access-prevention")
    where = (f"--project={project}", f"--location={location}")
    return Cure((on(bucket, "create", *where, *safe, *encrypted),), apply=True)


def make_key(project: str, location: str) -> Cure:
    """Make a key where the work is."""
    ring = f"vt-{location}"
    where = (f"--location={location}", f"--project={project}")
    name = f"projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/vt-data"
    return Cure(
        (
            gcloud("kms", "keyrings", "create", ring, *where),
            gcloud(
                "kms",
                "keys",
                "create",
                "vt-data",
                f"--keyring={ring}",
                *where,
                "--purpose=encryption",
                *ROTATION,
            ),
        ),
        "cmek = {}",
        f'then kms_key = "{name}" in vertex-tuning.toml, and doctor again',
    )


def make_agent(agent: Agent, project: str) -> str:
    """Have Google make an agent that needs no job for it; harmless where it is there."""
    if agent.needs == "storage.googleapis.com":
        return gcloud("storage", "service-agent", f"--project={project}")
    return gcloud(
        "beta", "services", "identity", "create", f"--service={agent.needs}", f"--project={project}"
    )
