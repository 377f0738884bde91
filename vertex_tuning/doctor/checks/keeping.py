"""The key that data and models are encrypted with, and the registries of images and compiled pipelines."""

from __future__ import annotations

from collections.abc import Iterator

from vertex_tuning.catalog import requirements
from vertex_tuning.doctor import cures, resources
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Finding, fault, ok, unset, warning
from vertex_tuning.doctor.resources import Resource
from vertex_tuning.doctor.seeing import Project, Seen

_PURPOSE = "ENCRYPT_DECRYPT"
_USUAL = {"images": "vt-images", "templates": "vt-pipelines"}
"""Registries by the names that terraform/ gives them."""


def key(project: Project) -> Iterator[Finding]:
    """The key: there, in the location, at work, and renewed."""
    name = project.configured.get("kms_key")
    if not name:
        yield unset("kms_key; Google's own keys encrypt")
        return
    found = resources.key(name)
    if found is None:
        what = "is no name of a key: projects/.../locations/.../keyRings/.../cryptoKeys/..."
        yield fault("VT150", name, what, cures.make_key(project.id, project.location))
        return
    if found.location != project.location:
        what = f"lies in {found.location}, and jobs run in {project.location}"
        yield fault("VT152", name, what, cures.make_key(project.id, project.location))
        return
    seen = project.get(found)
    if seen.missing:
        yield fault("VT150", name, "there is no such key", _make(project, found))
    elif seen.trouble:
        yield project.unseen(name, seen)
    else:
        ill = [*_at_work(found, seen, name), *_renewed(found, seen, name)]
        yield from ill or [ok(name, "is enabled, and renewed")]


def _make(project: Project, found: Resource) -> Cure:
    lines = [cures.on(found, "create", "--purpose=encryption", *cures.ROTATION)]
    ring = found.path.partition("/cryptoKeys/")[0]
    if project.ask(found.service, ring).missing:
        where = (f"--location={found.location}", f"--project={found.project}")
        lines.insert(0, gcloud("kms", "keyrings", "create", ring.rpartition("/")[2], *where))
    words = "a key that was destroyed cannot be had back; make it, or name another"
    return Cure(tuple(lines), "cmek = {}", words)


def _another(found: Resource, name: str) -> Cure:
    """A key beside one that will never encrypt: what a key is for stands for ever, and so does its name."""
    short = f"{found.id}-encryption"
    full = f"{name.rpartition('/')[0]}/{short}"
    line = gcloud("kms", "keys", "create", short, *found.flags, "--purpose=encryption", *cures.ROTATION)
    words = f'then kms_key = "{full}" in vertex-tuning.toml, and doctor again'
    return Cure((line,), f'cmek = {{ key_id = "{full}" }}', words)


def _at_work(found: Resource, seen: Seen, name: str) -> Iterator[Finding]:
    purpose = str(seen.value.get("purpose", _PURPOSE))
    if purpose != _PURPOSE:
        what = f"is for {purpose}, not for {_PURPOSE}"
        yield fault("VT153", name, what, _another(found, name))
        return
    primary = seen.value.get("primary") or {}
    state = str(primary.get("state", "")) or "not there"
    if state != "ENABLED":
        version = str(primary.get("name", "")).rpartition("/")[2]
        yield fault("VT151", name, f"its primary version is {state}", _enable(found, state, version))


def _enable(found: Resource, state: str, version: str) -> Cure:
    def versions(verb: str, *words: str) -> str:
        return gcloud("kms", "keys", "versions", verb, *words, f"--key={found.id}", *found.flags)

    if state == "DISABLED":
        return Cure((versions("enable", version),))
    if state == "DESTROY_SCHEDULED":
        # What is restored is disabled at first.
        return Cure((versions("restore", version), versions("enable", version)))
    if state == "PENDING_GENERATION":
        return Cure((versions("list"),), words="it is still being made: wait, and ask doctor again")
    return Cure(
        (versions("create", "--primary"),), words="what a destroyed version encrypted cannot be read any more"
    )


def _renewed(found: Resource, seen: Seen, name: str) -> Iterator[Finding]:
    if not seen.value.get("rotationPeriod") and seen.value.get("purpose", _PURPOSE) == _PURPOSE:
        cure = Cure((cures.on(found, "update", *cures.ROTATION),), 'cmek = { rotation_period = "7776000s" }')
        yield warning("VT154", name, "is never renewed", cure)


def registries(project: Project) -> Iterator[Finding]:
    """The registries of images and of compiled pipelines."""
    for setting, form, holds in (("images", "DOCKER", "images"), ("templates", "KFP", "compiled pipelines")):
        address = project.configured.get(setting)
        if address:
            yield from _registry(project, setting, address, form, holds)
        else:
            yield unset(f"{setting}, a registry for {holds}")


def _registry(project: Project, setting: str, address: str, form: str, holds: str) -> Iterator[Finding]:
    found = resources.registry(address)
    if found is None:
        cure = _new_registry(project, setting, form, _USUAL[setting], address)
        yield fault("VT157", address, f"is no address of a registry ({setting} of the settings)", cure)
        return
    # A registry's format stands for ever, and no other can have its name.
    beside = _new_registry(project, setting, form, f"{found.id}-{form.lower()}", address)
    cure = _new_registry(project, setting, form, found.id, address)
    if resources.registry_format(address) != form:
        yield fault("VT157", address, f"is not one for {holds} ({setting} of the settings)", beside)
        return
    seen = project.get(found)
    if seen.missing:
        yield fault("VT156", address, f"there is no such registry ({setting} of the settings)", cure)
    elif seen.trouble:
        yield project.unseen(address, seen)
    elif (has := str(seen.value.get("format", form))) != form:
        yield fault("VT157", address, f"is of format {has}, and {holds} need {form}", beside)
    elif not requirements.holds(found.location, project.location):
        what = f"lies in {found.location}, and jobs run in {project.location}"
        yield warning("VT158", address, what, cure)
    else:
        yield ok(address, f"is there, for {holds}")


def _new_registry(project: Project, setting: str, form: str, name: str, before: str) -> Cure:
    """A registry where the work is; where that is not what the settings name, with what they are to say."""
    kind = form.lower()
    where = (f"--location={project.location}", f"--project={project.id}")
    line = gcloud("artifacts", "repositories", "create", name, f"--repository-format={kind}", *where)
    address = f"{'https://' if form == 'KFP' else ''}{project.location}-{kind}.pkg.dev/{project.id}/{name}"
    if address == before.rstrip("/"):
        return Cure((line,), apply=True)
    return Cure((line,), words=f'then {setting} = "{address}" in vertex-tuning.toml')
