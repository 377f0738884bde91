"""What is looked at, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vertex_tuning.doctor.checks import access, buckets, identities, keeping, quotas, serving
from vertex_tuning.doctor.findings import Finding
from vertex_tuning.doctor.seeing import Project


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a project."""

    name: str
    """As it heads what it found."""
    looks: str
    """What is looked at, for people."""
    run: Callable[[Project], Iterator[Finding]]
    rules: tuple[str, ...]
    """Rules that it finds broken; what may not be looked at, and what does not answer, is a rule of all."""


CHECKS = (
    Check(
        "Credentials",
        "Who asks; whether calls of a person are counted to the project.",
        access.credentials,
        ("VT120", "VT121"),
    ),
    Check(
        "Project",
        "It is there, active, and has the number of the settings.",
        access.itself,
        ("VT123", "VT124"),
    ),
    Check("Location", "Models of the catalog are tuned there.", access.location, ("VT125",)),
    Check("APIs", "Those that the settings need are on.", access.services, ("VT122",)),
    Check(
        "Buckets",
        "Each is there, in the location or in a wider place that holds it, encrypted with the key where one is set, with uniform "
        "access, closed to the public, and yours to read and write.",
        buckets.buckets,
        ("VT130", "VT131", "VT132", "VT133", "VT134", "VT135", "VT136"),
    ),
    Check(
        "Accounts", "Those of the settings are there, and enabled.", identities.accounts, ("VT140", "VT141")
    ),
    Check(
        "You",
        "Whether whoever asks may run jobs, and start them as the runner.",
        identities.caller,
        ("VT136",),
    ),
    Check(
        "Roles",
        "What submits, runs and starts by the clock has its roles, on the thing itself or on the project.",
        identities.roles,
        ("VT142", "VT143", "VT147", "VT148"),
    ),
    Check(
        "Agents",
        "Google's own accounts in the project are there, and have access to what they work with.",
        identities.agents,
        ("VT144", "VT145", "VT146", "VT147", "VT148", "VT155"),
    ),
    Check(
        "Key",
        "It is there, in the location, for encryption, its primary version enabled, and renewed.",
        keeping.key,
        ("VT150", "VT151", "VT152", "VT153", "VT154"),
    ),
    Check(
        "Registries",
        "Those for images and compiled pipelines are there, of the right format, near the jobs.",
        keeping.registries,
        ("VT156", "VT157", "VT158"),
    ),
    Check(
        "Reward",
        "A service of Cloud Run has the address; it is ready, not public, and gives an answer as long as a job waits.",
        serving.reward,
        ("VT160", "VT161", "VT162", "VT163"),
    ),
    Check("Endpoint", "It is there, in the location.", serving.endpoint, ("VT164", "VT165")),
    Check("Network", "The network attachment is there, in the location.", serving.network, ("VT166",)),
    Check("Quotas", "Tuning jobs and machines are allowed in the location.", quotas.quotas, ("VT170",)),
    Check(
        "Policy",
        "No account of the settings has a basic role, and nobody at large has any, on the project.",
        identities.policy,
        ("VT171", "VT172"),
    ),
)
"""All of them."""
