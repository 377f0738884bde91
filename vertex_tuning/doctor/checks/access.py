"""Who asks, for which project, and whether the services are on."""

from __future__ import annotations

from collections.abc import Iterator

from vertex_tuning import catalog
from vertex_tuning.catalog import requirements
from vertex_tuning.connection import DEFAULT_LOCATION
from vertex_tuning.doctor import cures
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Finding, fault, ok, warning
from vertex_tuning.doctor.seeing import Project

_LOGIN = ("auth", "application-default")


def credentials(project: Project) -> Iterator[Finding]:
    """Who asks, and which project their calls are counted to."""
    who = project.caller()
    name = who.partition(":")[2] or "your credentials"
    yield ok(name, "are taken" if not who else "is who asks")
    found = project.connection.credentials
    # Those of a person belong to no project; those of an account count their calls to its own.
    if not getattr(found, "refresh_token", None):
        return
    counted = str(getattr(found, "quota_project_id", "") or "")
    if counted != project.id:
        what = f"count their calls to {counted}" if counted else "count their calls to no project"
        line = gcloud(*_LOGIN, "set-quota-project", project.id)
        yield warning("VT121", name, what, Cure((line,)))


def itself(project: Project) -> Iterator[Finding]:
    """The project: that it is there, at work, and the one that the settings mean."""
    seen = project.get(project.itself)
    where = project.itself.label
    if seen.trouble in ("missing", "hidden"):
        cure = Cure(
            (gcloud("projects", "list"),),
            words='the right project = "..." in vertex-tuning.toml, or --project',
        )
        yield fault("VT123", where, "there is no such project, or you may not see it", cure)
        return
    if seen.trouble:
        yield project.unseen(where, seen)
        return
    state = str(seen.value.get("state", "ACTIVE"))
    if state != "ACTIVE":
        yield fault(
            "VT123", where, f"its state is {state}", Cure((gcloud("projects", "undelete", project.id),))
        )
        return
    said = str(project.configured.get("project_number", ""))
    if said and said != project.number:
        cure = cures.setting("project_number", project.number)
        yield fault("VT124", where, f"its number is {project.number}, and the settings say {said}", cure)
    else:
        yield ok(where, f"is there, number {project.number}")


def location(project: Project) -> Iterator[Finding]:
    """Whether anything is tuned in the location."""
    here = project.location
    able = [model for model in catalog.models().values() if here in model.regions and not model.retired]
    if able:
        yield ok(here, f"{len(able)} models are tuned there")
    else:
        cure = cures.setting("location", DEFAULT_LOCATION)
        yield warning("VT125", here, "no model of the catalog is tuned there", cure)


def services(project: Project) -> Iterator[Finding]:
    """The APIs that the settings need."""
    seen = project.services()
    if seen.trouble == "off":
        name = seen.service
        yield fault("VT122", name, "is off, and no other can be looked at", cures.enable(name, project.id))
        return
    if seen.trouble:
        yield project.unseen("APIs", seen)
        return
    wanted = requirements.services(project.configured)
    off = [service for service in wanted if seen.value.get(service.name) != "ENABLED"]
    for service in off:
        say = warning if service.for_looking else fault
        yield say("VT122", service.name, "is off", cures.enable(service.name, project.id), why=service.why)
    if len(off) < len(wanted):
        yield ok("", f"{len(wanted) - len(off)} are on")


def refused(project: Project) -> Iterator[Finding]:
    """APIs that turned out to be off where their list could not be seen."""
    if not project.off or not (listed := project.services()).trouble:
        return
    for name in sorted(project.off - {listed.service}):
        yield fault("VT122", name, "is off", cures.enable(name, project.id))
