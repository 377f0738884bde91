"""Compiled pipelines in Artifact Registry: the host that files go to and come from, and packages, versions and tags."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from vertex_tuning.emulator.api import Call, Routes, read
from vertex_tuning.emulator.pipelines import uploads
from vertex_tuning.emulator.pipelines.templates import DIGEST, PACKAGES, TAGS, VERSIONS
from vertex_tuning.emulator.routes import provisioned
from vertex_tuning.emulator.status import ApiError, Code

Body = dict[str, Any]

_SERVICE = "artifactregistry.googleapis.com"
ROOT = "kfp.pkg.dev"
"""First segment of the plain address's paths for what has a host of its own at Google; no bucket of a user can have that name."""

files = Routes(_SERVICE)
"""What `LOCATION-kfp.pkg.dev` answers, its location as a segment."""
routes = Routes(_SERVICE)

_HOST = f"{ROOT}/{{location}}/{{project}}/{{repository}}"
_REPOSITORY = "projects/{project}/locations/{location}/repositories/{repository}"
_PACKAGES = f"{_REPOSITORY}/packages"
_PACKAGE = f"{_PACKAGES}/{{package}}"
_VERSIONS = f"{_PACKAGE}/versions"
_VERSION = f"{_VERSIONS}/{DIGEST}{{digest}}"
_TAGS = f"{_PACKAGE}/tags"
_TAG = f"{_TAGS}/{{tag}}"


def _name(call: Call, path: str) -> str:
    """The full name of what a path names, in a repository that is there."""
    call.emulator.templates.repository(provisioned.name_of(call, _REPOSITORY))
    return provisioned.name_of(call, path)


def _row(call: Call, path: str) -> Body:
    return call.emulator.templates.row(_name(call, path)).body


# Files


@files.post(_HOST)
async def upload(call: Call) -> Response:
    """A form with the file, and tags behind each other; the answer is what it is now: `PACKAGE/VERSION`."""
    repository = call.emulator.templates.repository(provisioned.name_of(call, _REPOSITORY), kfp=True)
    headers = call.request.headers
    form = uploads.form(headers.get("content-type", ""), await read(call.request))
    tags = [tag.strip() for tag in form.fields.get("tags", "").split(",") if tag.strip()]
    found = await asyncio.to_thread(
        call.emulator.templates.keep, repository, form.file, tags, headers.get("description", "")
    )
    return Response("/".join(found), media_type="text/plain")


@files.get(f"{_HOST}/{{package}}/{DIGEST}{{digest}}")
async def download_version(call: Call) -> Response:
    """The file, by its version."""
    return _file(call, f"{DIGEST}{call.path['digest']}")


@files.get(f"{_HOST}/{{package}}/{{tag}}")
async def download_tag(call: Call) -> Response:
    """The file that a tag leads to."""
    return _file(call, call.path["tag"])


def _file(call: Call, end: str) -> Response:
    found = call.emulator.templates.version(_name(call, _PACKAGE), end)
    return Response(found.private["content"], media_type="application/yaml")


# Packages


@routes.get(_PACKAGES, versions=("v1",))
async def list_packages(call: Call) -> Body:
    """Of a repository."""
    _name(call, _REPOSITORY)
    return provisioned.listed(call, "packages", _PACKAGES, kind=PACKAGES)


@routes.get(_PACKAGE, versions=("v1",))
async def get_package(call: Call) -> Body:
    """By name."""
    return _row(call, _PACKAGE)


@routes.delete(_PACKAGE, versions=("v1",))
async def delete_package(call: Call) -> Body:
    """With its versions and tags."""
    call.emulator.templates.delete_package(_name(call, _PACKAGE))
    return _done(call)


# Versions


@routes.get(_VERSIONS, versions=("v1",))
async def list_versions(call: Call) -> Body:
    """Of a package."""
    _row(call, _PACKAGE)
    found = provisioned.listed(call, "versions", _VERSIONS, kind=VERSIONS)
    if "versions" in found:
        found["versions"] = [_shown(call, body) for body in found["versions"]]
    return found


@routes.get(_VERSION, versions=("v1",))
async def get_version(call: Call) -> Body:
    """By its digest."""
    return _shown(call, _row(call, _VERSION))


@routes.delete(_VERSION, versions=("v1",))
async def delete_version(call: Call) -> Body:
    """One that is tagged only by force."""
    force = call.query.get("force", "") == "true"
    call.emulator.templates.delete_version(_name(call, _VERSION), force=force)
    return _done(call)


def _shown(call: Call, version: Body) -> Body:
    """With its tags, where all is asked for."""
    tags = call.emulator.templates.tags_of(version["name"]) if call.query.get("view") == "FULL" else []
    return {**version, "relatedTags": tags} if tags else version


def _done(call: Call) -> Body:
    """An operation that has ended."""
    parent = provisioned.name_of(call, _REPOSITORY).partition("/repositories/")[0]
    return {"name": f"{parent}/operations/{call.emulator.db.new_id()}", "done": True, "response": {}}


# Tags


@routes.get(_TAGS, versions=("v1",))
async def list_tags(call: Call) -> Body:
    """Of a package."""
    _row(call, _PACKAGE)
    return provisioned.listed(call, "tags", _TAGS, kind=TAGS)


@routes.post(_TAGS, versions=("v1",))
async def create_tag(call: Call) -> Body:
    """Its name is `tagId`."""
    return await _tag(call, call.query.get("tagId", ""), there=False)


@routes.get(_TAG, versions=("v1",))
async def get_tag(call: Call) -> Body:
    """By name."""
    return _row(call, _TAG)


@routes.patch(_TAG, versions=("v1",))
async def update_tag(call: Call) -> Body:
    """Lets it lead to another version."""
    return await _tag(call, call.path["tag"], there=True)


@routes.delete(_TAG, versions=("v1",))
async def delete_tag(call: Call) -> Body:
    """What it led to stays."""
    call.emulator.db.delete(call.emulator.templates.row(_name(call, _TAG)).name)
    return {}


async def _tag(call: Call, tag: str, *, there: bool) -> Body:
    package = str(_row(call, _PACKAGE)["name"])
    version = str((await call.json()).get("version", "")).rpartition("/")[2]
    if not version:
        raise ApiError(Code.INVALID_ARGUMENT, "version is required.")
    return call.emulator.templates.tag(package, tag, version, there=there)
