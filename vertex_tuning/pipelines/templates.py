"""Compiled pipelines in a registry (Artifact Registry, format KFP): put there, and found again by their address.

A version is what the file is: the same pipeline, prepared for the same place, is the same version however often it is pushed.
Tags are moved to it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.errors import Fault, PipelineError, ServiceError
from vertex_tuning.pipelines import compiled
from vertex_tuning.pipelines.compiled import Compiled
from vertex_tuning.pipelines.running import pipeline_name
from vertex_tuning.retries import again, passed_over

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

_REGISTRY = re.compile(
    r"https://(?P<location>[a-z0-9-]+)-kfp\.pkg\.dev/(?P<project>[a-z0-9:.-]+)/(?P<repository>[a-z0-9-]+)"
)
_END = re.compile(r"/[^/\s]+/[^/\s]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9-]*")
_TAG = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}")
_EXAMPLE = "https://us-central1-kfp.pkg.dev/my-project/vt-pipelines"


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled pipeline in a registry."""

    registry: str
    """`https://us-central1-kfp.pkg.dev/my-project/vt-pipelines`."""
    package: str
    """The pipeline's own name."""
    version: str
    """`sha256:...`, of its file."""
    tags: tuple[str, ...] = ()
    """Those that it was pushed with."""

    @property
    def pinned(self) -> str:
        """Its address by version: what is there never changes."""
        return self._at(self.version)

    @property
    def uri(self) -> str:
        """Its address by the first of its tags, which can be moved; by version where it has none."""
        return self._at(self.tags[0]) if self.tags else self.pinned

    @property
    def addresses(self) -> list[str]:
        """All of them: by each tag, and by version."""
        return [*map(self._at, self.tags), self.pinned]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "uri": self.uri,
            "pinned": self.pinned,
            "package": self.package,
            "version": self.version,
            "tags": list(self.tags),
        }

    def _at(self, end: str) -> str:
        return f"{self.registry}/{self.package}/{end}"


def is_address(pipeline: str) -> bool:
    """Whether a pipeline is named by an address, rather than by its name or its file."""
    return pipeline.startswith(("https://", "http://"))


def fetch(connection: Connection, address: str) -> Compiled:
    """A compiled pipeline from a registry.

    Args:
        connection: Whose credentials are shown.
        address: With a tag or a version at the end.

    Raises:
        PipelineError: VT722 that is no address of one, VT726 there is none, VT731 it is no compiled pipeline.
        ServiceError: VT501, the registry refused it.
    """
    found = _REGISTRY.match(address)
    if found is None or not _END.fullmatch(address[found.end() :]):
        what = "it is no address of a compiled pipeline in a registry"
        raise PipelineError("VT722", what, where=address, fix=f"such as {_EXAMPLE}/supervised/v1")
    try:
        content = again(lambda: connection.template(address))
    except ServiceError as error:
        if error.code != 404:
            raise
        fix = "vertex-tuning pipeline push PIPELINE --tag TAG"
        raise PipelineError("VT726", "there is no compiled pipeline", where=address, fix=fix) from error
    return compiled.parsed(content, address)


def push(
    connection: Connection, spec: Mapping[str, Any], registry: str, tags: Sequence[str] = ()
) -> Template:
    """Put a compiled pipeline into a registry, by kfp's `RegistryClient`.

    Args:
        connection: Where, and whose credentials are shown.
        spec: The pipeline, ready for the place.
        registry: Its address.
        tags: Names for this version; those that lead to another one are moved.

    Raises:
        PipelineError: VT710 kfp is not installed; VT721 no registry, VT722 none that there can be, VT723 not a tag, VT724 a name
            that registries do not take; VT725 several of these; VT727 the registry is not there.
        ServiceError: VT501, the registry refused it.
    """
    import yaml

    address = registry.rstrip("/")
    package = pipeline_name(spec)
    tags = list(dict.fromkeys(tags))
    compiled.raise_all(_faults(address, package, tags), "VT725", f"{package} cannot be pushed")
    if find_spec("kfp") is None:
        raise PipelineError(
            "VT710", "kfp is not installed, which pushes them", fix="pip install 'vertex-tuning[pipelines]'"
        )
    found = _REGISTRY.fullmatch(address)
    assert found is not None
    repository = "projects/{project}/locations/{location}/repositories/{repository}".format(
        **found.groupdict()
    )
    text = yaml.safe_dump(dict(spec), sort_keys=True, allow_unicode=True).encode()
    version = f"sha256:{hashlib.sha256(text).hexdigest()}"
    with connection.registry(address, repository) as client:
        if not _is_there(client, package, version):
            package, version = _uploaded(client, package, text, address)
        for tag in tags:
            _lead(client, package, tag, version)
    return Template(address, package, version, tuple(tags))


def _faults(registry: str, package: str, tags: Sequence[str]) -> list[Fault]:
    faults: list[Fault] = []
    if not registry:
        fix = f"--registry {_EXAMPLE} (registry=...), or `templates` in the settings: terraform/ makes one"
        faults.append(Fault("VT721", "no registry for compiled pipelines is set", "registry", fix=fix))
    elif not _REGISTRY.fullmatch(registry):
        what = f'"{registry}" is no address of a registry for compiled pipelines'
        faults.append(Fault("VT722", what, "registry", fix=f"such as {_EXAMPLE}"))
    if not _PACKAGE.fullmatch(package):
        what = f'"{package}" cannot be the name of a package'
        fix = "lower-case letters, digits and dashes: @dsl.pipeline(name=...)"
        faults.append(Fault("VT724", what, "pipelineInfo.name", fix=fix))
    for tag in tags:
        if not _TAG.fullmatch(tag):
            what, fix = (
                f'"{tag}" cannot be a tag',
                "letters, digits, dots, dashes and underscores: v1, 2026-11-26",
            )
            faults.append(Fault("VT723", what, "tag", fix=fix))
    return faults


def _is_there(client: Any, package: str, version: str) -> bool:
    held: dict[str, Any] = {}
    with passed_over(404):
        held = again(lambda: client.get_version(package, version))
    return bool(held)


def _uploaded(client: Any, package: str, text: bytes, registry: str) -> tuple[str, str]:
    """Package and version, as the registry names them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{package}.yaml"
        file.write_bytes(text)
        try:
            found: tuple[str, str] = again(lambda: client.upload_pipeline(str(file)))
        except ServiceError as error:
            if error.code != 404:
                raise
            fix = "vertex-tuning doctor; an emulator has those of its settings: emulator start --config vertex-tuning.toml"
            raise PipelineError("VT727", "there is no such registry", where=registry, fix=fix) from error
    return found


def _lead(client: Any, package: str, tag: str, version: str) -> None:
    """Let a tag lead to a version."""
    held = ""
    with passed_over(404):
        held = str(again(lambda: client.get_tag(package, tag))["version"]).rpartition("/")[2]
    if not held:
        with passed_over(409):  # made, though no answer came
            again(lambda: client.create_tag(package, version, tag))
    elif held != version:
        again(lambda: client.update_tag(package, version, tag))
