"""Compiled pipelines that are kept in repositories of Artifact Registry (format KFP).

A package has the name of its pipeline, a version the SHA-256 of its file, and tags lead to versions. All are rows of the
database, the files in them: so they are kept, forgotten and deleted in one piece.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.pipelines import uploads
from vertex_tuning.emulator.project.provision import REPOSITORIES
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

Body = dict[str, Any]

PACKAGES, VERSIONS, TAGS = "templatePackages", "templateVersions", "templateTags"
DIGEST = "sha256:"
_ADDRESS = re.compile(
    r"https://(?P<location>[a-z0-9-]+)-kfp\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<package>[^/]+)/(?P<end>[^/]+)"
)
_TAG = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._~@-]{0,127}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Templates:
    """What lies in the repositories of the project."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db

    def repository(self, name: str, *, kfp: bool = False) -> str:
        """The name of a repository that is there.

        Args:
            name: In full, the project by its id.
            kfp: Whether it must be one for pipelines.

        Raises:
            ApiError: 404 there is none, 400 it is of another format.
        """
        row = self._db.get(name)
        if row is None or row.kind != REPOSITORIES:
            raise _missing()
        if kfp and row.body["format"] != "KFP":
            words = f"{name} keeps {row.body['format']}, and no compiled pipelines."
            raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT716")
        return name

    def keep(self, repository: str, content: bytes, tags: Sequence[str], description: str) -> tuple[str, str]:
        """Take a file in; what is there already is written over, and tags move.

        Returns:
            Package and version.

        Raises:
            ApiError: 400, it is no compiled pipeline, or one of the tags cannot be one.
        """
        spec = uploads.parsed(content)
        info = spec.get("pipelineInfo")
        package = str(info.get("name", "")) if isinstance(info, dict) else ""
        if not _PACKAGE.fullmatch(package):
            words = f"The pipeline's name becomes the package, and '{package}' cannot be one."
            raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT716")
        for tag in tags:
            _check_tag(tag)
        version, time = f"{DIGEST}{hashlib.sha256(content).hexdigest()}", now()
        name = f"{repository}/packages/{package}"
        with self._db.transaction():
            self._touch(Resource(name, PACKAGES, repository, {"name": name}), time)
            body = {"name": f"{name}/versions/{version}", "description": description}
            kept = {"content": content.decode("utf-8"), "spec": spec}
            self._touch(Resource(body["name"], VERSIONS, name, body, kept), time)
            for tag in tags:
                self.tag(name, tag, version)
        return package, version

    def _touch(self, row: Resource, time: str) -> None:
        """Write a row down, as old as it was."""
        before = self._db.get(row.name)
        created = before.body["createTime"] if before else time
        body = {key: value for key, value in row.body.items() if value}
        row.body = {**(before.body if before else {}), **body, "createTime": created, "updateTime": time}
        self._db.put(row, "uploaded")

    def tag(self, package: str, tag: str, version: str, *, there: bool | None = None) -> Body:
        """Let a tag lead to a version.

        Args:
            package: Full name.
            tag: Of its own.
            version: `sha256:...`.
            there: True: it must be there already; False: it must not.

        Raises:
            ApiError: 404 for what is missing, 409 where it is there and must not be, 400 where it cannot be a tag.
        """
        _check_tag(tag)
        name = f"{package}/tags/{tag}"
        with self._db.transaction():
            before = self._db.get(name)
            body = {"name": name, "version": self.row(f"{package}/versions/{version}").name}
            if there and before is None:
                raise _missing()
            if there is False and before is not None:
                raise ApiError(Code.ALREADY_EXISTS, f"the tag {name} already exists")
            self._db.put(Resource(name, TAGS, package, body), "tagged")
        return body

    def row(self, name: str) -> Resource:
        """A package, a version or a tag.

        Raises:
            ApiError: 404.
        """
        found = self._db.get(name)
        if found is None:
            raise _missing()
        return found

    def tags_of(self, version: str) -> list[Body]:
        """The tags that lead to a version."""
        package = version.partition("/versions/")[0]
        return [row.body for row in self._db.list(TAGS, package) if row.body["version"] == version]

    def version(self, package: str, end: str) -> Resource:
        """A version of a package, by itself or by a tag.

        Raises:
            ApiError: 404.
        """
        if end.startswith(DIGEST):
            return self.row(f"{package}/versions/{end}")
        return self.row(str(self.row(f"{package}/tags/{end}").body["version"]))

    def delete_version(self, name: str, *, force: bool) -> None:
        """Forget a version, with its tags where that is asked for.

        Raises:
            ApiError: 404, or 400 where tags lead to it.
        """
        with self._db.transaction():
            self.row(name)
            tags = self.tags_of(name)
            if tags and not force:
                words = f"{name} is tagged; delete its tags first, or force it."
                raise ApiError(Code.FAILED_PRECONDITION, words)
            for tag in tags:
                self._db.delete(tag["name"])
            self._db.delete(name)

    def delete_package(self, name: str) -> None:
        """Forget a package and all that is in it.

        Raises:
            ApiError: 404.
        """
        with self._db.transaction():
            self.row(name)
            for row in [*self._db.list(TAGS, name), *self._db.list(VERSIONS, name)]:
                self._db.delete(row.name)
            self._db.delete(name)

    def find(self, address: str) -> tuple[Body, str]:
        """The pipeline at an address, and the version that it is.

        Args:
            address: `https://us-central1-kfp.pkg.dev/PROJECT/REPOSITORY/PACKAGE/TAG`, or `.../sha256:...`.

        Raises:
            LookupError: There is none; it says why.
        """
        parts = _ADDRESS.fullmatch(address)
        if parts is None:
            raise LookupError(
                f"'{address}' should be https://LOCATION-kfp.pkg.dev/PROJECT/REPOSITORY/PACKAGE/TAG, or end in a version "
                "(sha256:...): only templates of Artifact Registry are read."
            )
        project = self._emulator.project.id_of(parts["project"])
        repository = f"projects/{project}/locations/{parts['location']}/repositories/{parts['repository']}"
        try:
            self.repository(repository, kfp=True)
            found = self.version(f"{repository}/packages/{parts['package']}", parts["end"])
        except ApiError as error:
            raise LookupError(f"The template {address} cannot be read: {error.message}") from error
        return found.private["spec"], found.name.rpartition("/")[2]


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise ApiError(Code.INVALID_ARGUMENT, f"'{tag}' cannot be a tag.", rule="VT716")


def _missing() -> ApiError:
    return ApiError(Code.NOT_FOUND, "Requested entity was not found.")
