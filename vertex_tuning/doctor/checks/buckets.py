"""The buckets of the settings: where they lie, how they are kept, and whether whoever asks may use them."""

from __future__ import annotations

from collections.abc import Iterator

from vertex_tuning.catalog import requirements
from vertex_tuning.doctor import cures
from vertex_tuning.doctor.findings import Cure, Finding, fault, ok, unset, warning
from vertex_tuning.doctor.resources import Resource
from vertex_tuning.doctor.seeing import Project, Seen

_PARTS = {"bucket": "datasets", "pipelines_bucket": "pipelines", "artifacts_bucket": "artifacts"}
"""Which of terraform/'s buckets each setting names."""


def buckets(project: Project) -> Iterator[Finding]:
    """Each bucket."""
    found = project.buckets()
    if not found:
        yield unset("bucket")
    for setting, bucket in found.items():
        yield from _bucket(project, setting, bucket)


def _bucket(project: Project, setting: str, bucket: Resource) -> Iterator[Finding]:
    seen = project.get(bucket)
    where = bucket.label
    key = str(project.configured.get("kms_key", "")) if project.resource("kms_key") else ""
    if seen.missing:
        cure = cures.make_bucket(bucket, project.id, project.location, key)
        yield fault("VT130", where, f"there is no such bucket ({setting} of the settings)", cure)
        return
    if seen.trouble:
        yield project.unseen(where, seen)
        return
    found = [
        *_place(project, setting, bucket, seen),
        *_encryption(bucket, seen, key),
        *_openness(bucket, seen),
        *_members(project, bucket),
        *_caller(project, setting, bucket),
    ]
    yield from found
    if not any(finding.rule for finding in found):
        place = str(seen.value.get("location", "")).lower()
        yield ok(where, f"in {place}{', encrypted with the key' if key else ''}, not public, yours to use")


def _place(project: Project, setting: str, bucket: Resource, seen: Seen) -> Iterator[Finding]:
    place = str(seen.value.get("location", "")).lower()
    chosen = (seen.value.get("customPlacementConfig") or {}).get("dataLocations", ())
    if requirements.holds(place, project.location) or project.location.upper() in chosen:
        return
    line = cures.on(bucket, "relocate", f"--location={project.location}")
    words = (
        "relocating takes Storage Intelligence (or copy it: gcloud storage rsync); tell Terraform afterwards, "
        "as by itself it would replace the bucket"
    )
    terraform = f'buckets = {{ {_PARTS[setting]} = {{ location = "{project.location}" }} }}'
    cure = Cure((line,), terraform, words)
    yield fault("VT131", bucket.label, f"lies in {place}, and jobs run in {project.location}", cure)


def _encryption(bucket: Resource, seen: Seen, key: str) -> Iterator[Finding]:
    used = str((seen.value.get("encryption") or {}).get("defaultKmsKeyName", ""))
    if not key or used.partition("/cryptoKeyVersions/")[0] == key:
        return
    what = f"is encrypted with {used or 'a key of Google'}, and the settings name {key}"
    line = cures.on(bucket, "update", f"--default-encryption-key={key}")
    yield fault("VT132", bucket.label, what, Cure((line,), apply=True))


def _openness(bucket: Resource, seen: Seen) -> Iterator[Finding]:
    found = seen.value.get("iamConfiguration") or {}
    uniform = (found.get("uniformBucketLevelAccess") or {}).get("enabled", False)
    if not uniform:
        cure = Cure((cures.on(bucket, "update", "--uniform-bucket-level-access"),), apply=True)
        yield warning("VT133", bucket.label, "each object may have access rules of its own", cure)
    if found.get("publicAccessPrevention") != "enforced":
        cure = Cure((cures.on(bucket, "update", "--public-access-prevention"),), apply=True)
        yield warning("VT134", bucket.label, "nothing keeps it from being made public", cure)


def _members(project: Project, bucket: Resource) -> Iterator[Finding]:
    policy = project.policy(bucket)
    if policy.seen.trouble:
        yield project.unseen(f"policy of {bucket.label}", policy.seen, policies=True)
    for member, role in policy.public():
        cure = Cure((cures.revoke(bucket, member, role),))
        yield fault("VT135", bucket.label, f"{member} has {role}", cure)


def _caller(project: Project, setting: str, bucket: Resource) -> Iterator[Finding]:
    wanted = requirements.needed(setting)
    seen = project.allowed(bucket, wanted)
    if seen.trouble:
        yield project.unseen(f"what you may do in {bucket.label}", seen)
        return
    lacking = [name for name in wanted if name not in seen.value.get("permissions", ())]
    if lacking:
        yield not_yours(project, setting, bucket, lacking)


def not_yours(project: Project, setting: str, resource: Resource, lacking: list[str]) -> Finding:
    """That whoever asks may not do what running jobs takes."""
    submitter = project.configured.get("submitter")
    who = project.caller() or "user:YOU"
    if submitter:
        words = "to work as the account that submits, which may"
        line = cures.gcloud(
            "auth", "application-default", "login", f"--impersonate-service-account={submitter}"
        )
        return warning("VT136", resource.label, _may_not(lacking), Cure((line,), words=words))
    as_submitter = requirements.grants({**project.configured, "submitter": who})
    roles = [grant.role for grant in as_submitter if (grant.to, grant.on) == ("submitter", setting)]
    lines = tuple(cures.grant(resource, who, role) for role in roles)
    return warning("VT136", resource.label, _may_not(lacking), Cure(lines))


def _may_not(lacking: list[str]) -> str:
    return f"you may not: {', '.join(lacking)}"
